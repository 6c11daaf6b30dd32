#pragma once

#include "poise/core/constant_math.hpp"
#include "poise/core/scalar.hpp"

#include <cmath>
#include <limits>

/// The functions of a scalar. They are objects, not functions: called by these names inside poise they shut out
/// argument-dependent look-up, which would otherwise find the SIMD library's functions as well. They live in a
/// namespace of their own because their names are also the C library's.
namespace poise::math {

/// Constants of a scalar's underlying real type: T(infinity<T>) is the scalar.
template <class T>
inline constexpr auto infinity = std::numeric_limits<real_of<T>>::infinity();
template <class T>
inline constexpr auto quiet_nan = std::numeric_limits<real_of<T>>::quiet_NaN();
template <class T>
inline constexpr auto epsilon = std::numeric_limits<real_of<T>>::epsilon();

namespace detail {

// A function with a constant-evaluated twin in `constant::`, a run-time one in `std::`, and one of each other scalar's.
#define POISE_UNARY_FUNCTION(name, std_name)                                                                           \
    struct name##_function {                                                                                           \
        template <scalar T>                                                                                            \
        constexpr T operator()(T x) const {                                                                            \
            if constexpr (std::floating_point<T>) {                                                                    \
                if (std::is_constant_evaluated()) return constant::name(x);                                            \
                return std::std_name(x);                                                                               \
            } else {                                                                                                   \
                return scalar_traits<T>::name(x);                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    };

POISE_UNARY_FUNCTION(exp, exp)
POISE_UNARY_FUNCTION(expm1, expm1)
POISE_UNARY_FUNCTION(log, log)
POISE_UNARY_FUNCTION(log1p, log1p)
POISE_UNARY_FUNCTION(sqrt, sqrt)
POISE_UNARY_FUNCTION(tanh, tanh)
POISE_UNARY_FUNCTION(sin, sin)
POISE_UNARY_FUNCTION(cos, cos)
POISE_UNARY_FUNCTION(erf, erf)
POISE_UNARY_FUNCTION(erfc, erfc)
POISE_UNARY_FUNCTION(floor, floor)
#undef POISE_UNARY_FUNCTION

struct isnan_function {
    template <scalar T>
    constexpr mask_of<T> operator()(T x) const {
        return x != x;
    }
};

/// select(mask, a, b): a where the mask holds, b elsewhere; both are evaluated.
struct select_function {
    template <std::integral Mask, class A, class B> // bool, or the int that `bool | bool` gives
    constexpr auto operator()(Mask mask, A a, B b) const {
        using T = common_scalar<A, B>;
        return mask ? T(a) : T(b);
    }
    template <class Mask, class A, class B>
        requires(!std::integral<Mask>)
    constexpr auto operator()(Mask mask, A a, B b) const {
        using T = common_scalar<common_scalar<A, B>, typename Mask::value_type>; // per-row reals are broadcast
        return scalar_traits<T>::select(mask, T(a), T(b));
    }
};

struct abs_function {
    template <scalar T>
    constexpr T operator()(T x) const {
        if constexpr (requires { scalar_traits<T>::abs(x); })
            return scalar_traits<T>::abs(x);
        else
            return select_function{}(x < T(0), -x, x + T(0)); // + 0 turns -0 into 0
    }
};

/// The larger of two; NaN if either is NaN, unlike std::max.
struct max_function {
    template <class A, class B>
    constexpr auto operator()(A a, B b) const {
        using T = common_scalar<A, B>;
        auto const x = T(a), y = T(b);
        if constexpr (requires { scalar_traits<T>::max(x, y); })
            return scalar_traits<T>::max(x, y);
        else
            return select_function{}(x >= y, x, select_function{}(x != x, x, y));
    }
};

/// The smaller of two; NaN if either is NaN, unlike std::min.
struct min_function {
    template <class A, class B>
    constexpr auto operator()(A a, B b) const {
        using T = common_scalar<A, B>;
        auto const x = T(a), y = T(b);
        if constexpr (requires { scalar_traits<T>::min(x, y); })
            return scalar_traits<T>::min(x, y);
        else
            return select_function{}(x <= y, x, select_function{}(x != x, x, y));
    }
};

/// clamp(x, low, high) for low <= high; NaN stays NaN.
struct clamp_function {
    template <class A, class B, class C>
    constexpr auto operator()(A x, B low, C high) const {
        return min_function{}(max_function{}(x, low), high);
    }
};

/// fma(a, b, c) = a b + c, fused where the machine fuses at no cost.
struct fma_function {
    template <scalar T>
    constexpr T operator()(T a, T b, T c) const {
        if constexpr (requires { scalar_traits<T>::fma(a, b, c); })
            return scalar_traits<T>::fma(a, b, c);
        else
            return a * b + c;
    }
};

} // namespace detail

inline constexpr detail::exp_function exp{};
inline constexpr detail::expm1_function expm1{};
inline constexpr detail::log_function log{};
inline constexpr detail::log1p_function log1p{};
inline constexpr detail::sqrt_function sqrt{};
inline constexpr detail::tanh_function tanh{};
inline constexpr detail::sin_function sin{};
inline constexpr detail::cos_function cos{};
inline constexpr detail::erf_function erf{};
inline constexpr detail::erfc_function erfc{};
inline constexpr detail::floor_function floor{};
inline constexpr detail::isnan_function isnan{};
inline constexpr detail::select_function select{};
inline constexpr detail::abs_function abs{};
inline constexpr detail::max_function max{};
inline constexpr detail::min_function min{};
inline constexpr detail::clamp_function clamp{};
inline constexpr detail::fma_function fma{};

} // namespace poise::math

#include "poise/core/special_functions.hpp"

namespace poise::math {

namespace detail {

struct pow_function {
    template <class A, class B>
    constexpr auto operator()(A base, B exponent) const {
        using T = common_scalar<A, B>;
        if constexpr (std::floating_point<T>) {
            if (std::is_constant_evaluated()) return constant::pow(T(base), T(exponent));
            return T(std::pow(T(base), T(exponent)));
        } else {
            return scalar_traits<T>::pow(T(base), T(exponent));
        }
    }
};

struct isfinite_function {
    template <scalar T>
    constexpr mask_of<T> operator()(T x) const {
        return x - x == T(0);
    }
};

struct isinf_function {
    template <scalar T>
    constexpr mask_of<T> operator()(T x) const {
        return math::abs(x) == T(infinity<T>);
    }
};

/// log |Gamma(x)|
struct log_gamma_function {
    template <scalar T>
    constexpr T operator()(T x) const {
        if constexpr (std::floating_point<T>) {
            if (std::is_constant_evaluated()) return constant::log_gamma(x);
#if defined(__GLIBC__) && !defined(__CUDA_ARCH__)
            auto sign = 0; // std::lgamma writes it to a variable that all threads share
            if constexpr (std::same_as<T, float>)
                return ::lgammaf_r(x, &sign);
            else
                return static_cast<T>(::lgamma_r(static_cast<double>(x), &sign));
#else
            return std::lgamma(x);
#endif
        } else {
            return scalar_traits<T>::log_gamma(x);
        }
    }
};

/// digamma(x) = d/dx log Gamma(x)
struct digamma_function {
    template <scalar T>
    constexpr T operator()(T x) const {
        if constexpr (requires { scalar_traits<T>::digamma(x); })
            return scalar_traits<T>::digamma(x);
        else
            return detail::digamma(x);
    }
};

/// trigamma(x) = d/dx digamma(x)
struct trigamma_function {
    template <scalar T>
    constexpr T operator()(T x) const {
        return detail::trigamma(x);
    }
};

/// sigmoid(x) = 1 / (1 + e^-x), without overflow: exactly 0 and 1 in the far tails, NaN for NaN.
struct sigmoid_function {
    template <scalar T>
    constexpr T operator()(T x) const {
        auto const e = math::exp(-math::abs(x));
        return math::select(x < T(0), e, T(1)) / (T(1) + e);
    }
};

/// softplus(x) = log(1 + e^x) = max(x, 0) + log1p(e^-|x|)
struct softplus_function {
    template <scalar T>
    constexpr T operator()(T x) const {
        return math::max(x, T(0)) + math::log1p(math::exp(-math::abs(x)));
    }
};

/// log sigmoid(x) = -softplus(-x), accurate in both tails.
struct log_sigmoid_function {
    template <scalar T>
    constexpr T operator()(T x) const {
        return math::min(x, T(0)) - math::log1p(math::exp(-math::abs(x)));
    }
};

/// log(e^a + e^b); -inf is the neutral element, and two infinities of the same sign give that infinity.
struct log_add_exp_function {
    template <class A, class B>
    constexpr auto operator()(A a, B b) const {
        using T = common_scalar<A, B>;
        auto const x = T(a), y = T(b);
        auto const greatest = math::max(x, y);
        // Not inf - inf. Where x = y, the one is the maximum and the other the minimum, whose derivatives may differ.
        auto const difference = math::select(isinf_function{}(greatest), T(0), greatest - math::min(y, x));
        return greatest + math::log1p(math::exp(-difference));
    }
};

/// x log(y) with 0 log(anything) = 0, the convention of entropies and divergences; NaN x stays NaN.
struct x_log_y_function {
    template <class A, class B>
    constexpr auto operator()(A a, B b) const {
        using T = common_scalar<A, B>;
        auto const x = T(a);
        return x * math::log(math::select(x == T(0), T(1), T(b))); // 0 * -inf is no constant expression
    }
};

} // namespace detail

inline constexpr detail::pow_function pow{};
inline constexpr detail::isfinite_function isfinite{};
inline constexpr detail::isinf_function isinf{};
inline constexpr detail::log_gamma_function log_gamma{};
inline constexpr detail::digamma_function digamma{};
inline constexpr detail::trigamma_function trigamma{};
inline constexpr detail::sigmoid_function sigmoid{};
inline constexpr detail::softplus_function softplus{};
inline constexpr detail::log_sigmoid_function log_sigmoid{};
inline constexpr detail::log_add_exp_function log_add_exp{};
inline constexpr detail::x_log_y_function x_log_y{};

} // namespace poise::math
