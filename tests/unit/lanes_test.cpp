#include "everywhere.hpp"

#include "poise/core/lanes.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <limits>

namespace {

using namespace poise;

/// How many representable numbers lie between a result and the exact value, which is known in a wider type.
template <class T, class Wide>
double error_in_ulp(T actual, Wide exact) {
    auto const nearest = static_cast<T>(exact);
    if (std::isnan(exact)) return std::isnan(actual) ? 0 : 1e300;
    if (std::isinf(nearest) || std::isinf(actual)) return actual == nearest ? 0 : 1e300;
    auto const magnitude = std::max(std::abs(nearest), std::numeric_limits<T>::min());
    auto const ulp = std::nextafter(magnitude, std::numeric_limits<T>::infinity()) - magnitude;
    return static_cast<double>(std::abs(static_cast<Wide>(actual) - exact) / static_cast<Wide>(ulp));
}

/// The largest error of a function of packs over [low, high], and of its tail of a few special values.
template <class T, class Function, class Reference>
double worst_error(Function function, Reference reference, double low, double high) {
    using pack = lanes<T>;
    constexpr auto packs = 40'000 / pack::size;
    auto worst = 0.0;
    for (std::size_t p = 0; p < packs; ++p) {
        auto x = std::array<T, pack::size>{};
        for (std::size_t i = 0; i < pack::size; ++i) {
            auto const where = random::address{.seed = 5, .index = static_cast<std::uint32_t>(p * pack::size + i)};
            x[i] = static_cast<T>(low + (high - low) * random::uniform<double>(where));
        }
        auto const y = function(pack::load(x.data())).to_array();
        for (std::size_t i = 0; i < pack::size; ++i)
            worst = std::max(worst, error_in_ulp(y[i], reference(static_cast<long double>(x[i]))));
    }
    return worst;
}

#define POISE_WITHIN(function, low, high, ulp_double, ulp_float)                                                       \
    SUBCASE(#function) {                                                                                               \
        auto const reference = [](long double x) { return std::function(x); };                                         \
        auto const packed = [](auto x) { return math::function(x); };                                                  \
        CHECK(worst_error<double>(packed, reference, low, high) <= ulp_double);                                        \
        CHECK(worst_error<float>(packed, reference, low, high) <= ulp_float);                                          \
    }

TEST_CASE("functions of packs are within a few units in the last place of the exact value") {
    POISE_WITHIN(exp, -80, 80, 1, 2)
    POISE_WITHIN(expm1, -5, 5, 2, 2)
    POISE_WITHIN(expm1, -1e-6, 1e-6, 1, 1)
    POISE_WITHIN(expm1, -60, 88.7, 2, 2)
    POISE_WITHIN(log, 1e-6, 1e6, 1, 1)
    POISE_WITHIN(log1p, -0.9, 10, 2, 2)
    POISE_WITHIN(sqrt, 0, 1e6, 0.5, 0.5)
    POISE_WITHIN(tanh, -9, 9, 2.6, 2.6)
    POISE_WITHIN(tanh, -0.5, 0.5, 2.6, 2.6)
    POISE_WITHIN(tanh, -1e-6, 1e-6, 2, 2)
    POISE_WITHIN(tanh, -60, 60, 2, 2)
    POISE_WITHIN(sin, -30, 30, 2, 2)
    POISE_WITHIN(cos, -30, 30, 2, 2)
    POISE_WITHIN(erf, -4, 4, 1, 1)
    POISE_WITHIN(erfc, -2, 5, 5, 5) // what glibc states of its own
    POISE_WITHIN(floor, -1000, 1000, 0, 0)
}
#undef POISE_WITHIN

/// Function objects of poise::math that take one argument, at values where something special happens.
template <class T, class Function>
void check_special(char const* name, Function function) {
    using pack = lanes<T>;
    constexpr auto infinity = std::numeric_limits<T>::infinity();
    for (auto const value :
         {T(0), T(-0.0), T(1), T(-1), infinity, -infinity, std::numeric_limits<T>::quiet_NaN(), T(1000), T(-1000), T(2),
          std::numeric_limits<T>::max(), std::numeric_limits<T>::lowest()}) {
        auto const expected = function(value);
        auto const actual = function(pack(value))[pack::size - 1];
        CAPTURE(std::string(name));
        CAPTURE(value);
        if (std::isnan(expected))
            CHECK(std::isnan(actual));
        else if (std::isinf(expected) || expected == 0)
            CHECK(actual == expected);
        else
            CHECK(std::abs(actual - expected) <= 8 * std::numeric_limits<T>::epsilon() * std::abs(expected));
    }
}

TEST_CASE_TEMPLATE("packs do at zeros, infinities, NaN and overflow what scalars do", T, double, float) {
    check_special<T>("exp", math::exp);
    check_special<T>("expm1", math::expm1);
    check_special<T>("log", math::log);
    check_special<T>("log1p", math::log1p);
    check_special<T>("sqrt", math::sqrt);
    check_special<T>("tanh", math::tanh);
    check_special<T>("erf", math::erf);
    check_special<T>("erfc", math::erfc);
    check_special<T>("floor", math::floor);
    check_special<T>("abs", math::abs);
    check_special<T>("sigmoid", math::sigmoid);
    check_special<T>("softplus", math::softplus);
    check_special<T>("log_sigmoid", math::log_sigmoid);
    check_special<T>("log_gamma", math::log_gamma);
    check_special<T>("digamma", math::digamma);
}

TEST_CASE_TEMPLATE("odd functions of packs keep the sign of zero", T, double, float) {
    using pack = lanes<T>;
    for (auto const zero : {T(0), T(-0.0)}) {
        CHECK(std::signbit(math::expm1(pack(zero))[0]) == std::signbit(zero));
        CHECK(std::signbit(math::tanh(pack(zero))[0]) == std::signbit(zero));
    }
}

TEST_CASE_TEMPLATE("min, max, select, comparisons, masks", T, double, float) {
    using pack = lanes<T>;
    constexpr auto nan = std::numeric_limits<T>::quiet_NaN();
    auto const one = pack(T(1)), two = pack(T(2)), none = pack(nan);
    CHECK(math::max(one, two)[0] == 2);
    CHECK(math::min(one, two)[0] == 1);
    CHECK(math::clamp(pack(T(7)), one, two)[0] == 2);
    for (auto const value : {math::max(one, none), math::max(none, one), math::min(one, none), math::min(none, one),
                             math::clamp(none, one, two)})
        CHECK(std::isnan(value[pack::size - 1]));
    CHECK(all(math::isnan(none)));
    CHECK(!any(math::isnan(one)));
    CHECK(all(none != none));
    CHECK(!any(none == none));
    CHECK(!any((none < one) | (none > one) | (none <= one) | (none >= one)));
    CHECK(all(math::isinf(pack(-std::numeric_limits<T>::infinity()))));
    CHECK(!any(math::isfinite(none)));
    CHECK(all(math::isfinite(one)));

    auto const ramp = pack::iota(T(0));
    auto const chosen = math::select(ramp < pack(T(1)), ramp + pack(T(10)), T(5));
    CHECK(chosen[0] == 10);
    CHECK(chosen[1] == 5);
    CHECK(any(ramp < one));
    CHECK(!all(ramp < one));
    CHECK(all(!(ramp < pack(T(0)))));
    CHECK(all((ramp < one) ^ (ramp >= one)));
}

TEST_CASE_TEMPLATE("powers", T, double, float) {
    using pack = lanes<T>;
    for (auto const base : {T(0.3), T(1), T(2.5), T(100)})
        for (auto const exponent : {T(-2.5), T(0), T(0.5), T(1), T(3)}) {
            // e^{exponent log base} magnifies the rounding of its argument.
            auto const expected = std::pow(base, exponent);
            auto const error = (2 + 2 * std::abs(exponent * std::log(base))) * std::numeric_limits<T>::epsilon();
            CHECK(std::abs(math::pow(pack(base), pack(exponent))[0] - expected) <= error * expected);
        }
    CHECK(math::pow(pack(T(0)), pack(T(2)))[0] == 0);
    CHECK(math::pow(pack(T(0)), pack(T(0)))[0] == 1);
    CHECK(math::pow(pack(T(-2)), pack(T(3)))[0] == doctest::Approx(-8));
    CHECK(std::isnan(math::pow(pack(T(-2)), pack(T(0.5)))[0]));
    CHECK(math::pow(pack(T(0)), pack(T(-0.5)))[0] == std::numeric_limits<T>::infinity());
    CHECK(std::isnan(math::pow(pack(T(0)), pack(std::numeric_limits<T>::quiet_NaN()))[0]));
}

} // namespace

namespace {

/// The greatest error of lanes' exp in ULP over `count` arguments from `first` to `last`, against a wider type.
template <class T, class Wider>
double greatest_exp_error(T first, T last, std::size_t count) {
    using pack = poise::lanes<T>;
    auto greatest = 0.0;
    for (std::size_t i = 0; i < count; i += pack::size) {
        auto x = std::array<T, pack::size>{};
        for (std::size_t j = 0; j < pack::size; ++j)
            x[j] = first + (last - first) * (static_cast<T>(i + j) / static_cast<T>(count));
        auto const found = poise::math::exp(pack::load(x.data())).to_array();
        for (std::size_t j = 0; j < pack::size; ++j) {
            auto const exact = std::exp(Wider(x[j]));
            auto const rounded = static_cast<T>(exact);
            if (std::isinf(rounded) || std::isinf(found[j])) {
                if (rounded != found[j]) return std::numeric_limits<double>::infinity();
                continue;
            }
            auto const ulp = std::nextafter(rounded, std::numeric_limits<T>::infinity()) - rounded;
            greatest = std::max(greatest, static_cast<double>(std::abs(Wider(found[j]) - exact) / Wider(ulp)));
        }
    }
    return greatest;
}

} // namespace

TEST_CASE("lanes' exp is within 1.1 ULP from the subnormal numbers to overflow") {
    CHECK(greatest_exp_error<float, double>(-105, 90, 1'000'000) < 1.1);
    CHECK(greatest_exp_error<float, double>(88.5F, 88.8F, 100'000) < 1.1);
    CHECK(greatest_exp_error<double, long double>(-746, 711, 300'000) < 1.1);
    CHECK(greatest_exp_error<double, long double>(709.6, 709.9, 100'000) < 1.1);
    CHECK(greatest_exp_error<double, long double>(-0.5, 0.5, 100'000) < 1.1);
}

TEST_CASE_TEMPLATE("lanes' log takes subnormal numbers", T, float, double) {
    using limits = std::numeric_limits<T>;
    for (auto const x : {limits::denorm_min(), 5 * limits::denorm_min(), limits::min() / 3, limits::min()}) {
        auto const found = poise::math::log(poise::lanes<T>(x)).to_array()[0];
        CHECK(std::abs(found - std::log(x)) <= 4 * limits::epsilon() * std::abs(std::log(x)));
    }
}
