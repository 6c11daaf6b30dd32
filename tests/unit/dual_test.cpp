#include "everywhere.hpp"

#include "poise/core/dual.hpp"
#include "poise/core/scan.hpp"
#include "poise/core/sort.hpp"

#include <doctest/doctest.h>

namespace {

using namespace poise;

/// (f(x + h) - f(x - h)) / 2h, extrapolated once.
template <class Function>
double finite_difference(Function const& function, double x) {
    auto const h = 1e-3 * std::max(1.0, std::abs(x)) * 0.1;
    auto const slope = [&](double step) { return (function(x + step) - function(x - step)) / (2 * step); };
    return (4 * slope(h / 2) - slope(h)) / 3;
}

template <class Function>
void check_derivative(char const* name, Function const& function, std::initializer_list<double> points) {
    for (auto const x : points) {
        auto const result = function(dual<double>(x, 1.0));
        CAPTURE(std::string(name));
        CAPTURE(x);
        CHECK(result.value == function(x));
        CHECK(everywhere::close(result.derivative, finite_difference(function, x), 1e-8));
        // The second derivative, by dual numbers of dual numbers.
        auto const nested = function(dual<dual<double>>({x, 1.0}, {1.0, 0.0}));
        auto const first = [&](double at) { return function(dual<double>(at, 1.0)).derivative; };
        CHECK(everywhere::close(nested.derivative.derivative, finite_difference(first, x), 1e-6));
    }
}
#define POISE_DERIVATIVE(function, ...)                                                                                \
    check_derivative(#function, [](auto x) { return math::function(x); }, {__VA_ARGS__})

TEST_CASE("derivatives of every function, first and second, agree with finite differences") {
    POISE_DERIVATIVE(exp, -3, 0, 0.7, 5);
    POISE_DERIVATIVE(expm1, -3, 0.01, 0.7, 5);
    POISE_DERIVATIVE(log, 0.1, 1, 7);
    POISE_DERIVATIVE(log1p, -0.5, 0.01, 3);
    POISE_DERIVATIVE(sqrt, 0.2, 1, 9);
    POISE_DERIVATIVE(tanh, -2, 0, 0.5, 3);
    POISE_DERIVATIVE(sin, -2, 0, 1, 9);
    POISE_DERIVATIVE(cos, -2, 0, 1, 9);
    POISE_DERIVATIVE(erf, -2, 0, 0.4, 2);
    POISE_DERIVATIVE(erfc, -2, 0, 0.4, 2);
    POISE_DERIVATIVE(log_gamma, 0.3, 1.5, 4, 20);
    POISE_DERIVATIVE(sigmoid, -4, -0.1, 0.3, 6);
    POISE_DERIVATIVE(softplus, -4, -0.1, 0.3, 6);
    POISE_DERIVATIVE(log_sigmoid, -4, -0.1, 0.3, 6);
    POISE_DERIVATIVE(abs, -4, 3);
    check_derivative("x^3", [](auto x) { return math::pow(x, decltype(x)(3.0)); }, {-2, 0.5, 3});
    check_derivative("x^2.5", [](auto x) { return math::pow(x, decltype(x)(2.5)); }, {0.5, 3});
    check_derivative("2^x", [](auto x) { return math::pow(decltype(x)(2.0), x); }, {-2, 0.5, 3});
    check_derivative("x^x", [](auto x) { return math::pow(x, x); }, {0.5, 3});
    check_derivative("x log x", [](auto x) { return math::x_log_y(x, x); }, {0.5, 3});
    check_derivative("log(e^x + e^2)", [](auto x) { return math::log_add_exp(x, decltype(x)(2.0)); }, {-1, 1.5, 4});
    check_derivative("quotient", [](auto x) { return (x * x - decltype(x)(1.0)) / (x + decltype(x)(3.0)); }, {-1, 2});
    check_derivative("max", [](auto x) { return math::max(x * x, decltype(x)(2.0)); }, {-1, 2});
    check_derivative("clamp", [](auto x) { return math::clamp(x * x, decltype(x)(1.0), decltype(x)(4.0)); },
                     {0.5, 1.5, 3});
}
#undef POISE_DERIVATIVE

TEST_CASE("the first derivative of digamma is trigamma") {
    for (auto const x : {0.3, 1.0, 2.5, 12.0}) {
        CHECK(math::digamma(dual<double>(x, 1.0)).derivative == doctest::Approx(math::trigamma(x)).epsilon(1e-12));
        CHECK(everywhere::close(math::trigamma(x), finite_difference([](double at) { return math::digamma(at); }, x),
                                1e-7));
    }
}

TEST_CASE("comparisons and select look at the value; NaN makes value and derivative NaN") {
    auto const a = dual<double>(1, 5), b = dual<double>(1, 7), c = dual<double>(2, -1);
    CHECK(a == b);
    CHECK(a < c);
    CHECK(math::max(a, c).derivative == -1);
    CHECK(math::min(a, c).derivative == 5);
    CHECK(math::select(a < c, a, c).derivative == 5);
    auto const none = dual<double>(everywhere::nan, 0.0);
    CHECK(std::isnan(math::max(none, a).value));
    CHECK(std::isnan(math::max(a, none).value));
    CHECK(math::isnan(none));
}

TEST_CASE("verbs on rows of dual numbers: the derivative of log-sum-exp is the softmax, of a sort a permutation") {
    auto const logits = std::array{0.3, -1.0, 2.0, 0.0, 1.1};
    auto probabilities = logits;
    softmax(row(probabilities), row(logits));
    for (std::size_t j = 0; j < logits.size(); ++j) {
        auto x = std::array<dual<double>, 5>{};
        for (std::size_t k = 0; k < x.size(); ++k) x[k] = {logits[k], k == j ? 1.0 : 0.0};
        CHECK(log_sum_exp(row(x)).derivative == doctest::Approx(probabilities[j]).epsilon(1e-14));

        auto p = x;
        softmax(row(p), row(x));
        for (std::size_t k = 0; k < p.size(); ++k)
            CHECK(p[k].derivative == doctest::Approx(probabilities[k] * ((k == j) - probabilities[j])).epsilon(1e-13));

        auto prefixes = x;
        cumulative_log_sum_exp(row(prefixes), row(x));
        CHECK(prefixes[4].derivative == doctest::Approx(probabilities[j]).epsilon(1e-13));
        if (j > 0) CHECK(prefixes[j - 1].derivative == 0);

        auto sorted = x;
        sort(row(sorted), ascending{});
        auto rank = std::size_t{0};
        for (auto const other : logits) rank += other < logits[j];
        for (std::size_t k = 0; k < sorted.size(); ++k) CHECK(sorted[k].derivative == (k == rank ? 1.0 : 0.0));
    }
}

} // namespace
