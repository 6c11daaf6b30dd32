#pragma once

#include "poise/core/math.hpp"

#include <ostream>

namespace poise {

/// A forward-mode dual number value + derivative·ε, ε² = 0: evaluating a formula on it gives the value and the
/// derivative in one direction. `dual<dual<double>>` gives second derivatives. Comparisons look at the value only;
/// where two branches meet (`select`, `max`, `abs`) the derivative is that of the branch taken.
template <scalar T>
struct dual {
    T value{};
    T derivative{};

    constexpr dual() = default;
    constexpr dual(T v) : value(v), derivative(T(0)) {}
    constexpr dual(T v, T d) : value(v), derivative(d) {}
    template <class Number>
        requires(std::is_arithmetic_v<Number> && !std::same_as<Number, T>)
    constexpr explicit dual(Number v) : value(T(v)), derivative(T(0)) {}

    constexpr dual operator-() const { return {-value, -derivative}; }
    friend constexpr dual operator+(dual a, dual b) { return {a.value + b.value, a.derivative + b.derivative}; }
    friend constexpr dual operator-(dual a, dual b) { return {a.value - b.value, a.derivative - b.derivative}; }
    friend constexpr dual operator*(dual a, dual b) {
        return {a.value * b.value, a.derivative * b.value + a.value * b.derivative};
    }
    friend constexpr dual operator/(dual a, dual b) {
        auto const quotient = a.value / b.value;
        return {quotient, (a.derivative - quotient * b.derivative) / b.value};
    }
    constexpr dual& operator+=(dual b) { return *this = *this + b; }
    constexpr dual& operator-=(dual b) { return *this = *this - b; }
    constexpr dual& operator*=(dual b) { return *this = *this * b; }
    constexpr dual& operator/=(dual b) { return *this = *this / b; }

    friend constexpr auto operator==(dual a, dual b) { return a.value == b.value; }
    friend constexpr auto operator!=(dual a, dual b) { return a.value != b.value; }
    friend constexpr auto operator<(dual a, dual b) { return a.value < b.value; }
    friend constexpr auto operator<=(dual a, dual b) { return a.value <= b.value; }
    friend constexpr auto operator>(dual a, dual b) { return a.value > b.value; }
    friend constexpr auto operator>=(dual a, dual b) { return a.value >= b.value; }

    friend std::ostream& operator<<(std::ostream& out, dual x) {
        return out << x.value << " + " << x.derivative << " epsilon";
    }
};

/// The chain rule for each function of a scalar.
template <scalar T>
struct scalar_traits<dual<T>> {
    using real = real_of<T>;
    using mask = mask_of<T>;
    using D = dual<T>;

    static constexpr D select(mask const& m, D a, D b) {
        return {math::select(m, a.value, b.value), math::select(m, a.derivative, b.derivative)};
    }
    static constexpr D exp(D x) {
        auto const e = math::exp(x.value);
        return {e, e * x.derivative};
    }
    static constexpr D expm1(D x) {
        auto const e = math::expm1(x.value);
        return {e, (e + T(1)) * x.derivative};
    }
    static constexpr D log(D x) { return {math::log(x.value), x.derivative / x.value}; }
    static constexpr D log1p(D x) { return {math::log1p(x.value), x.derivative / (T(1) + x.value)}; }
    static constexpr D sqrt(D x) {
        auto const root = math::sqrt(x.value);
        return {root, x.derivative / (T(2) * root)};
    }
    static constexpr D tanh(D x) {
        auto const t = math::tanh(x.value);
        return {t, (T(1) - t * t) * x.derivative};
    }
    static constexpr D sin(D x) { return {math::sin(x.value), math::cos(x.value) * x.derivative}; }
    static constexpr D cos(D x) { return {math::cos(x.value), -math::sin(x.value) * x.derivative}; }
    static constexpr D erf(D x) { return {math::erf(x.value), error_slope(x.value) * x.derivative}; }
    static constexpr D erfc(D x) { return {math::erfc(x.value), -error_slope(x.value) * x.derivative}; }
    static constexpr D floor(D x) { return {math::floor(x.value), T(0)}; }
    static constexpr D log_gamma(D x) { return {math::log_gamma(x.value), math::digamma(x.value) * x.derivative}; }
    static constexpr D digamma(D x) { return {math::digamma(x.value), math::trigamma(x.value) * x.derivative}; }
    /// A zero exponent derivative leaves the logarithm out, so that a base <= 0 with a constant exponent is right.
    static constexpr D pow(D x, D y) {
        auto const p = math::pow(x.value, y.value);
        auto const in_base = math::select(y.value == T(0), T(0), y.value * math::pow(x.value, y.value - T(1)));
        auto const in_exponent = math::select(y.derivative == T(0), T(0), p * math::log(x.value) * y.derivative);
        return {p, in_base * x.derivative + in_exponent};
    }

private:
    static constexpr T error_slope(T x) {
        return T(1.1283791670955125738961589031) * math::exp(-x * x); // 2 / sqrt(pi)
    }
};

} // namespace poise
