#include "everywhere.hpp"

#include "poise/core/dual.hpp"
#include "poise/policy/mlp.hpp"
#include "poise/solver/optimizer.hpp"

#include <doctest/doctest.h>

namespace {

using namespace poise;
using namespace poise::policy;

template <class T>
using network =
    mlp<T, dense<5, 40, activation::tanh>, dense<40, 6, activation::elu>, dense<6, 4, activation::relu>, dense<4, 3>>;

/// Weights that reach into the slopes of every activation, and biases other than 0.
template <class T>
network<T> random_network() {
    auto net = network<double>(initialization::he{}, {.seed = 3});
    auto const parameters = net.parameters();
    for (std::size_t k = 0; k < parameters.size(); ++k)
        parameters[k] += 0.3 * random::normal<double>({.seed = 4, .index = static_cast<std::uint32_t>(k)});
    return network<T>(net);
}

/// The network by its formula, one sample, from the flat parameters.
std::vector<double> naive(std::vector<double> x, auto const& parameters) {
    auto offset = std::size_t{0};
    auto const layer = [&](std::size_t outputs, auto activation) {
        auto y = std::vector<double>(outputs);
        for (std::size_t j = 0; j < outputs; ++j) {
            y[j] = parameters[offset + outputs * x.size() + j];
            for (std::size_t i = 0; i < x.size(); ++i) y[j] += parameters[offset + j * x.size() + i] * x[i];
            y[j] = activation(y[j]);
        }
        offset += outputs * (x.size() + 1);
        x = y;
    };
    layer(40, [](double z) { return std::tanh(z); });
    layer(6, [](double z) { return z > 0 ? z : std::exp(z) - 1; });
    layer(4, [](double z) { return z > 0 ? z : 0.0; });
    layer(3, [](double z) { return z; });
    CHECK(offset == network<double>::parameter_count);
    return x;
}

TEST_CASE_TEMPLATE("the forward pass is the formula, for one sample and for more than a block of them", T, double,
                   float) {
    static_assert(network<T>::inputs == 5 && network<T>::outputs == 3);
    static_assert(network<T>::parameter_count == 40 * 6 + 6 * 41 + 4 * 7 + 3 * 5);
    auto const net = random_network<T>();
    auto tape = typename network<T>::tape(200);
    for (auto const samples : everywhere::sizes(1, 2, 64, 65, 200, 0)) {
        auto const x = everywhere::random_table(samples, 5, 5);
        auto const stored = everywhere::stored<T, strided>(x); // any batch may be given
        auto const y = net.forward(stored.input(), tape);
        CHECK(y.rows() == samples);
        CHECK(tape.samples() == samples);
        for (std::size_t s = 0; s < samples; ++s) {
            auto const expected = naive(x.row(s), net.parameters());
            for (std::size_t j = 0; j < 3; ++j)
                CHECK(everywhere::close(static_cast<double>(y(s, j)), expected[j], 10 * everywhere::tolerance<T>));
        }
    }
}

TEST_CASE("the pullback agrees with dual numbers, in parameters and inputs") {
    constexpr std::size_t samples = 7;
    auto const net = random_network<double>();
    auto const x = everywhere::random_table(samples, 5, 6, 1), cotangent = everywhere::random_table(samples, 3, 7, 1);
    auto const features = rows_of(x.values.data(), samples, 5);
    auto tape = network<double>::tape(10);
    auto gradient = std::vector<double>(network<double>::parameter_count);
    auto of_inputs = std::vector<double>(samples * 5);
    net.forward(features, tape);
    net.pullback(tape, rows_of(cotangent.values.data(), samples, 3), gradient, rows_of(of_inputs.data(), samples, 5));

    auto moved = network<dual<double>>(net);
    auto dual_tape = network<dual<double>>::tape(samples);
    auto inputs = std::vector<dual<double>>(x.values.begin(), x.values.end());
    auto const derivative = [&] {
        auto const y = moved.forward(rows_of(inputs.data(), samples, 5), dual_tape);
        auto total = 0.0;
        for (std::size_t s = 0; s < samples; ++s)
            for (std::size_t j = 0; j < 3; ++j) total += cotangent(s, j) * y(s, j).derivative;
        return total;
    };
    auto nonzero = std::size_t{0};
    for (std::size_t k = 0; k < gradient.size(); ++k) {
        moved.parameters()[k].derivative = 1;
        CHECK(everywhere::close(gradient[k], derivative(), 1e-13));
        moved.parameters()[k].derivative = 0;
        nonzero += gradient[k] != 0;
    }
    CHECK(nonzero > gradient.size() / 2); // or the comparison would say little
    for (std::size_t k = 0; k < inputs.size(); ++k) {
        inputs[k].derivative = 1;
        CHECK(everywhere::close(of_inputs[k], derivative(), 1e-13));
        inputs[k].derivative = 0;
    }

    // The pullback adds, and a tape may be used again.
    auto const once = gradient;
    net.forward(features, tape);
    net.pullback(tape, rows_of(cotangent.values.data(), samples, 3), gradient);
    for (std::size_t k = 0; k < gradient.size(); ++k) CHECK(everywhere::close(gradient[k], 2 * once[k], 1e-14));
}

TEST_CASE("the gradient of many samples is the sum of the gradients of each; float agrees with double") {
    constexpr std::size_t samples = 150;
    auto const net = random_network<double>();
    auto const in_float = random_network<float>();
    auto const x = everywhere::random_table(samples, 5, 8, 1), c = everywhere::random_table(samples, 3, 9, 1);
    auto tape = network<double>::tape(samples);
    auto float_tape = network<float>::tape(samples);
    auto together = std::vector<double>(network<double>::parameter_count), one_by_one = together;
    auto float_gradient = std::vector<float>(together.size());
    net.forward(rows_of(x.values.data(), samples, 5), tape);
    net.pullback(tape, rows_of(c.values.data(), samples, 3), together);
    in_float.forward(rows_of(x.values.data(), samples, 5), float_tape);
    in_float.pullback(float_tape, rows_of(c.values.data(), samples, 3), float_gradient);
    for (std::size_t s = 0; s < samples; ++s) {
        net.forward(rows_of(&x.values[s * 5], 1, 5), tape);
        net.pullback(tape, rows_of(&c.values[s * 3], 1, 3), one_by_one);
    }
    for (std::size_t k = 0; k < together.size(); ++k) {
        CHECK(everywhere::close(together[k], one_by_one[k], 1e-12));
        CHECK(everywhere::close(static_cast<double>(float_gradient[k]), together[k], 1e-3));
    }
}

TEST_CASE("layers wider than a block of the matrix product") {
    using wide = mlp<double, dense<300, 140, activation::tanh>, dense<140, 2>>;
    auto const net = wide(initialization::glorot{}, {.seed = 5});
    auto const x = everywhere::random_table(131, 300, 6, 1), c = everywhere::random_table(131, 2, 7, 1);
    auto tape = wide::tape(131);
    auto gradient = std::vector<double>(wide::parameter_count);
    auto const y = net.forward(rows_of(x.values.data(), 131, 300), tape);
    auto const w = net.parameters();
    auto hidden = everywhere::table{131, 140};
    for (std::size_t s = 0; s < 131; ++s)
        for (std::size_t j = 0; j < 140; ++j) {
            auto total = w[140 * 300 + j];
            for (std::size_t i = 0; i < 300; ++i) total += w[j * 300 + i] * x(s, i);
            hidden(s, j) = std::tanh(total);
        }
    auto const second = std::size_t{140 * 301};
    for (std::size_t s = 0; s < 131; ++s)
        for (std::size_t j = 0; j < 2; ++j) {
            auto total = w[second + 280 + j];
            for (std::size_t i = 0; i < 140; ++i) total += w[second + j * 140 + i] * hidden(s, i);
            CHECK(everywhere::close(y(s, j), total, 1e-13));
        }
    net.pullback(tape, rows_of(c.values.data(), 131, 2), gradient);
    for (auto const j : everywhere::sizes(0, 127, 128, 139))
        for (auto const i : everywhere::sizes(0, 127, 128, 299)) {
            auto expected = 0.0;
            for (std::size_t s = 0; s < 131; ++s) {
                auto back = 0.0;
                for (std::size_t o = 0; o < 2; ++o) back += c(s, o) * w[second + o * 140 + j];
                expected += back * (1 - hidden(s, j) * hidden(s, j)) * x(s, i);
            }
            CHECK(everywhere::close(gradient[j * 300 + i], expected, 1e-12));
        }
}

TEST_CASE("one network per lane") {
    using pack = lanes<double>;
    auto const packed = network<pack>(initialization::glorot{}, {.seed = 9});
    auto packed_tape = network<pack>::tape(2);
    auto tape = network<double>::tape(2);
    auto const x = everywhere::random_table(2, 5, 10, 1);
    auto const packed_x = std::vector<pack>(x.values.begin(), x.values.end());
    auto const packed_c = std::vector<pack>(6, pack(1.0));
    auto const c = std::vector<double>(6, 1.0);
    auto packed_gradient = std::vector<pack>(network<pack>::parameter_count, pack(0.0));
    auto const packed_y = packed.forward(rows_of(packed_x.data(), 2, 5), packed_tape);
    packed.pullback(packed_tape, rows_of(packed_c.data(), 2, 3), packed_gradient);
    for (std::size_t lane = 0; lane < pack::size; ++lane) {
        // Lane i is initialised as replica i would be.
        auto const alone =
            network<double>(initialization::glorot{}, {.seed = 9, .replica = static_cast<std::uint32_t>(lane)});
        auto gradient = std::vector<double>(network<double>::parameter_count);
        auto const y = alone.forward(rows_of(x.values.data(), 2, 5), tape);
        alone.pullback(tape, rows_of(c.data(), 2, 3), gradient);
        for (std::size_t k = 0; k < gradient.size(); ++k) {
            CHECK(packed.parameters()[k][lane] == alone.parameters()[k]);
            CHECK(everywhere::close(packed_gradient[k][lane], gradient[k], 1e-13));
        }
        for (std::size_t j = 0; j < 3; ++j) CHECK(everywhere::close(packed_y(1, j)[lane], y(1, j), 1e-13));
    }
}

TEST_CASE("initialisation: scales of the weights, biases 0") {
    using wide = mlp<double, dense<400, 100, activation::relu>, dense<100, 50>>;
    auto const moments = [](wide const& net) {
        auto result = std::array<double, 4>{}; // mean and variance of each layer's weights
        auto const w = net.parameters();
        for (std::size_t layer = 0; layer < 2; ++layer) {
            auto const first = layer == 0 ? std::size_t{0} : std::size_t{100 * 401};
            auto const count = layer == 0 ? std::size_t{40000} : std::size_t{5000};
            auto const weights = row<double const>(w.data() + first, count);
            result[2 * layer] = mean(weights);
            result[2 * layer + 1] = variance(weights);
            for (std::size_t j = 0; j < (layer == 0 ? 100 : 50); ++j) CHECK(w[first + count + j] == 0);
        }
        return result;
    };
    auto const check = [&](auto draw, double first_variance, double second_variance) {
        auto const [mean_1, variance_1, mean_2, variance_2] = moments(wide(draw, {.seed = 12}));
        CHECK(std::abs(mean_1) < 4 * std::sqrt(first_variance / 40000));
        CHECK(std::abs(mean_2) < 4 * std::sqrt(second_variance / 5000));
        CHECK(variance_1 == doctest::Approx(first_variance).epsilon(0.05)); // about 7 standard errors
        CHECK(variance_2 == doctest::Approx(second_variance).epsilon(0.1));
    };
    check(initialization::he{}, 2.0 / 400, 2.0 / 100);
    check(initialization::glorot{}, 2.0 / 500, 2.0 / 150);
    check(initialization::normal{0.3}, 0.09, 0.09);
    auto const a = wide(initialization::he{}, {.seed = 1}), b = wide(initialization::he{}, {.seed = 1}),
               c = wide(initialization::he{}, {.seed = 2});
    CHECK(a.parameters()[17] == b.parameters()[17]);
    CHECK(a.parameters()[17] != c.parameters()[17]);
    CHECK(a.parameters()[0] != a.parameters()[100 * 401]); // no draw is used twice
}

TEST_CASE("a network learns: exclusive or") {
    using xor_network = mlp<double, dense<2, 8, activation::tanh>, dense<8, 1>>;
    auto const x = std::vector<double>{0, 0, 0, 1, 1, 0, 1, 1}, target = std::vector<double>{0, 1, 1, 0};
    auto net = xor_network(initialization::glorot{}, {.seed = 1});
    auto tape = xor_network::tape(4);
    auto optimizer = solver::optimizer(solver::adam{.learning_rate = 0.05}, net.parameters());
    auto gradient = std::vector<double>(xor_network::parameter_count), cotangent = std::vector<double>(4);
    auto loss = 1.0;
    for (int t = 0; t < 500; ++t) {
        auto const y = net.forward(rows_of(x.data(), 4, 2), tape);
        loss = 0;
        for (std::size_t s = 0; s < 4; ++s) {
            cotangent[s] = y(s, 0) - target[s];
            loss += cotangent[s] * cotangent[s] / 2;
        }
        std::fill(gradient.begin(), gradient.end(), 0.0);
        net.pullback(tape, cotangent, gradient);
        optimizer.step(net.parameters(), gradient);
    }
    CHECK(loss < 1e-4);
}

TEST_CASE("shapes that do not fit are refused") {
    auto const net = random_network<double>();
    auto tape = network<double>::tape(4);
    auto values = std::vector<double>(100);
    auto gradient = std::vector<double>(network<double>::parameter_count);
    CHECK_THROWS_WITH_AS(net.forward(rows_of(values.data(), 5, 5), tape),
                         "mlp::forward: argument 'inputs': expected at most 4 rows of length 5, got 5 of length 5",
                         argument_error);
    CHECK_THROWS_WITH_AS(net.forward(rows_of(values.data(), 3, 4), tape),
                         "mlp::forward: argument 'inputs': expected at most 4 rows of length 5, got 3 of length 4",
                         argument_error);
    net.forward(rows_of(values.data(), 3, 5), tape);
    CHECK_THROWS_WITH_AS(net.pullback(tape, rows_of(values.data(), 4, 3), gradient),
                         "mlp::pullback: argument 'cotangent': expected 3 rows of length 3, got 4 of length 3",
                         argument_error);
    CHECK_THROWS_AS(net.pullback(tape, rows_of(values.data(), 3, 3), std::span(gradient).first(7)), argument_error);
    CHECK_THROWS_AS(net.pullback(tape, rows_of(values.data(), 3, 3), gradient, rows_of(values.data(), 3, 4)),
                    argument_error);
    CHECK_NOTHROW(net.pullback(tape, rows_of(values.data(), 3, 3), gradient));
}

} // namespace
