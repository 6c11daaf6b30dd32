#pragma once

#include "poise/core/double_double.hpp"

#include <bit>
#include <cstdint>
#include <limits>

/// The functions of `<cmath>` for constant expressions, in which those are not allowed. They follow C's Annex F at
/// zeros, infinities and NaN. Evaluated in double-double arithmetic, they are off by little more than the half unit in
/// the last place that rounding costs; `float` is `double` rounded.
namespace poise::math::constant {

constexpr bool isnan(double x) { return x != x; }
constexpr double fabs(double x) {
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & (~std::uint64_t{} >> 1));
}
constexpr bool isinf(double x) { return fabs(x) == std::numeric_limits<double>::infinity(); }
constexpr bool isfinite(double x) { return fabs(x) <= std::numeric_limits<double>::max(); }
constexpr double copysign(double magnitude, double sign) {
    auto const sign_bit = std::bit_cast<std::uint64_t>(sign) & (std::uint64_t{1} << 63);
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(fabs(magnitude)) | sign_bit);
}

constexpr double floor(double x) {
    if (!(fabs(x) < 0x1p52)) return x; // an integer already, infinite or NaN
    auto const truncated = static_cast<double>(static_cast<std::int64_t>(x));
    return copysign(truncated > x ? truncated - 1.0 : truncated, x);
}

namespace detail {

inline constexpr auto infinity = std::numeric_limits<double>::infinity();
inline constexpr auto quiet_nan = std::numeric_limits<double>::quiet_NaN();
inline constexpr auto log_2 = double_double{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
inline constexpr auto half_pi = double_double{0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54};

/// 2^k for a normal result
constexpr double power_of_two(int k) { return std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52); }

/// floor(log2 |x|) of a normal x
constexpr int exponent_of(double x) { return static_cast<int>((std::bit_cast<std::uint64_t>(x) >> 52) & 0x7ff) - 1023; }

/// x 2^k, rounded once, for a normal x of moderate size or zero
constexpr double scaled(double x, int k) {
    if (x == 0.0) return x;
    if (exponent_of(x) + k > 1023) return copysign(infinity, x); // an overflow is no constant expression
    if (exponent_of(x) + k < -1080) return copysign(0.0, x);
    return x * power_of_two(k / 2) * power_of_two(k - k / 2);
}

constexpr float to_float(double x) {
    if (isfinite(x) && fabs(x) >= 0x1.ffffffp127) return static_cast<float>(copysign(infinity, x));
    return static_cast<float>(x);
}

/// e^x = 2^exponent (1 + minus_one)
struct scaled_exponential {
    double_double minus_one;
    int exponent;
};

/// x = k log 2 + r with |r| <= log(2) / 2, and e^r - 1 = r (1 + r/2 (1 + r/3 (1 + ...))).
constexpr scaled_exponential exponential(double_double x) {
    auto const k = floor(x.high * 0x1.71547652b82fep0 + 0.5);
    auto const r = x - log_2 * k;
    auto tail = 1.0;
    for (int n = 16; n > 4; --n) tail = 1.0 + tail * r.high / n;
    auto const from_third = (r * (r * (tail / 4.0) + 1.0)) / 3.0 + 1.0;
    return {r * (r * 0.5 * from_third + 1.0), static_cast<int>(k)};
}

/// log u for a positive finite u.
/// u = 2^k m with m in [sqrt(1/2), sqrt 2), and log m = 2 artanh(s) = 2 s (1 + s^2/3 + s^4/5 + ...), s = (m - 1) / (m +
/// 1).
constexpr double_double logarithm(double_double u) {
    auto k = 0;
    if (u.high < std::numeric_limits<double>::min()) {
        u = {u.high * 0x1p54, u.low * 0x1p54};
        k = -54;
    }
    // Adding what separates sqrt(1/2) from 1 makes the exponent field round where m is to change over.
    auto const bits = std::bit_cast<std::uint64_t>(u.high);
    auto const shift = static_cast<int>((bits + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd)) >> 52) - 1023;
    k += shift;
    auto const half = shift / 2;
    auto const m = double_double{u.high * power_of_two(-half) * power_of_two(half - shift),
                                 u.low * power_of_two(-half) * power_of_two(half - shift)};
    auto const s = (m - 1.0) / (m + 1.0);
    auto const z = s * s;
    auto tail = 0.0;
    for (int n = 27; n > 3; n -= 2) tail = 1.0 / n + z.high * tail;
    constexpr auto third = double_double{0x1.5555555555555p-2, 0x1.5555555555555p-56};
    return log_2 * k + s * 2.0 * (z * (z * tail + third) + 1.0);
}

/// sin r and cos r for |r| <= pi / 2
constexpr double_double sine(double_double r) {
    auto const z = r * r;
    auto tail = 1.0;
    for (int n = 24; n > 4; n -= 2) tail = 1.0 - z.high * tail / (n * (n + 1));
    return r * (double_double{1.0} - (z / 6.0) * (double_double{1.0} - z * (tail / 20.0)));
}
constexpr double_double cosine(double_double r) {
    auto const z = r * r;
    auto tail = 1.0;
    for (int n = 23; n > 3; n -= 2) tail = 1.0 - z.high * tail / (n * (n + 1));
    return double_double{1.0} - z * 0.5 * (double_double{1.0} - z * (tail / 12.0));
}

/// x = quarters pi/2 + rest, up to whole turns, with |rest| little above pi / 4
struct reduced_angle {
    double_double rest;
    int quarters;
};

/// The product of x >= 0 with the digits of 2/pi that matter (Payne and Hanek 1983).
constexpr reduced_angle reduce_angle(double x) {
    if (x < 0.78) return {x, 0};
    constexpr std::uint32_t two_over_pi[] = {
        // in base 2^24
        0xa2f983, 0x6e4e44, 0x1529fc, 0x2757d1, 0xf534dd, 0xc0db62, 0x95993c, 0x439041, 0xfe5163, 0xabdebb,
        0xc561b7, 0x246e3a, 0x424dd2, 0xe00649, 0x2eea09, 0xd1921c, 0xfe1deb, 0x1cb129, 0xa73ee8, 0x8235f5,
        0x2ebb44, 0x84e99c, 0x7026b4, 0x5f7e41, 0x3991d6, 0x398353, 0x39f49c, 0x845f8b, 0xbdf928, 0x3b1ff8,
        0x97ffde, 0x05980f, 0xef2f11, 0x8b5a0a, 0x6d1f6d, 0x367ecf, 0x27cb09, 0xb74f46, 0x3f669e, 0x5fea2d,
        0x7527ba, 0xc7ebe5, 0xf17b3d, 0x0739f7, 0x8a5292, 0xea6bfb, 0x5fb11f, 0x8d5d08, 0x560330, 0x46fc7b};
    // The digits before `first` give whole turns only.
    auto const first = exponent_of(x) < 78 ? 0 : (exponent_of(x) - 54) / 24;
    auto const y = x * power_of_two(-12 * first) * power_of_two(-12 * first);
    double const parts[] = {leading_half(y), y - leading_half(y)};
    auto fraction = double_double{0.0};
    auto quarters = 0.0;
    for (int i = 0; i < 9; ++i) {
        auto const digit = two_over_pi[first + i] * power_of_two(-24 * (i + 1));
        for (auto const part : parts) {
            auto const whole = floor(part * digit + 0.5); // the product is exact, and so is what remains of it
            fraction = fraction + (part * digit - whole);
            auto const carry = floor(fraction.high + 0.5);
            fraction = fraction - carry;
            quarters += (whole - 4.0 * floor(whole / 4.0)) + carry;
        }
    }
    return {fraction * half_pi, static_cast<int>(quarters) & 3};
}

constexpr double sine_of_turned(reduced_angle angle) {
    auto const magnitude = angle.quarters & 1 ? cosine(angle.rest) : sine(angle.rest);
    return angle.quarters & 2 ? -magnitude.high : magnitude.high;
}

} // namespace detail

constexpr double exp(double x) {
    if (isnan(x)) return x;
    if (x > 710.0) return detail::infinity;
    if (x < -746.0) return 0.0;
    auto const e = detail::exponential(x);
    return detail::scaled((e.minus_one + 1.0).high, e.exponent);
}

constexpr double expm1(double x) {
    if (isnan(x) || fabs(x) < 0x1p-54) return x;
    if (x > 710.0) return detail::infinity;
    if (x < -40.0) return -1.0;
    auto const e = detail::exponential(x);
    auto const one = detail::power_of_two(e.exponent < 200 ? -e.exponent : -200);
    return detail::scaled((e.minus_one + detail::exact_sum(1.0, -one)).high, e.exponent);
}

constexpr double log(double x) {
    if (x == 0.0) return -detail::infinity;
    if (x < 0.0) return detail::quiet_nan;
    if (!isfinite(x)) return x;
    return detail::logarithm(x).high;
}

constexpr double log1p(double x) {
    if (x == -1.0) return -detail::infinity;
    if (x < -1.0) return detail::quiet_nan;
    if (!isfinite(x) || fabs(x) < 0x1p-54) return x;
    return detail::logarithm(detail::exact_sum(1.0, x)).high;
}

/// Newton's iteration, the last step on the exact remainder.
constexpr double sqrt(double x) {
    if (x == 0.0 || isnan(x) || x == detail::infinity) return x;
    if (x < 0.0) return detail::quiet_nan;
    auto const subnormal = x < std::numeric_limits<double>::min();
    auto const normal = subnormal ? x * 0x1p54 : x;
    auto const half = (detail::exponent_of(normal) + 1024) / 2 - 512;
    auto const m = normal * detail::power_of_two(-half) * detail::power_of_two(-half); // in [1, 4)
    auto root = 0.4 * m + 0.65;
    for (int i = 0; i < 4; ++i) root = 0.5 * (root + m / root);
    using detail::double_double;
    auto const remainder = double_double{m} - double_double{root} * root;
    root = (double_double{root} + remainder.high / (2.0 * root)).high;
    return root * detail::power_of_two(subnormal ? half - 27 : half);
}

/// tanh x = -e / (2 + e), e = e^-2x - 1
constexpr double tanh(double x) {
    if (isnan(x) || fabs(x) < 0x1p-30) return x;
    if (fabs(x) > 20.0) return copysign(1.0, x);
    auto const e = detail::exponential(-2.0 * fabs(x));
    auto const minus_one = e.minus_one + detail::exact_sum(1.0, -detail::power_of_two(-e.exponent));
    auto const scale = detail::power_of_two(e.exponent);
    auto const expm1 = detail::double_double{minus_one.high * scale, minus_one.low * scale};
    return copysign((expm1 / (expm1 + 2.0)).high, x);
}

constexpr double sin(double x) {
    if (isinf(x)) return detail::quiet_nan;
    if (isnan(x) || fabs(x) < 0x1p-30) return x;
    auto const magnitude = detail::sine_of_turned(detail::reduce_angle(fabs(x)));
    return x < 0.0 ? -magnitude : magnitude;
}

constexpr double cos(double x) {
    if (isinf(x)) return detail::quiet_nan;
    if (isnan(x)) return x;
    auto const angle = detail::reduce_angle(fabs(x));
    return detail::sine_of_turned({angle.rest, angle.quarters + 1});
}

/// x^y = e^(y log |x|), with the sign of an odd integer y's power
constexpr double pow(double x, double y) {
    if (x == 1.0 || y == 0.0) return 1.0;
    if (isnan(x) || isnan(y)) return detail::quiet_nan;
    auto const integer = floor(y) == y;
    auto const odd = integer && floor(0.5 * y) != 0.5 * y;
    auto const sign = odd ? copysign(1.0, x) : 1.0;
    if (x == -1.0 && isinf(y)) return 1.0;
    auto const above = (fabs(x) > 1.0) == (y > 0.0); // the magnitude is above 1
    if (x == 0.0 || isinf(x) || isinf(y)) return above ? sign * detail::infinity : sign * 0.0;
    if (x < 0.0 && !integer) return detail::quiet_nan;
    if (fabs(x) == 1.0) return sign;
    auto const exponent = y > 0x1p70 ? 0x1p70 : y < -0x1p70 ? -0x1p70 : y; // over- or underflows either way
    auto const log_of_power = detail::logarithm(fabs(x)) * exponent;
    if (log_of_power.high > 710.0) return sign * detail::infinity;
    if (log_of_power.high < -746.0) return sign * 0.0;
    auto const e = detail::exponential(log_of_power);
    return sign * detail::scaled((e.minus_one + 1.0).high, e.exponent);
}

constexpr bool isnan(float x) { return x != x; }
constexpr bool isinf(float x) { return isinf(double{x}); }
constexpr bool isfinite(float x) { return isfinite(double{x}); }
constexpr float fabs(float x) { return static_cast<float>(fabs(double{x})); }
constexpr float copysign(float magnitude, float sign) {
    return static_cast<float>(copysign(double{magnitude}, double{sign}));
}
constexpr float floor(float x) { return static_cast<float>(floor(double{x})); }
constexpr float exp(float x) { return detail::to_float(exp(double{x})); }
constexpr float expm1(float x) { return detail::to_float(expm1(double{x})); }
constexpr float log(float x) { return detail::to_float(log(double{x})); }
constexpr float log1p(float x) { return detail::to_float(log1p(double{x})); }
constexpr float sqrt(float x) { return detail::to_float(sqrt(double{x})); }
constexpr float tanh(float x) { return detail::to_float(tanh(double{x})); }
constexpr float sin(float x) { return detail::to_float(sin(double{x})); }
constexpr float cos(float x) { return detail::to_float(cos(double{x})); }
constexpr float pow(float x, float y) { return detail::to_float(pow(double{x}, double{y})); }

} // namespace poise::math::constant
