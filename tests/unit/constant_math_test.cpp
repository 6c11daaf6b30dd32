#include "special_values.hpp"

#include "poise/core/constant_math.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

// The functions are evaluated twice: by the compiler, and by the machine, whose code may fuse products with sums.
namespace constant_math_test { // the C library's functions have these names globally

namespace {

namespace constant = poise::math::constant;
using limits = std::numeric_limits<double>;

constexpr auto infinity = limits::infinity();
constexpr auto nan = limits::quiet_NaN();

/// The same number, zeros told apart by their sign; NaN is NaN.
constexpr bool same(double a, double b) {
    if (a != a || b != b) return a != a && b != b;
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

/// One unit in the last place of x
constexpr double unit(double x) {
    auto const bits = std::bit_cast<std::uint64_t>(constant::fabs(x));
    auto const exponent = static_cast<int>(bits >> 52);
    if (exponent <= 52)
        return limits::denorm_min() * static_cast<double>(std::uint64_t{1} << (exponent ? exponent - 1 : 0));
    return std::bit_cast<double>(static_cast<std::uint64_t>(exponent - 52) << 52);
}

/// Units in the last place between a result and high + low
constexpr double error(double result, double high, double low) {
    if (constant::isnan(result)) return infinity;
    if (constant::isinf(result)) return infinity;
    return constant::fabs((result - high) - low) / unit(high);
}

template <class Table, class Function>
constexpr double greatest_error(Table const& table, Function f) {
    auto greatest = 0.0;
    for (auto const& entry : table) {
        auto const e = error(f(entry.x), entry.high, entry.low);
        greatest = e > greatest ? e : greatest;
    }
    return greatest;
}

constexpr auto exp = [](double x) { return constant::exp(x); };
constexpr auto expm1 = [](double x) { return constant::expm1(x); };
constexpr auto log = [](double x) { return constant::log(x); };
constexpr auto log1p = [](double x) { return constant::log1p(x); };
constexpr auto sqrt = [](double x) { return constant::sqrt(x); };
constexpr auto tanh = [](double x) { return constant::tanh(x); };
constexpr auto sin = [](double x) { return constant::sin(x); };
constexpr auto cos = [](double x) { return constant::cos(x); };
constexpr auto erf = [](double x) { return constant::erf(x); };
constexpr auto erfc = [](double x) { return constant::erfc(x); };
constexpr auto log_gamma = [](double x) { return constant::log_gamma(x); };
constexpr auto floor = [](double x) { return constant::floor(x); };

constexpr double greatest_error_of_powers() {
    auto greatest = 0.0;
    for (auto const& entry : special_values::pow) {
        auto const e = error(constant::pow(entry.x, entry.y), entry.high, entry.low);
        greatest = e > greatest ? e : greatest;
    }
    return greatest;
}

// As the compiler evaluates them. The bounds are what was measured on 10,000 arguments each, rounded up.
static_assert(greatest_error(special_values::exp, exp) < 0.8);
static_assert(greatest_error(special_values::expm1, expm1) < 0.51);
static_assert(greatest_error(special_values::log, log) < 0.51);
static_assert(greatest_error(special_values::log1p, log1p) < 0.51);
static_assert(greatest_error(special_values::sqrt, sqrt) <= 0.5);
static_assert(greatest_error(special_values::tanh, tanh) < 0.51);
static_assert(greatest_error(special_values::sin, sin) < 0.51);
static_assert(greatest_error(special_values::cos, cos) < 0.51);
static_assert(greatest_error(special_values::erf, erf) < 0.8);
static_assert(greatest_error(special_values::erfc, erfc) < 0.8);
static_assert(greatest_error(special_values::log_gamma, log_gamma) < 0.6);
static_assert(greatest_error_of_powers() < 0.8);

// Known values
static_assert(same(exp(0.0), 1.0) && same(exp(-0.0), 1.0) && same(exp(infinity), infinity));
static_assert(same(exp(-infinity), 0.0) && same(exp(nan), nan));
static_assert(same(exp(1.0), 0x1.5bf0a8b145769p1));
static_assert(exp(709.782712893384) < infinity && same(exp(709.7827128933841), infinity));
static_assert(same(exp(-745.1332191019411), limits::denorm_min()) && same(exp(-745.1332191019412), 0.0));
static_assert(same(exp(limits::max()), infinity) && same(exp(limits::lowest()), 0.0));

static_assert(same(expm1(0.0), 0.0) && same(expm1(-0.0), -0.0) && same(expm1(infinity), infinity));
static_assert(same(expm1(-infinity), -1.0) && same(expm1(nan), nan) && same(expm1(-1e300), -1.0));
static_assert(same(expm1(709.7827128933841), infinity));

static_assert(same(log(1.0), 0.0) && same(log(0.0), -infinity) && same(log(-0.0), -infinity));
static_assert(same(log(infinity), infinity) && same(log(-1.0), nan) && same(log(-infinity), nan) &&
              same(log(nan), nan));
static_assert(same(log(2.0), 0x1.62e42fefa39efp-1));

static_assert(same(log1p(0.0), 0.0) && same(log1p(-0.0), -0.0) && same(log1p(-1.0), -infinity));
static_assert(same(log1p(-2.0), nan) && same(log1p(infinity), infinity) && same(log1p(-infinity), nan));
static_assert(same(log1p(nan), nan));

static_assert(same(sqrt(0.0), 0.0) && same(sqrt(-0.0), -0.0) && same(sqrt(infinity), infinity));
static_assert(same(sqrt(-1.0), nan) && same(sqrt(-infinity), nan) && same(sqrt(nan), nan));
static_assert(same(sqrt(4.0), 2.0) && same(sqrt(0x1p-1074), 0x1p-537) && same(sqrt(0x1p1022), 0x1p511));

static_assert(same(tanh(0.0), 0.0) && same(tanh(-0.0), -0.0) && same(tanh(infinity), 1.0));
static_assert(same(tanh(-infinity), -1.0) && same(tanh(nan), nan) && same(tanh(-1e300), -1.0));

static_assert(same(sin(0.0), 0.0) && same(sin(-0.0), -0.0) && same(sin(infinity), nan) && same(sin(nan), nan));
static_assert(same(cos(0.0), 1.0) && same(cos(-0.0), 1.0) && same(cos(-infinity), nan) && same(cos(nan), nan));

static_assert(same(erf(0.0), 0.0) && same(erf(-0.0), -0.0) && same(erf(infinity), 1.0) && same(erf(-infinity), -1.0));
static_assert(same(erf(nan), nan) && same(erf(6.0), 1.0) && same(erf(-1e300), -1.0));
static_assert(same(erfc(0.0), 1.0) && same(erfc(-0.0), 1.0) && same(erfc(infinity), 0.0));
static_assert(same(erfc(-infinity), 2.0) && same(erfc(nan), nan) && same(erfc(1e300), 0.0) && same(erfc(-6.0), 2.0));
static_assert(erfc(27.22) > 0.0 && same(erfc(27.3), 0.0));

static_assert(same(log_gamma(1.0), 0.0) && same(log_gamma(2.0), 0.0) && same(log_gamma(3.0), log(2.0)));
static_assert(same(log_gamma(0.0), infinity) && same(log_gamma(-0.0), infinity) && same(log_gamma(-3.0), infinity));
static_assert(same(log_gamma(infinity), infinity) && same(log_gamma(-infinity), infinity) && same(log_gamma(nan), nan));
static_assert(log_gamma(2.55e305) < infinity && same(log_gamma(2.57e305), infinity));
static_assert(same(log_gamma(limits::max()), infinity) && same(log_gamma(limits::lowest()), infinity));

static_assert(same(floor(-0.0), -0.0) && same(floor(0.75), 0.0) && same(floor(-0.25), -1.0) && same(floor(-2.0), -2.0));
static_assert(same(floor(1e300), 1e300) && same(floor(-infinity), -infinity) && same(floor(nan), nan));
static_assert(same(floor(4503599627370495.5), 4503599627370495.0) && same(floor(-5e-324), -1.0));

static_assert(same(constant::fabs(-0.0), 0.0) && same(constant::fabs(-infinity), infinity));
static_assert(same(constant::copysign(2.0, -0.0), -2.0) && same(constant::copysign(-2.0, 1.0), 2.0));
static_assert(constant::isnan(nan) && !constant::isnan(infinity) && constant::isinf(-infinity) &&
              !constant::isinf(nan));
static_assert(constant::isfinite(limits::max()) && !constant::isfinite(infinity) && !constant::isfinite(nan));

// C17, F.10.4.4
constexpr auto pow = [](double x, double y) { return constant::pow(x, y); };
static_assert(same(pow(nan, 0.0), 1.0) && same(pow(1.0, nan), 1.0) && same(pow(nan, 1.0), nan) &&
              same(pow(2.0, nan), nan));
static_assert(same(pow(0.0, 3.0), 0.0) && same(pow(-0.0, 3.0), -0.0) && same(pow(-0.0, 2.0), 0.0));
static_assert(same(pow(0.0, -3.0), infinity) && same(pow(-0.0, -3.0), -infinity) && same(pow(-0.0, -0.5), infinity));
static_assert(same(pow(0.5, infinity), 0.0) && same(pow(-2.0, infinity), infinity) && same(pow(-1.0, -infinity), 1.0));
static_assert(same(pow(0.5, -infinity), infinity) && same(pow(2.0, -infinity), 0.0) && same(pow(0.0, infinity), 0.0));
static_assert(same(pow(infinity, -1.0), 0.0) && same(pow(-infinity, 3.0), -infinity) &&
              same(pow(-infinity, -3.0), -0.0));
static_assert(same(pow(-infinity, 2.5), infinity) && same(pow(-2.0, 0.5), nan) && same(pow(-8.0, 3.0), -512.0));
static_assert(same(pow(2.0, 1024.0), infinity) && same(pow(-2.0, 1025.0), -infinity) && same(pow(2.0, -1076.0), 0.0));
static_assert(same(pow(2.0, -1074.0), limits::denorm_min()) && same(pow(0.1, 1e300), 0.0) &&
              same(pow(10.0, 1e300), infinity));
static_assert(same(pow(3.0, 20.0), 3486784401.0) && same(pow(9.0, 0.5), 3.0) && same(pow(-1.0, 1e300), 1.0));

// float is double rounded, with float's own range.
static_assert(constant::exp(88.7f) < std::numeric_limits<float>::infinity());
static_assert(constant::exp(88.8f) == std::numeric_limits<float>::infinity() && constant::exp(-104.0f) == 0.0f);
static_assert(constant::exp(-103.0f) == std::numeric_limits<float>::denorm_min());
static_assert(constant::sqrt(2.0f) == 0x1.6a09e6p0f && constant::log(2.0f) == 0x1.62e43p-1f);
static_assert(constant::pow(-10.0f, 39.0f) == -std::numeric_limits<float>::infinity());
static_assert(constant::floor(-0.5f) == -1.0f && constant::isnan(constant::log(-1.0f)));
static_assert(constant::log_gamma(1e38f) == std::numeric_limits<float>::infinity());

// The functions' own errors and the C library's, in units in the last place of the result.
template <class Mine, class Theirs, class Arguments>
double greatest_difference(Mine mine, Theirs theirs, Arguments arguments) {
    auto engine = std::mt19937_64{7};
    auto greatest = 0.0;
    for (int i = 0; i < 100'000; ++i) {
        auto const x = arguments(engine);
        auto const expected = theirs(x), got = mine(x);
        if (same(expected, got)) continue;
        auto const e = error(got, expected, 0.0);
        greatest = e > greatest ? e : greatest;
    }
    return greatest;
}

auto between(double low, double high) {
    return [=](auto& engine) { return std::uniform_real_distribution<>(low, high)(engine); };
}

/// Any bits at all: NaN, infinities and subnormals too
double any_number(std::mt19937_64& engine) { return std::bit_cast<double>(std::uint64_t{engine()}); }

} // namespace

TEST_CASE("constant functions: errors when run, against mpmath") {
    CHECK(greatest_error(special_values::exp, exp) < 0.8);
    CHECK(greatest_error(special_values::expm1, expm1) < 0.51);
    CHECK(greatest_error(special_values::log, log) < 0.51);
    CHECK(greatest_error(special_values::log1p, log1p) < 0.51);
    CHECK(greatest_error(special_values::sqrt, sqrt) <= 0.5);
    CHECK(greatest_error(special_values::tanh, tanh) < 0.51);
    CHECK(greatest_error(special_values::sin, sin) < 0.51);
    CHECK(greatest_error(special_values::cos, cos) < 0.51);
    CHECK(greatest_error(special_values::erf, erf) < 0.8);
    CHECK(greatest_error(special_values::erfc, erfc) < 0.8);
    CHECK(greatest_error(special_values::log_gamma, log_gamma) < 0.6);
    CHECK(greatest_error_of_powers() < 0.8);
}

TEST_CASE("constant functions agree with the C library at random arguments") {
    // The bounds leave 1 unit for the C library; its log gamma and erfc need more.
    CHECK(greatest_difference(exp, [](double x) { return std::exp(x); }, between(-750, 715)) <= 1.0);
    CHECK(greatest_difference(expm1, [](double x) { return std::expm1(x); }, between(-50, 50)) <= 1.0);
    CHECK(greatest_difference(expm1, [](double x) { return std::expm1(x); }, between(-1, 1)) <= 1.0);
    CHECK(greatest_difference(log, [](double x) { return std::log(x); }, any_number) <= 1.0);
    CHECK(greatest_difference(log, [](double x) { return std::log(x); }, between(0, 2)) <= 1.0);
    CHECK(greatest_difference(log1p, [](double x) { return std::log1p(x); }, any_number) <= 1.0);
    CHECK(greatest_difference(log1p, [](double x) { return std::log1p(x); }, between(-1, 1)) <= 1.0);
    CHECK(greatest_difference(sqrt, [](double x) { return std::sqrt(x); }, any_number) == 0.0);
    CHECK(greatest_difference(tanh, [](double x) { return std::tanh(x); }, between(-25, 25)) <= 2.0);
    CHECK(greatest_difference(tanh, [](double x) { return std::tanh(x); }, between(-1, 1)) <= 2.0);
    CHECK(greatest_difference(sin, [](double x) { return std::sin(x); }, any_number) <= 1.0);
    CHECK(greatest_difference(cos, [](double x) { return std::cos(x); }, any_number) <= 1.0);
    CHECK(greatest_difference(sin, [](double x) { return std::sin(x); }, between(-20, 20)) <= 1.0);
    CHECK(greatest_difference(cos, [](double x) { return std::cos(x); }, between(-20, 20)) <= 1.0);
    CHECK(greatest_difference(floor, [](double x) { return std::floor(x); }, any_number) == 0.0);
    CHECK(greatest_difference(floor, [](double x) { return std::floor(x); }, between(-100, 100)) == 0.0);
    CHECK(greatest_difference(erf, [](double x) { return std::erf(x); }, between(-7, 7)) <= 1.0);
    CHECK(greatest_difference(erfc, [](double x) { return std::erfc(x); }, between(-7, 28)) <= 4.0);
    CHECK(greatest_difference(log_gamma, [](double x) { return std::lgamma(x); }, between(0, 40)) <= 4.0);
    CHECK(greatest_difference([](double x) { return constant::pow(x, 10 * x - 7); },
                              [](double x) { return std::pow(x, 10 * x - 7); }, between(0, 30)) <= 1.0);
    CHECK(greatest_difference([](double x) { return constant::pow(x, 0.37); },
                              [](double x) { return std::pow(x, 0.37); }, any_number) <= 1.0);
}

TEST_CASE("constant functions of float agree with the C library at random arguments") {
    auto engine = std::mt19937_64{11};
    for (int i = 0; i < 20'000; ++i) {
        auto const x = std::bit_cast<float>(static_cast<std::uint32_t>(engine()));
        auto const near = [](float mine, double exact) { // half a unit of float, and double's error before it
            auto const rounded = static_cast<float>(exact);
            return same(mine, rounded) || std::nextafter(mine, rounded) == rounded;
        };
        CAPTURE(x);
        CHECK(near(constant::exp(x), std::exp(double{x})));
        CHECK(near(constant::log(x), std::log(double{x})));
        CHECK(near(constant::tanh(x), std::tanh(double{x})));
        CHECK(near(constant::erfc(x), std::erfc(double{x})));
        CHECK(same(constant::sqrt(x), std::sqrt(x)));
        CHECK(same(constant::floor(x), std::floor(x)));
    }
}

} // namespace constant_math_test
