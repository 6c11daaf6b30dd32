#include "poise/core/scan.hpp"
#include "poise/core/sort.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/policy/mlp.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/solver/optimizer.hpp"
#include "poise/solver/simplex_step.hpp"

#include <array>
#include <limits>

/// Values of formulas in constant expressions, in which the compiler also looks for undefined behaviour.
namespace {

using poise::row;
constexpr auto infinity = std::numeric_limits<double>::infinity();

constexpr bool near(double a, double b, double tolerance = 4e-16) {
    return a - b <= tolerance * (1 + b * b) && b - a <= tolerance * (1 + b * b);
}

template <class T, std::size_t N>
constexpr auto softmax_of(std::array<T, N> logits) {
    auto probabilities = logits;
    poise::softmax(row(probabilities), row(logits));
    return probabilities;
}
template <class T, std::size_t N>
constexpr T log_sum_exp_of(std::array<T, N> values) {
    return poise::log_sum_exp(row(values));
}

// softmax(log 1, log 2, log 5) = (1, 2, 5) / 8
constexpr auto eighths = softmax_of(std::array{0.0, 0.693147180559945309, 1.60943791243410037});
static_assert(near(eighths[0], 0.125) && near(eighths[1], 0.25) && near(eighths[2], 0.625));
static_assert(softmax_of(std::array{3.0, 3.0}) == std::array{0.5, 0.5});
static_assert(softmax_of(std::array{1000.0f, -1000.0f}) == std::array{1.0f, 0.0f});
static_assert(softmax_of(std::array{-infinity, 0.0}) == std::array{0.0, 1.0});
static_assert(softmax_of(std::array{7.0}) == std::array{1.0});

static_assert(near(log_sum_exp_of(std::array{0.0, 0.0}), 0.693147180559945309));
static_assert(near(log_sum_exp_of(std::array{1.0, 2.0, 3.0}), 3.40760596444437970));
static_assert(log_sum_exp_of(std::array{1000.0, 1000.0, 1000.0, 1000.0}) == 1000.0 + 1.386294361119890619);
static_assert(log_sum_exp_of(std::array{-1000.0, -infinity}) == -1000.0);
static_assert(log_sum_exp_of(std::array{-infinity, -infinity}) == -infinity);
static_assert(log_sum_exp_of(std::array{infinity, 0.0}) == infinity);

// KL((0, 1) || (0, 1)) = 0, KL((0, 1) || (1/2, 1/2)) = log 2
constexpr double divergence(std::array<double, 2> p, std::array<double, 2> q) {
    return poise::kl_divergence(row(p), row(q));
}
static_assert(divergence({0, 1}, {0, 1}) == 0 && near(divergence({0, 1}, {0.5, 0.5}), 0.693147180559945309));

constexpr auto prefixes = [] {
    auto values = std::array{-1000.0, 0.0, 1000.0};
    poise::cumulative_log_sum_exp(row(values), row(values));
    return values;
}();
static_assert(prefixes == std::array{-1000.0, 0.0, 1000.0});

constexpr auto order = [] {
    auto const keys = std::array{2.0, 0.0, 2.0, -1.0, -0.0};
    auto indices = std::array<double, 5>{};
    auto memory = std::array<std::array<double, 5>, poise::argsort_scratch>{};
    auto const scratch = std::array{row(memory[0]), row(memory[1]), row(memory[2]), row(memory[3])};
    poise::argsort(row(indices), row(keys), poise::descending{}, scratch);
    return indices;
}();
static_assert(order == std::array{0.0, 2.0, 1.0, 4.0, 3.0});

// A batch, through for_each_row.
constexpr auto projected = [] {
    auto const points = std::array{0.5, 2.0, -1.0, 0.25, 0.25, 0.5};
    auto out = std::array<double, 6>{};
    poise::for_each_row(poise::execution::sequential{}, poise::solver::simplex_projection{},
                        poise::rows_of(points.data(), 2, 3), poise::rows_of(out.data(), 2, 3));
    return out;
}();
static_assert(projected == std::array{0.0, 1.0, 0.0, 0.25, 0.25, 0.5});

// Adam finds the minimum of (w - 3)^2; its first step has the length of the learning rate.
constexpr auto descend = [](std::size_t steps) {
    auto w = std::array{0.0}, gradient = std::array{0.0};
    auto optimizer = poise::solver::optimizer(poise::solver::adam{.learning_rate = 0.1}, w);
    for (std::size_t t = 0; t < steps; ++t) {
        gradient[0] = 2 * (w[0] - 3);
        optimizer.step(w, gradient);
    }
    return w[0];
};
static_assert(near(descend(1), 0.1, 1e-9));
static_assert(near(descend(200), 3, 1e-2));

// 3 tanh(0.5 x) + 1 at x = 0 and its derivatives there.
constexpr auto network_gradient = [] {
    using namespace poise::policy;
    using network = mlp<double, dense<1, 1, activation::tanh>, dense<1, 1>>;
    auto net = network();
    auto const w = net.parameters();
    w[0] = 0.5, w[1] = 0.0, w[2] = 3.0, w[3] = 1.0;
    auto tape = network::tape(1);
    auto const x = std::array{0.0}, one = std::array{1.0};
    auto gradient = std::array<double, 5>{};
    gradient[4] = net.forward(x, tape)(0, 0);
    net.pullback(tape, one, row<double>(gradient.data(), 4));
    return gradient;
}();
static_assert(network_gradient == std::array{0.0, 3.0, 0.0, 1.0, 1.0});

constexpr auto tabular_entropy = poise::policy::tabular_softmax<double>(2, 4).entropy(1);
static_assert(near(tabular_entropy, 1.386294361119890619));

} // namespace
