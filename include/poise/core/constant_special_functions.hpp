#pragma once

#include "poise/core/constant_elementary_functions.hpp"

namespace poise::math::constant {

namespace detail {

/// erf x = 2/sqrt(pi) x e^(-x^2) sum over n of (2 x^2)^n / (1 3 5 ... (2n + 1)), for |x| <= 1.5
constexpr double_double error_function(double x) {
    auto const square = double_double{x} * x;
    auto sum = double_double{1.0};
    for (int n = 36; n > 0; --n) sum = sum * square * 2.0 / (2.0 * n + 1.0) + 1.0;
    auto const e = exponential(-square);
    auto const scale = power_of_two(e.exponent);
    auto const gaussian = double_double{e.minus_one.high * scale, e.minus_one.low * scale} + scale;
    constexpr auto two_over_sqrt_pi = double_double{0x1.20dd750429b6dp+0, 0x1.1ae3a914fed80p-56};
    return two_over_sqrt_pi * x * gaussian * sum;
}

/// erfc x = e^(-x^2) / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / (x + ...)))), for x >= 1.5 (Laplace)
constexpr double error_function_tail(double x) {
    if (x > 28.0) return 0.0;
    auto fraction = x;
    for (int n = 120; n > 1; --n) fraction = x + 0.5 * n / fraction;
    auto const denominator = double_double{x} + 0.5 / fraction;
    auto const e = exponential(-(double_double{x} * x));
    constexpr auto one_over_sqrt_pi = double_double{0x1.20dd750429b6dp-1, 0x1.1ae3a914fed80p-57};
    return scaled(((e.minus_one + 1.0) * one_over_sqrt_pi / denominator).high, e.exponent);
}

/// log Gamma(2 + z) = (1 - gamma) z + sum over k >= 2 of (-1)^k (zeta(k) - 1) z^k / k, for |z| <= 1/2
constexpr double_double log_gamma_about_two(double_double z) {
    constexpr double coefficients[] = {
        -0.0673523010531981,     0.020580808427784546,   -0.007385551028673986,   0.0028905103307415234,
        -0.001192753911703261,   0.0005096695247430425,  -0.00022315475845357939, 9.945751278180853e-05,
        -4.492623673813314e-05,  2.050721277567069e-05,  -9.439488275268397e-06,  4.374866789907488e-06,
        -2.039215753801366e-06,  9.55141213040742e-07,   -4.492469198764566e-07,  2.1207184805554665e-07,
        -1.0043224823968099e-07, 4.7698101693639804e-08, -2.2711094608943164e-08, 1.0838659214896955e-08,
        -5.183475041970047e-09,  2.4836745438024785e-09, -1.1921401405860912e-09, 5.731367241678862e-10,
        -2.7595228851242334e-10, 1.330476437424449e-10};
    constexpr auto one_minus_euler = double_double{0x1.b0ee6072093cep-2, 0x1.6cb90701fbfabp-58};
    constexpr auto second = double_double{0x1.4a34cc4a60fa6p-2, 0x1.1873d8912200cp-56};
    auto tail = 0.0;
    for (int k = 25; k >= 0; --k) tail = coefficients[k] + z.high * tail;
    return z * (z * (z * tail + second) + one_minus_euler);
}

/// log Gamma(x) for 0 < x <= 2^900.
/// Gamma(x + 1) = x Gamma(x) leads to the neighbourhood of 2, or to Stirling's series.
constexpr double_double log_gamma_of_positive(double x) {
    if (x < 0.5) return log_gamma_about_two(x) - (x < 0x1p-60 ? logarithm(x) : logarithm(exact_sum(1.0, x) * x));
    if (x < 1.5) return log_gamma_about_two(double_double{x} - 1.0) - logarithm(x);
    if (x < 2.5) return log_gamma_about_two(double_double{x} - 2.0);
    auto z = double_double{x};
    auto product = double_double{1.0};
    while (z.high < 13.0) {
        product = product * z;
        z = z + 1.0;
    }
    constexpr double coefficients[] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                                       1.0 / 1188, -691.0 / 360360, 1.0 / 156,  -3617.0 / 122400};
    constexpr auto half_log_two_pi_minus_half = double_double{0x1.acfe390c97d69p-2, 0x1.3494bc9001442p-56};
    auto const reciprocal = 1.0 / z.high;
    auto series = 0.0;
    for (int k = 7; k >= 0; --k) series = coefficients[k] + reciprocal * reciprocal * series;
    return (z - 0.5) * (logarithm(z) - 1.0) + half_log_two_pi_minus_half + reciprocal * series - logarithm(product);
}

/// |sin pi x|
constexpr double_double sine_of_pi(double x) {
    auto const fraction = fabs(x - floor(x + 0.5));
    return fraction <= 0.25 ? sine(half_pi * (2.0 * fraction)) : cosine(half_pi * (1.0 - 2.0 * fraction));
}

} // namespace detail

constexpr double erf(double x) {
    constexpr auto two_over_sqrt_pi = 0x1.20dd750429b6dp+0;
    if (isnan(x)) return x;
    if (fabs(x) < 0x1p-30) return two_over_sqrt_pi * x;
    if (fabs(x) < 1.5) return detail::error_function(x).high;
    return copysign(1.0 - detail::error_function_tail(fabs(x)), x);
}

constexpr double erfc(double x) {
    if (isnan(x)) return x;
    if (fabs(x) < 0x1p-54) return 1.0;
    if (fabs(x) < 1.5) return (detail::double_double{1.0} - detail::error_function(x)).high;
    return x > 0.0 ? detail::error_function_tail(x) : 2.0 - detail::error_function_tail(-x);
}

/// log |Gamma(x)|, infinite at the poles 0, -1, -2, ... Near its zeros below -2 the error is small only beside
/// log Gamma(-x), not beside the result.
/// For negative x by reflection: Gamma(x) Gamma(-x) = -pi / (x sin pi x).
constexpr double log_gamma(double x) {
    if (isnan(x)) return x;
    if (isinf(x) || (x <= 0.0 && floor(x) == x)) return detail::infinity;
    if (fabs(x) < 0x1p-60) return -detail::logarithm(fabs(x)).high;
    if (x > 0x1p900)
        return detail::scaled((detail::double_double{x * 0x1p-100} * (detail::logarithm(x) - 1.0)).high, 100);
    if (x > 0.0) return detail::log_gamma_of_positive(x).high;
    auto const reflected = detail::half_pi * 2.0 / (detail::sine_of_pi(x) * -x);
    return (detail::logarithm(reflected) - detail::log_gamma_of_positive(-x)).high;
}

constexpr float erf(float x) { return detail::to_float(erf(double{x})); }
constexpr float erfc(float x) { return detail::to_float(erfc(double{x})); }
constexpr float log_gamma(float x) { return detail::to_float(log_gamma(double{x})); }

} // namespace poise::math::constant
