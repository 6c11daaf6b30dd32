#pragma once

#include <bit>
#include <cstdint>

namespace poise::math::constant::detail {

/// The unevaluated sum high + low, |low| <= ulp(high) / 2: a number of about 104 bits (Dekker 1971).
/// Right also where the compiler contracts a b + c: every product that must be exact is, so fusing it changes nothing.
struct double_double {
    double high;
    double low;
    constexpr double_double(double h, double l = 0.0) : high(h), low(l) {}
};

/// a + b without error (Knuth).
constexpr double_double exact_sum(double a, double b) {
    auto const sum = a + b;
    auto const b_in_sum = sum - a;
    return {sum, (a - (sum - b_in_sum)) + (b - b_in_sum)};
}

/// x rounded to its leading 26 bits. What is left has at most 26 bits too.
constexpr double leading_half(double x) {
    auto const half_a_unit = std::uint64_t{1} << 26;
    return std::bit_cast<double>((std::bit_cast<std::uint64_t>(x) + half_a_unit) & ~(2 * half_a_unit - 1));
}

constexpr double_double operator-(double_double a) { return {-a.high, -a.low}; }

constexpr double_double operator+(double_double a, double_double b) {
    auto const high = exact_sum(a.high, b.high);
    auto const low = exact_sum(a.low, b.low);
    auto const sum = exact_sum(high.high, high.low + low.high);
    return exact_sum(sum.high, sum.low + low.low);
}

constexpr double_double operator-(double_double a, double_double b) { return a + -b; }

constexpr double_double operator*(double_double a, double_double b) {
    auto const a1 = leading_half(a.high), a2 = a.high - a1;
    auto const b1 = leading_half(b.high), b2 = b.high - b1;
    auto const product = exact_sum(a1 * b1, a1 * b2 + a2 * b1);
    return exact_sum(product.high, product.low + (a2 * b2 + (a.high * b.low + a.low * b.high)));
}

constexpr double_double operator/(double_double a, double_double b) {
    auto const quotient = a.high / b.high;
    return exact_sum(quotient, (a - b * quotient).high / b.high);
}

} // namespace poise::math::constant::detail
