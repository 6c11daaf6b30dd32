#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <numbers>
#include <utility>

/// Logarithm, exponential, sine and cosine that give the same bits with every compiler, on every CPU and on a GPU, so
/// that random draws do. They use IEEE-754 double operations only, and every product that meets a sum is fused by name:
/// nothing is left for a compiler to contract. (`-ffast-math` breaks the promise.) The errors, as tested: `log` and
/// `exp` below 1 unit in the last place, sine and cosine below 1.25.
namespace poise::random::exact {

static_assert(std::numeric_limits<double>::is_iec559);

// A template, because Clang lets a function be constexpr only if it can be; GCC evaluates these at compile time.
template <std::same_as<double> T>
constexpr T fma(T a, T b, T c) {
    return std::fma(a, b, c);
}
template <std::same_as<double> T>
constexpr T square_root(T x) {
    return std::sqrt(x);
}

/// a b, rounded, which no compiler may fuse into a sum it appears in. A product -0 comes out as +0.
constexpr double product(double a, double b) { return fma(a, b, 0.0); }

namespace detail {

// c_0 + x (c_1 + x (c_2 + ...))
constexpr double polynomial(double, double last) { return last; }
template <std::same_as<double>... Rest>
constexpr double polynomial(double x, double first, Rest... rest) {
    return fma(polynomial(x, rest...), x, first);
}

consteval double factorial(int n) { return n == 0 ? 1.0 : n * factorial(n - 1); } // exact up to 18!

} // namespace detail

/// n < 2^52 as a double: n is put into the last bits of 2^52. Unlike a conversion it runs in SIMD everywhere.
constexpr double whole(std::uint64_t n) {
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(0x1p52) | n) - 0x1p52;
}

/// log x for positive, finite, normal x.
/// x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt 2), and log(1 + f) = 2 artanh(s), s = f / (2 + f), by its power
/// series.
[[gnu::always_inline]] constexpr double log(double x) {
    constexpr auto log_2_high = 0x1.62e42fefa3p-1; // 41 bits: its multiples by an exponent are exact
    constexpr auto log_2_low = 0x1.3de6af278ece6p-42;
    // Adding what separates 1 from sqrt(1/2) makes the exponent field round where 1 + f is to change over.
    auto const bits = std::bit_cast<std::uint64_t>(x);
    auto const shifted = bits + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
    auto const e = whole(shifted >> 52) - 1023.0;
    auto const f = std::bit_cast<double>((shifted & 0x000fffffffffffff) + std::uint64_t{0x3fe6a09e667f3bcd}) - 1.0;

    auto const s = f / (2.0 + f);
    auto const z = s * s;
    auto const series = detail::polynomial(z, 2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15,
                                           2.0 / 17, 2.0 / 19, 2.0 / 21);
    // 2 artanh(s) = 2 s + s z series, and 2 s = f - f^2/2 + s f^2/2, whose leading term f has no rounding error.
    auto const half_square = 0.5 * f * f;
    auto const rest = fma(e, log_2_low, fma(s, fma(z, series, half_square), -half_square));
    return fma(e, log_2_high, f + rest);
}

/// e^x; 0 below -708 and infinity above 709, where the result nears the ends of the normal numbers.
/// x = k log 2 + r with |r| <= log(2)/2, and the Taylor series of e^r.
constexpr double exp(double x) {
    constexpr auto log_2_high = 0x1.62e42fefa39efp-1;
    constexpr auto log_2_low = 0x1.abc9e3b39803fp-56;
    if (x < -708.0) return 0.0;
    if (x > 709.0) return std::numeric_limits<double>::infinity();
    if (x != x) return x;
    constexpr auto shift = 0x1.8p52; // adding it rounds to an integer
    auto const k = fma(x, std::numbers::log2e, shift) - shift;
    auto const r = fma(-k, log_2_low, fma(-k, log_2_high, x));
    auto const series = [r]<int... n>(std::integer_sequence<int, n...>) {
        return detail::polynomial(r, (1.0 / detail::factorial(n + 2))...);
    }(std::make_integer_sequence<int, 12>{});
    auto const e_to_r = 1.0 + fma(r * r, series, r);
    auto const power = std::bit_cast<double>(static_cast<std::uint64_t>(static_cast<std::int64_t>(k) + 1023) << 52);
    return e_to_r * power; // exact
}

struct cosine_and_sine {
    double cosine;
    double sine;
};

/// (cos 2 pi t, sin 2 pi t) for t in [0, 1].
/// The angle is the quarter turn nearest to t plus at most an eighth of a turn, for which the Taylor series serve.
constexpr cosine_and_sine cosine_and_sine_of_turns(double t) {
    constexpr auto half_pi_high = 0x1.921fb54442d18p0;
    constexpr auto half_pi_low = 0x1.1a62633145c07p-54;
    auto const quarter = static_cast<int>(fma(4.0, t, 0.5));
    auto const r = fma(4.0, t, -static_cast<double>(quarter)); // exact
    auto const y = product(r, half_pi_high);
    auto const y_error = fma(r, half_pi_low, fma(r, half_pi_high, -y));
    auto const z = y * y;
    auto const sine_series = [z]<int... n>(std::integer_sequence<int, n...>) {
        return detail::polynomial(z, ((n % 2 ? 1.0 : -1.0) / detail::factorial(2 * n + 3))...);
    }(std::make_integer_sequence<int, 8>{});
    auto const cosine_series = [z]<int... n>(std::integer_sequence<int, n...>) {
        return detail::polynomial(z, ((n % 2 ? -1.0 : 1.0) / detail::factorial(2 * n + 4))...);
    }(std::make_integer_sequence<int, 7>{});
    auto const sine = y + fma(y * z, sine_series, y_error);
    auto const cosine = 1.0 - fma(-z * z, cosine_series, fma(y, y_error, 0.5 * z));
    switch (quarter % 4) {
    case 0:
        return {cosine, sine};
    case 1:
        return {-sine, cosine};
    case 2:
        return {-cosine, -sine};
    default:
        return {sine, -cosine};
    }
}

} // namespace poise::random::exact
