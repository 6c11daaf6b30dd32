#pragma once

#include <cstddef>

namespace poise::math::detail {

// Declared before math.hpp is read: that header provides what these are made of, and includes this one.
template <class T>
constexpr T log_gamma(T x);
template <class T>
constexpr T digamma(T x);
template <class T>
constexpr T trigamma(T x);

} // namespace poise::math::detail

#include "poise/core/math.hpp"

/// The logarithm of the gamma function and its derivatives for every scalar, without a branch. All take the argument
/// to where a series serves by Gamma(x + 1) = x Gamma(x), and negative ones by Gamma(x) Gamma(1 - x) = pi / sin(pi x).
namespace poise::math::detail {

/// first + x (second + x (third + ...))
template <class T, std::size_t size>
constexpr T polynomial(T x, double const (&coefficients)[size]) {
    auto value = T(coefficients[size - 1]);
    for (auto k = size - 1; k-- > 0;) value = value * x + T(coefficients[k]);
    return value;
}

/// What the three functions share: how a negative argument is reflected.
template <class T>
struct reflection {
    T positive;          ///< x, or 1 - x where it is reflected
    T angle;             ///< pi x less a multiple of pi where it is reflected, anything but 0 elsewhere
    mask_of<T> negative; ///< x < 0, not an integer
    mask_of<T> pole;     ///< 0, -1, -2, ...

    constexpr explicit reflection(T x) {
        auto const integer = math::floor(x) == x;
        auto const below_zero = x < T(0);
        pole = (x <= T(0)) & integer;
        negative = below_zero & (math::floor(x) != x);
        positive = math::select(below_zero, T(1) - x, x);
        angle = T(3.141592653589793238) * math::select(negative, x - math::floor(x + T(0.5)), T(0.5));
    }
};

/// log |Gamma(x)|, infinite at 0, -1, -2, ...
/// By its Taylor series at 2 below 8, by Stirling's series above; relatively accurate at its zeros 1 and 2.
template <class T>
constexpr T log_gamma(T x) {
    // (-1)^k (zeta(k) - 1) / k, but 1 - Euler's constant first
    constexpr double taylor[] = {
        0.4227843350984671394,     0.3224670334241132182,    -0.06735230105319809513,  0.02058080842778454788,
        -0.007385551028673985266,  0.00289051033074152329,   -0.001192753911703260977, 0.0005096695247430424223,
        -0.0002231547584535793797, 9.945751278180853371e-05, -4.492623673813314e-05,   2.050721277567069e-05,
        -9.439488275268397e-06,    4.374866789907488e-06,    -2.039215753801366e-06,   9.55141213040742e-07,
        -4.492469198764566e-07,    2.1207184805554665e-07,   -1.0043224823968099e-07,  4.7698101693639804e-08,
        -2.2711094608943164e-08,   1.0838659214896955e-08,   -5.183475041970047e-09,   2.4836745438024785e-09,
        -1.1921401405860912e-09,   5.731367241678862e-10,    -2.7595228851242334e-10,  1.330476437424449e-10};
    // B_2k / (2k (2k - 1))
    constexpr double stirling[] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                                   1.0 / 1188, -691.0 / 360360, 1.0 / 156,  -3617.0 / 122400};
    constexpr auto half_log_two_pi_minus_half = 0.4189385332046727418;

    auto const reflected = reflection<T>(x);
    auto const z = reflected.positive;

    // Gamma(z) = product Gamma(2 + y), or Gamma(2 + y) / product below 3/2, with |y| <= 1/2
    auto const below_three_halves = z < T(1.5);
    auto const below_half = z < T(0.5);
    auto y = math::select(below_half, z, math::select(below_three_halves, z - T(1), z - T(2)));
    auto product = math::select(below_half, z * (z + T(1)), math::select(below_three_halves, z, T(1)));
    for (int i = 0; i < 6; ++i) {
        auto const above = y > T(0.5);
        product = math::select(above, product * (y + T(1)), product);
        y = math::select(above, y - T(1), y);
    }
    auto const large = z >= T(8);
    auto const logarithm = math::log(math::select(large, z, product));
    auto const by_taylor = y * polynomial(y, taylor) + math::select(below_three_halves, -logarithm, logarithm);
    auto const reciprocal = T(1) / math::select(large, z, T(8));
    auto const by_stirling = (z - T(0.5)) * (logarithm - T(1)) + T(half_log_two_pi_minus_half) +
                             reciprocal * polynomial(reciprocal * reciprocal, stirling);
    auto const of_positive = math::select(large, by_stirling, by_taylor);

    auto const of_negative = math::log(T(3.141592653589793238) / math::abs(math::sin(reflected.angle))) - of_positive;
    return math::select(reflected.pole, T(infinity<T>), math::select(reflected.negative, of_negative, of_positive));
}

/// d/dx log Gamma(x). At 0 and -0 it is -infinity and infinity; at -1, -2, ..., where it jumps from one to the other,
/// NaN.
template <class T>
constexpr T digamma(T x) {
    // B_2k / (2k)
    constexpr double series[] = {1.0 / 12,  -1.0 / 120,     1.0 / 252, -1.0 / 240,
                                 1.0 / 132, -691.0 / 32760, 1.0 / 12,  -3617.0 / 8160};
    auto const reflected = reflection<T>(x);
    auto z = reflected.positive;
    auto numerator = T(0), denominator = T(1); // of 1/z + 1/(z + 1) + ...
    for (int i = 0; i < 10; ++i) {
        auto const small = z < T(10);
        numerator = math::select(small, numerator * z + denominator, numerator);
        denominator = math::select(small, denominator * z, denominator);
        z = math::select(small, z + T(1), z);
    }
    auto const reciprocal = T(1) / z;
    auto const square = reciprocal * reciprocal;
    auto const of_positive =
        math::log(z) - (numerator / denominator + T(0.5) * reciprocal + square * polynomial(square, series));

    auto const cotangent = math::cos(reflected.angle) / math::sin(reflected.angle);
    auto const of_negative = of_positive - T(3.141592653589793238) * cotangent;
    auto const undefined = reflected.pole & (x < T(0));
    return math::select(undefined, T(quiet_nan<T>), math::select(reflected.negative, of_negative, of_positive));
}

/// d^2/dx^2 log Gamma(x), infinite at 0, -1, -2, ...
template <class T>
constexpr T trigamma(T x) {
    // B_2k
    constexpr double series[] = {1.0 / 6,  -1.0 / 30,     1.0 / 42, -1.0 / 30,
                                 5.0 / 66, -691.0 / 2730, 7.0 / 6,  -3617.0 / 510};
    auto const reflected = reflection<T>(x);
    auto z = reflected.positive;
    auto numerator = T(0), denominator = T(1); // of 1/z^2 + 1/(z + 1)^2 + ...
    for (int i = 0; i < 10; ++i) {
        auto const small = z < T(10);
        numerator = math::select(small, numerator * (z * z) + denominator, numerator);
        denominator = math::select(small, denominator * (z * z), denominator);
        z = math::select(small, z + T(1), z);
    }
    auto const reciprocal = T(1) / z;
    auto const square = reciprocal * reciprocal;
    auto const of_positive =
        numerator / denominator + (reciprocal + T(0.5) * square + reciprocal * square * polynomial(square, series));

    auto const cosecant = T(3.141592653589793238) / math::sin(reflected.angle);
    auto const of_negative = cosecant * cosecant - of_positive;
    return math::select(reflected.pole, T(infinity<T>), math::select(reflected.negative, of_negative, of_positive));
}

} // namespace poise::math::detail
