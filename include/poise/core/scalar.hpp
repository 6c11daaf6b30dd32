#pragma once

#include <concepts>
#include <type_traits>

namespace poise {

/// What a type must tell about itself to be a scalar of poise. Specialised beside each such type (`dual`, `lanes`).
///  - `real`: the floating-point type underneath,
///  - `mask`: what a comparison gives (`bool`, or one bool per lane),
///  - static functions `exp(x)`, `log(x)`, … that `poise::math` calls.
template <class T>
struct scalar_traits;

template <std::floating_point T>
struct scalar_traits<T> {
    using real = T;
    using mask = bool;
};

template <class T>
using real_of = typename scalar_traits<std::remove_cvref_t<T>>::real;

template <class T>
using mask_of = typename scalar_traits<std::remove_cvref_t<T>>::mask;

/// A number on which every formula can be evaluated: `float`, `double`, a dual number, a SIMD pack of rows.
template <class T>
concept scalar = requires(T a, T b) {
    typename scalar_traits<T>::real;
    typename scalar_traits<T>::mask;
    requires std::floating_point<typename scalar_traits<T>::real>;
    T(typename scalar_traits<T>::real(1));
    { a + b } -> std::convertible_to<T>;
    { a - b } -> std::convertible_to<T>;
    { a* b } -> std::convertible_to<T>;
    { a / b } -> std::convertible_to<T>;
    { -a } -> std::convertible_to<T>;
    { a < b } -> std::convertible_to<typename scalar_traits<T>::mask>;
    { a == b } -> std::convertible_to<typename scalar_traits<T>::mask>;
};

/// The scalar in which `A op B` is computed: a pack or a dual number absorbs a plain number.
template <class A, class B>
using common_scalar = std::remove_cvref_t<decltype(std::declval<A>() + std::declval<B>())>;

} // namespace poise
