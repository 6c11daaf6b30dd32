#include "everywhere.hpp"

#include "poise/core/dual.hpp"
#include "poise/policy/mlp.hpp"

#include <doctest/doctest.h>

namespace {

using namespace poise;
using namespace poise::policy;

TEST_CASE("gelu is x Phi(x), accurate far below 0 too, and its slope is the derivative") {
    auto const gelu = activation::gelu{};
    CHECK(gelu(0.0) == 0);
    CHECK(gelu(1.0) == doctest::Approx(0.841344746068542949).epsilon(1e-15));
    CHECK(gelu(-10.0) == doctest::Approx(-7.61985302416047e-23).epsilon(1e-13)); // where 1 + erf would be 0
    CHECK(gelu(40.0) == 40);
    for (auto x = -12.0; x < 12; x += 0.37) {
        auto const moved = gelu(dual<double>(x, 1));
        CHECK(everywhere::close(activation::gelu::slope_at(x), moved.derivative, 1e-15));
        CHECK(moved.value == gelu(x));
    }
    static_assert(activation::gelu{}(0.0) == 0);
}

template <class T>
using network = mlp<T, dense<6, 40, activation::gelu>, layer_norm<40>, dense<40, 9, activation::tanh>, layer_norm<9>,
                    dense<9, 3, activation::gelu>>;

template <class T>
network<T> random_network() {
    auto net = network<double>(initialization::glorot{}, {.seed = 21});
    for (std::size_t k = 0; k < net.parameters().size(); ++k)
        net.parameters()[k] += 0.3 * random::normal<double>({.seed = 22, .index = static_cast<std::uint32_t>(k)});
    return network<T>(net);
}

TEST_CASE_TEMPLATE("a layer norm gives the mean and the standard deviation that its bias and gain say", T, double,
                   float) {
    using norm = mlp<T, layer_norm<40>>;
    static_assert(norm::parameter_count == 80);
    auto net = norm(initialization::glorot{}, {.seed = 1});
    auto tape = typename norm::tape(3);
    auto const x = everywhere::random_table(3, 40, 23);
    auto const stored = everywhere::stored<T, row_contiguous>(x);
    auto y = net.forward(stored.input(), tape);
    for (std::size_t s = 0; s < 3; ++s) {
        auto out = std::vector<double>(40);
        for (std::size_t k = 0; k < 40; ++k) out[k] = static_cast<double>(y(s, k));
        CHECK(std::abs(mean(row(out))) < everywhere::tolerance<T>);
        CHECK(variance(row(out)) == doctest::Approx(1).epsilon(1e-5)); // short of 1 by epsilon / variance
    }
    net.parameters()[3] = 5;       // a gain
    net.parameters()[40 + 3] = -2; // its bias
    auto const before = static_cast<double>(y(1, 3)), other = static_cast<double>(y(1, 4));
    y = net.forward(stored.input(), tape);
    CHECK(static_cast<double>(y(1, 3)) == doctest::Approx(5 * before - 2).epsilon(1e-5));
    CHECK(static_cast<double>(y(1, 4)) == other);
}

TEST_CASE("gelu and layer norm: pullbacks agree with dual numbers, in parameters and inputs") {
    constexpr std::size_t samples = 5;
    auto const net = random_network<double>();
    auto const x = everywhere::random_table(samples, 6, 6, 1), cotangent = everywhere::random_table(samples, 3, 7, 1);
    auto tape = network<double>::tape(samples);
    auto gradient = std::vector<double>(network<double>::parameter_count);
    auto of_inputs = std::vector<double>(samples * 6);
    net.forward(rows_of(x.values.data(), samples, 6), tape);
    net.pullback(tape, rows_of(cotangent.values.data(), samples, 3), gradient, rows_of(of_inputs.data(), samples, 6));

    auto moved = network<dual<double>>(net);
    auto dual_tape = network<dual<double>>::tape(samples);
    auto inputs = std::vector<dual<double>>(x.values.begin(), x.values.end());
    auto const derivative = [&] {
        auto const y = moved.forward(rows_of(inputs.data(), samples, 6), dual_tape);
        auto total = 0.0;
        for (std::size_t s = 0; s < samples; ++s)
            for (std::size_t j = 0; j < 3; ++j) total += cotangent(s, j) * y(s, j).derivative;
        return total;
    };
    auto worst = 0.0;
    for (std::size_t k = 0; k < gradient.size(); ++k) {
        moved.parameters()[k].derivative = 1;
        auto const expected = derivative();
        worst = std::max(worst, std::abs(gradient[k] - expected) / (1 + std::abs(expected)));
        moved.parameters()[k].derivative = 0;
    }
    CHECK(worst < 1e-13);
    worst = 0;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
        inputs[k].derivative = 1;
        auto const expected = derivative();
        worst = std::max(worst, std::abs(of_inputs[k] - expected) / (1 + std::abs(expected)));
        inputs[k].derivative = 0;
    }
    CHECK(worst < 1e-13);
    CHECK(std::count(gradient.begin(), gradient.end(), 0.0) == 0);
}

TEST_CASE("float agrees with double through gelu and layer norm") {
    constexpr std::size_t samples = 30;
    auto const net = random_network<double>();
    auto const in_float = random_network<float>();
    auto const x = everywhere::random_table(samples, 6, 8, 1), c = everywhere::random_table(samples, 3, 9, 1);
    auto tape = network<double>::tape(samples);
    auto float_tape = network<float>::tape(samples);
    auto gradient = std::vector<double>(network<double>::parameter_count);
    auto float_gradient = std::vector<float>(gradient.size());
    net.forward(rows_of(x.values.data(), samples, 6), tape);
    in_float.forward(rows_of(x.values.data(), samples, 6), float_tape);
    net.pullback(tape, rows_of(c.values.data(), samples, 3), gradient);
    in_float.pullback(float_tape, rows_of(c.values.data(), samples, 3), float_gradient);
    for (std::size_t k = 0; k < gradient.size(); ++k)
        CHECK(everywhere::close(static_cast<double>(float_gradient[k]), gradient[k], 1e-3));
}

} // namespace
