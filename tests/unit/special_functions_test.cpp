#include "special_values.hpp"

#include "poise/core/dual.hpp"
#include "poise/core/lanes.hpp"
#include "poise/core/math.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <utility>

namespace {

using poise::dual;
using poise::lanes;
using special_values::reference;
namespace math = poise::math;

template <class T>
constexpr auto infinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr auto nan = std::numeric_limits<T>::quiet_NaN();

template <class T>
constexpr bool same(T a, T b) {
    return a == b || (a != a && b != b);
}

// The template itself: math::log_gamma calls the C library for float and double.
constexpr auto log_gamma = [](auto x) { return math::detail::log_gamma(x); };
constexpr auto digamma = [](auto x) { return math::digamma(x); };
constexpr auto trigamma = [](auto x) { return math::trigamma(x); };

template <class T, class Function>
T in_lanes(Function f, T x) {
    auto const results = f(lanes<T>(x)).to_array();
    for (auto const result : results) CHECK(same(result, results[0]));
    return results[0];
}

constexpr auto relative_to_value = [](double value) { return math::abs(value); };
/// Where the function has zeros at which its error is not small beside its value
constexpr auto relative_to_one = [](double value) { return math::max(math::abs(value), 1.0); };

/// In epsilons of T
template <class T, class Scale>
constexpr double error(T result, reference const& expected, Scale scale) {
    return math::abs((double{result} - expected.high) - expected.low) /
           (scale(expected.high) * double{std::numeric_limits<T>::epsilon()});
}

template <std::size_t size, class Function, class Scale>
void check(reference const (&table)[size], bool negative, Function f, double bound, Scale scale) {
    for (auto const& entry : table) {
        if ((entry.x < 0) != negative) continue;
        CAPTURE(entry.x);
        CHECK(error(f(entry.x), entry, scale) < bound);
        if (std::isnormal(entry.x)) CHECK(error(in_lanes(f, entry.x), entry, scale) < bound); // xsimd's log needs that
    }
}

/// float against double, which is checked against the tables
template <class Function, class Scale>
void check_float(double low, double high, Function f, double bound, Scale scale) {
    auto engine = std::mt19937_64{3};
    for (int i = 0; i < 10'000; ++i) {
        auto const x = static_cast<float>(std::uniform_real_distribution<>(low, high)(engine));
        if (std::floor(x) == x) continue;
        CAPTURE(x);
        auto const expected = reference{x, f(double{x}), 0.0};
        CHECK(error(f(x), expected, scale) < bound);
        CHECK(error(in_lanes(f, x), expected, scale) < bound);
    }
}

template <class T>
void check_edges() {
    auto const check_both = [](auto f, T x, T expected) {
        CAPTURE(x);
        CHECK(same(f(x), expected));
        CHECK(same(in_lanes(f, x), expected));
    };
    auto const inf = infinity<T>;
    for (auto const pole : {T(0), T(-0.0), T(-1), T(-2), T(-1e20)}) {
        check_both(log_gamma, pole, inf);
        check_both(trigamma, pole, inf);
        if (pole < 0) check_both(digamma, pole, nan<T>);
    }
    check_both(digamma, T(0), -inf);
    check_both(digamma, T(-0.0), inf);
    check_both(log_gamma, inf, inf);
    check_both(log_gamma, -inf, inf);
    check_both(digamma, inf, inf);
    check_both(digamma, -inf, nan<T>);
    check_both(trigamma, inf, T(0));
    check_both(log_gamma, nan<T>, nan<T>);
    check_both(digamma, nan<T>, nan<T>);
    check_both(trigamma, nan<T>, nan<T>);
    check_both(log_gamma, T(1), T(0));
    check_both(log_gamma, T(2), T(0));
}

constexpr auto euler = 0.577215664901532860607;
constexpr auto pi_squared = 9.869604401089358618834;
constexpr auto zeta_of_3 = 1.202056903159594285400;
constexpr bool near(double a, double b) { return math::abs(a - b) < 2e-15 * math::max(math::abs(b), 1.0); }

static_assert(near(math::digamma(1.0), -euler) && near(math::digamma(2.0), 1 - euler));
static_assert(near(math::digamma(0.5), -euler - 2 * math::log(2.0)) &&
              near(math::digamma(-0.5), 2 - euler - 2 * math::log(2.0)));
static_assert(near(math::trigamma(1.0), pi_squared / 6) && near(math::trigamma(0.5), pi_squared / 2));
static_assert(near(math::trigamma(-0.5), pi_squared / 2 + 4));
static_assert(math::detail::log_gamma(1.0) == 0 && near(math::detail::log_gamma(0.5), math::log(pi_squared) / 4));
static_assert(near(math::detail::log_gamma(-0.5), math::log(2.0) + math::log(pi_squared) / 4));

} // namespace

TEST_CASE("log_gamma, digamma and trigamma of double against mpmath") {
    check(special_values::log_gamma, false, log_gamma, 3, relative_to_value);
    check(special_values::log_gamma, true, log_gamma, 6, relative_to_one);
    check(special_values::digamma, false, digamma, 12, relative_to_one);
    check(special_values::digamma, true, digamma, 12, relative_to_one);
    check(special_values::trigamma, false, trigamma, 4, relative_to_value);
    check(special_values::trigamma, true, trigamma, 4, relative_to_value);
}

TEST_CASE("log_gamma, digamma and trigamma of float against double") {
    check_float(0, 20, log_gamma, 3, relative_to_value);
    check_float(20, 1e6, log_gamma, 3, relative_to_value);
    check_float(-12, 0, log_gamma, 8, relative_to_one);
    check_float(0, 20, digamma, 12, relative_to_one);
    check_float(-12, 0, digamma, 12, relative_to_one);
    check_float(0, 20, trigamma, 4, relative_to_value);
    check_float(-12, 0, trigamma, 4, relative_to_value);
}

TEST_CASE("log_gamma, digamma and trigamma at poles, infinities and NaN") {
    check_edges<double>();
    check_edges<float>();
}

TEST_CASE("log_gamma, digamma and trigamma are each other's derivatives") {
    for (auto const x : {-7.6, -2.3, -0.5, 0.25, 0.8, 1.0, 1.5, 2.0, 3.7, 7.9, 8.0, 12.5, 200.0}) {
        CAPTURE(x);
        auto const once = dual<double>{x, 1.0};
        CHECK(math::log_gamma(once).value == math::log_gamma(x));
        CHECK(math::log_gamma(once).derivative == math::digamma(x));
        CHECK(math::digamma(once).derivative == math::trigamma(x));
        // The templates themselves, differentiated step by step
        CHECK(math::detail::log_gamma(once).derivative == doctest::Approx(math::digamma(x)).epsilon(1e-13));
        CHECK(math::detail::digamma(once).derivative == doctest::Approx(math::trigamma(x)).epsilon(1e-13));
        auto const twice = dual<dual<double>>{once, dual<double>{1.0}};
        CHECK(math::log_gamma(twice).derivative.derivative == math::trigamma(x));
    }
    auto const third = [](double x) { return math::trigamma(dual<double>{x, 1.0}).derivative; };
    CHECK(third(1.0) == doctest::Approx(-2 * zeta_of_3).epsilon(1e-14));
    CHECK(third(2.0) == doctest::Approx(2 - 2 * zeta_of_3).epsilon(1e-14));
    CHECK(third(-0.5) == doctest::Approx(16 - 14 * zeta_of_3).epsilon(1e-12)); // digamma''(1/2) + 16
}

TEST_CASE("a pack's lanes are evaluated apart") {
    // Each lane takes another path: reflected, pole, near 2, by Stirling's series.
    double const arguments[] = {-2.5, -3.0, 1.5, 40.0};
    for (auto const& [name, f] : {std::pair{"digamma", +[](lanes<double> x) { return math::digamma(x); }},
                                  std::pair{"trigamma", +[](lanes<double> x) { return math::trigamma(x); }},
                                  std::pair{"log_gamma", +[](lanes<double> x) { return math::log_gamma(x); }}}) {
        CAPTURE(name);
        for (std::size_t shift = 0; shift < 4; ++shift) {
            auto mixed = std::array<double, lanes<double>::size>{};
            for (std::size_t i = 0; i < mixed.size(); ++i) mixed[i] = arguments[(i + shift) % 4];
            auto const results = f(lanes<double>::load(mixed.data())).to_array();
            for (std::size_t i = 0; i < mixed.size(); ++i) {
                CHECK(same(results[i], f(lanes<double>(mixed[i]))[0]));
            }
        }
    }
}
