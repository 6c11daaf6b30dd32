#include "everywhere.hpp"

#include "poise/core/dual.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/solver/clipped_by_norm.hpp"
#include "poise/solver/natural_gradient.hpp"
#include "poise/solver/optimizer.hpp"
#include "poise/solver/per_context.hpp"
#include "poise/solver/rmsprop.hpp"
#include "poise/solver/schedule.hpp"
#include "poise/solver/simplex_step.hpp"

#include <Eigen/Dense>
#include <doctest/doctest.h>

#include <numeric>

namespace {

using namespace poise;
using pack = lanes<double>;
using everywhere::close;

/// The gradient at step t: fixed numbers.
std::vector<double> gradient_at(std::size_t parameters, std::size_t t) {
    return everywhere::random_table(1, parameters, 100 + t).values;
}

/// The parameters after `steps` steps from 0.5, -1, ….
template <class T, class Rule>
std::vector<T> optimized(Rule const& rule, std::size_t parameters, std::size_t steps) {
    auto const start = everywhere::random_table(1, parameters, 99).values;
    auto w = std::vector<T>(start.begin(), start.end());
    auto optimizer = solver::optimizer(rule, w);
    for (std::size_t t = 1; t <= steps; ++t) {
        auto const g = gradient_at(parameters, t);
        optimizer.step(w, std::vector<T>(g.begin(), g.end()));
    }
    return w;
}

void check_close(std::vector<double> const& actual, std::vector<double> const& expected, double tolerance) {
    REQUIRE(actual.size() == expected.size());
    for (std::size_t k = 0; k < actual.size(); ++k) {
        CAPTURE(k);
        CHECK(close(actual[k], expected[k], tolerance));
    }
}

/// Lane i of the rule made from packs is the rule made from lane i's numbers.
template <class MakeRule>
void check_lanes(MakeRule const& make, std::size_t parameters, std::size_t steps) {
    auto const packed = optimized<pack>(make(pack::iota(1.0)), parameters, steps);
    for (std::size_t lane = 0; lane < pack::size; ++lane) {
        auto const alone = optimized<double>(make(static_cast<double>(lane + 1)), parameters, steps);
        CAPTURE(lane);
        for (std::size_t k = 0; k < parameters; ++k) CHECK(close(packed[k][lane], alone[k], 1e-12));
    }
}

/// RMSProp of one parameter, as its formula says.
double by_hand(bool centered, std::size_t parameters, std::size_t k, std::size_t steps) {
    auto w = everywhere::random_table(1, parameters, 99).values[k];
    double v = 0, m = 0, velocity = 0;
    for (std::size_t t = 1; t <= steps; ++t) {
        auto const g = gradient_at(parameters, t)[k] + 0.1 * w;
        v = 0.9 * v + 0.1 * g * g;
        m = 0.9 * m + 0.1 * g;
        velocity = 0.5 * velocity + g / (std::sqrt(centered ? v - m * m : v) + 1e-2);
        w -= 0.05 * velocity;
    }
    return w;
}

template <bool Centered>
void check_rmsprop() {
    for (auto const n : everywhere::sizes(1, 8, 37)) {
        auto const rule = solver::rmsprop<double, Centered>{
            .learning_rate = 0.05, .decay = 0.9, .epsilon = 1e-2, .momentum = 0.5, .weight_decay = 0.1};
        auto expected = std::vector<double>(n);
        for (std::size_t k = 0; k < n; ++k) expected[k] = by_hand(Centered, n, k, 20);
        check_close(optimized<double>(rule, n, 20), expected, 1e-12);
        auto const singles = optimized<float>(rule, n, 20);
        check_close({singles.begin(), singles.end()}, expected, 1e-4);
    }
    check_lanes(
        []<class Real>(Real i) {
            return solver::rmsprop<Real, Centered>{.learning_rate = Real(0.01) * i, .momentum = Real(0.1) * i};
        },
        5, 8);
}

// Whole numbers are hyper-parameters as others are.
static_assert(std::is_same_v<decltype(solver::sgd{.learning_rate = 2}), solver::sgd<double>>);
static_assert(std::is_same_v<decltype(solver::sgd{.learning_rate = 1, .weight_decay = 0.5F}), solver::sgd<float>>);
static_assert(std::is_same_v<decltype(solver::momentum{.decay = 0}), solver::momentum<double>>);
static_assert(std::is_same_v<decltype(solver::adam{.learning_rate = 1, .beta1 = 0}), solver::adam<double>>);
static_assert(std::is_same_v<decltype(solver::adamw{.weight_decay = 1}), solver::adamw<double>>);
static_assert(std::is_same_v<decltype(solver::rmsprop{.momentum = 0}), solver::rmsprop<double>>);
static_assert(std::is_same_v<decltype(solver::natural_gradient{.learning_rate = 1}), solver::natural_gradient<double>>);
static_assert(
    std::is_same_v<decltype(solver::projected_gradient{.learning_rate = 1}), solver::projected_gradient<double>>);
static_assert(std::is_same_v<decltype(solver::clipped_by_norm{solver::sgd{}, 1}),
                             solver::clipped_by_norm<solver::sgd<double>>>);

TEST_CASE("RMSProp, parameter by parameter and in lanes") {
    SUBCASE("plain") { check_rmsprop<false>(); }
    SUBCASE("centred") { check_rmsprop<true>(); }
}

TEST_CASE("AdamW is Adam with its decay beside the step, not in the gradient") {
    auto const by_adam = solver::adam{.learning_rate = 0.03, .decoupled_weight_decay = 0.2};
    auto const adamw = solver::adamw{.learning_rate = 0.03, .weight_decay = 0.2};
    CHECK(optimized<double>(adamw, 9, 12) == optimized<double>(by_adam, 9, 12));
    // Without a gradient the weights shrink by exactly 1 - learning_rate weight_decay.
    auto w = std::vector<double>{2.0, -3.0}, g = std::vector<double>{0.0, 0.0};
    solver::optimizer(solver::adamw{.learning_rate = 0.5, .weight_decay = 0.2}, w).step(w, g);
    check_close(w, {1.8, -2.7}, 1e-15);
}

TEST_CASE("parameters of static length, and gradients that may be written, are rows of an optimiser") {
    auto w = std::array{1.0, 2.0}, g = std::array{10.0, -10.0};
    auto optimizer = solver::optimizer(solver::sgd{.learning_rate = 0.1}, row(w));
    optimizer.step(row(w), row(g));
    optimizer.step(row(w), row(std::as_const(g)));
    optimizer.step(w, g);
    CHECK(close(w[0], -2, 1e-15));
    CHECK(close(w[1], 5, 1e-15));
    static_assert(!std::is_convertible_v<row<double const>, row<double>>, "what is constant stays so");
    static_assert(!std::is_convertible_v<row<double>, row<double, 2>>, "a length is not invented");
    static_assert(!std::is_convertible_v<row<double, 3>, row<double, 2>> &&
                  !std::is_convertible_v<row<double, 2, dynamic>, row<double, 2>>);
    static_assert(std::is_convertible_v<row<double, 2>, row<double const, dynamic, dynamic>>);
}

TEST_CASE("the natural gradient of a softmax is the pseudo-inverse of its Fisher matrix, or the damped inverse") {
    auto const n = std::size_t{6};
    auto const draws = everywhere::random_table(2, n, 8, 1.5);
    auto const logits = draws.row(0), advantages = draws.row(1);
    auto p = logits;
    softmax(row(p), row(logits));
    auto const mean_advantage = weighted_sum(row(p), row(advantages));
    auto gradient = std::vector<double>(n); // of the expected advantage
    for (std::size_t k = 0; k < n; ++k) gradient[k] = p[k] * (advantages[k] - mean_advantage);
    auto const g = Eigen::Map<Eigen::VectorXd const>(gradient.data(), static_cast<Eigen::Index>(n));
    auto const probabilities = Eigen::Map<Eigen::VectorXd const>(p.data(), static_cast<Eigen::Index>(n));
    Eigen::MatrixXd const fisher =
        Eigen::MatrixXd(probabilities.asDiagonal()) - probabilities * probabilities.transpose();
    for (auto const damping : {0.0, 1e-6, 0.05, 3.0}) {
        CAPTURE(damping);
        Eigen::VectorXd const solved =
            damping == 0 ? Eigen::VectorXd(fisher.completeOrthogonalDecomposition().solve(g))
                         : Eigen::VectorXd((fisher + damping * Eigen::MatrixXd::Identity(6, 6)).fullPivLu().solve(g));
        auto const rule = solver::natural_gradient{.learning_rate = 0.7, .damping = damping};
        everywhere::in_every_execution([&](auto execution, std::string const& name) {
            auto out = std::vector<double>(n);
            for_each_row(execution, rule, rows_of(logits.data(), 1, n), rows_of(gradient.data(), 1, n),
                         rows_of(out.data(), 1, n));
            CAPTURE(name);
            for (std::size_t k = 0; k < n; ++k)
                CHECK(close(out[k], logits[k] - 0.7 * solved[static_cast<Eigen::Index>(k)], 1e-9));
        });
    }
    // Without damping it is the advantages themselves, up to a constant that the softmax does not see.
    auto moved = std::vector<double>(n), expected = logits;
    solver::natural_gradient{.learning_rate = -1.0}(row(std::as_const(logits)), row(std::as_const(gradient)),
                                                    row(moved));
    for (std::size_t k = 0; k < n; ++k) expected[k] += advantages[k];
    softmax(row(moved), row(moved));
    softmax(row(expected), row(expected));
    check_close(moved, expected, 1e-12);
}

TEST_CASE("an action without probability is left alone by the natural gradient") {
    auto const infinite = -everywhere::infinity;
    auto const logits = std::vector{0.0, infinite, 1.0};
    auto p = logits;
    softmax(row(p), row(logits));
    auto const gradient = std::vector{p[0] * p[2], 0.0, -p[0] * p[2]}; // of pi_0
    auto out = logits;
    solver::natural_gradient{.learning_rate = 1.0}(row(logits), row(gradient), row(out));
    CHECK(out[1] == infinite);
    // x = (p_2, ., -p_0) less its mean over the two actions there are: half the difference each.
    check_close({out[0], out[2]}, {-0.5, 1.5}, 1e-12);
}

TEST_CASE("per_context takes the step of every row of a tabular policy's parameters") {
    auto const contexts = std::size_t{3}, actions = std::size_t{5};
    auto const gradient = gradient_at(contexts * actions, 1);
    auto start = everywhere::random_table(1, contexts * actions, 4).values;
    for (std::size_t c = 0; c < contexts; ++c) {
        auto const here = segment(row(start), c * actions, actions);
        softmax(here, here);
    }
    auto const check = [&](auto rule) {
        auto w = start;
        auto whole = solver::optimizer(solver::per_context{rule, actions}, w);
        whole.step(w, gradient);
        auto packed = std::vector<pack>(start.begin(), start.end());
        auto in_packs = solver::optimizer(solver::per_context{rule, actions}, packed);
        in_packs.step(packed, std::vector<pack>(gradient.begin(), gradient.end()));
        auto expected = start;
        auto const rows = [&](auto& values) { return rows_of(values.data(), contexts, actions); };
        for_each_row(execution::sequential{}, rule, rows(start), rows(gradient), rows(expected));
        check_close(w, expected, 1e-14);
        for (std::size_t k = 0; k < w.size(); ++k) CHECK(close(packed[k][pack::size - 1], expected[k], 1e-13));
    };
    check(solver::exponentiated_gradient{.learning_rate = 0.3});
    check(solver::projected_gradient{.learning_rate = 0.3});
    check(solver::natural_gradient{.learning_rate = 0.3, .damping = 0.1});

    auto odd = std::vector<double>(7);
    auto optimizer = solver::optimizer(solver::per_context{solver::exponentiated_gradient{}, actions}, odd);
    CHECK_THROWS_WITH_AS(optimizer.step(odd, odd),
                         "per_context: argument 'parameters': expected whole rows of 5 actions, got 7", argument_error);
}

TEST_CASE("mirror descent on a bandit's simplex finds the best arm, and so does natural gradient ascent") {
    auto const rewards = std::vector{0.1, 0.9, 0.5};
    auto p = std::vector<double>(3, 1.0 / 3);
    auto mirror = solver::optimizer(
        solver::scheduled{solver::per_context{solver::exponentiated_gradient{}, 3}, solver::constant_rate{-1.0}}, p);
    for (int t = 0; t < 50; ++t) mirror.step(p, rewards);
    // In closed form: p_k is proportional to e^{50 r_k}.
    CHECK(close(p[1], 1 / (1 + std::exp(-50 * 0.4) + std::exp(-50 * 0.8)), 1e-12));
    CHECK(close(std::log(p[2] / p[1]), -50 * 0.4, 1e-10));

    auto policy = policy::tabular_softmax<double>(1, 3);
    auto natural =
        solver::optimizer(solver::per_context{solver::natural_gradient{.learning_rate = -1.0}, 3}, policy.parameters());
    for (int t = 0; t < 20; ++t) {
        auto cotangent = std::vector<double>(3), gradient = std::vector<double>(3);
        policy.log_probabilities(0, row(cotangent));
        for (std::size_t k = 0; k < 3; ++k) cotangent[k] = std::exp(cotangent[k]) * rewards[k];
        policy.pullback(0, row(cotangent), row(gradient));
        natural.step(policy.parameters(), gradient);
    }
    // The same path: the natural gradient of a softmax is mirror descent with the entropy.
    CHECK(close(policy.log_probability(0, 2) - policy.log_probability(0, 1), -20 * 0.4, 1e-10));
}

TEST_CASE("gradients are clipped by their norm over all parameters, which the step returns") {
    for (auto const n : everywhere::sizes(1, 5, 8, 37, 300)) {
        auto const g = gradient_at(n, 3);
        auto const norm = std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0));
        CAPTURE(n);
        for (auto const maximum : {0.25, 1e6}) {
            auto w = std::vector<double>(n, 1.0);
            auto optimizer = solver::optimizer(solver::clipped_by_norm{solver::sgd{.learning_rate = 0.1}, maximum}, w);
            CHECK(close(optimizer.step(w, g), norm, 1e-13));
            auto const factor = maximum == 0.25 ? 0.25 / (norm + 1e-6) : 1.0;
            for (std::size_t k = 0; k < n; ++k) CHECK(close(w[k], 1 - 0.1 * factor * g[k], 1e-13));
        }
    }
    // Each lane by its own norm and its own maximum; around every rule, also those that work context by context.
    check_lanes(
        []<class Real>(Real i) {
            return solver::clipped_by_norm{solver::adam<Real>{.learning_rate = Real(0.1) * i}, Real(0.2) * i};
        },
        5, 6);
    check_lanes([]<class Real>(
                    Real i) { return solver::clipped_by_norm{solver::per_context{solver::natural_gradient{}, 3}, i}; },
                6, 3);
    auto const clipped = solver::clipped_by_norm{solver::per_context{solver::natural_gradient{.damping = 0.1}, 3}, 1e9};
    CHECK(optimized<double>(clipped, 6, 4) == optimized<double>(clipped.rule, 6, 4));
    // No gradient, no division by zero.
    auto w = std::vector<double>{1.0}, g = std::vector<double>{0.0};
    CHECK(solver::optimizer(solver::clipped_by_norm{solver::sgd{}, 1.0}, w).step(w, g) == 0.0);
    CHECK(w[0] == 1.0);
}

TEST_CASE("schedules at the steps that one can compute by hand") {
    using namespace solver;
    CHECK(constant_rate{0.3}(1) == 0.3);
    CHECK(constant_rate{0.3}(1000) == 0.3);

    auto const line = linear_rate{.rate = 1.0, .steps = 4, .last = 0.2};
    check_close({line(1), line(2), line(3), line(4), line(5), line(99)}, {1.0, 0.8, 0.6, 0.4, 0.2, 0.2}, 1e-15);

    auto const cosine = cosine_rate{.rate = 2.0, .steps = 6, .last = 1.0};
    check_close({cosine(1), cosine(3), cosine(4), cosine(5), cosine(7), cosine(50)}, {2.0, 1.75, 1.5, 1.25, 1.0, 1.0},
                1e-15);

    auto const root = inverse_square_root_rate{.rate = 3.0, .hold = 4};
    check_close({root(1), root(4), root(16), root(400)}, {3.0, 3.0, 1.5, 0.3}, 1e-15);

    auto const decay = exponential_rate{.rate = 8.0, .factor = 0.25, .steps = 2};
    check_close({decay(1), decay(2), decay(3), decay(5)}, {8.0, 4.0, 2.0, 0.5}, 1e-14);

    auto const warm = warm_up{root, 4};
    check_close({warm(1), warm(2), warm(3), warm(4), warm(16)}, {0.75, 1.5, 2.25, 3.0, 1.5}, 1e-15);
    // Vaswani et al. 2017, equation 3: d^{-1/2} min(t^{-1/2}, t n^{-3/2}) with d = 64, n = 100.
    auto const transformer = warm_up{inverse_square_root_rate{.rate = 0.125 / 10, .hold = 100}, 100};
    for (auto const t : everywhere::sizes(1, 37, 100, 101, 5000)) {
        auto const s = static_cast<double>(t);
        CHECK(close(transformer(t), 0.125 * std::min(1 / std::sqrt(s), s * std::pow(100.0, -1.5)), 1e-14));
    }
    static_assert(linear_rate{.rate = 1.0, .steps = 4}(3) == 0.5);
    static_assert(warm_up{cosine_rate<float>{.rate = 1.0f, .steps = 8}, 2}(1) == 0.5f);
}

TEST_CASE("a scheduled rule takes its rate from the schedule, step by step, through the rules around it") {
    auto const schedule = solver::exponential_rate{.rate = 0.4, .factor = 0.5, .steps = 3};
    auto expected = everywhere::random_table(1, 5, 99).values;
    for (std::size_t t = 1; t <= 7; ++t) {
        auto const g = gradient_at(5, t);
        for (std::size_t k = 0; k < 5; ++k) expected[k] -= 0.4 * std::pow(0.5, (static_cast<double>(t) - 1) / 3) * g[k];
    }
    check_close(optimized<double>(solver::scheduled{solver::sgd{}, schedule}, 5, 7), expected, 1e-13);
    check_close(optimized<double>(solver::scheduled{solver::clipped_by_norm{solver::sgd{}, 1e9}, schedule}, 5, 7),
                expected, 1e-13);
    check_close(optimized<double>(solver::clipped_by_norm{solver::scheduled{solver::sgd{}, schedule}, 1e9}, 5, 7),
                expected, 1e-13);
    check_lanes(
        []<class Real>(Real i) {
            auto const fall = solver::linear_rate<Real>{.rate = Real(0.1) * i, .steps = 3};
            return solver::scheduled{solver::adam<Real>{}, solver::warm_up{fall, 2}};
        },
        5, 6);
    // What the rule inside returns is returned.
    auto w = std::vector<double>{0.0}, g = std::vector<double>{-3.0};
    CHECK(solver::optimizer(solver::scheduled{solver::clipped_by_norm{solver::sgd{}, 1.0}, schedule}, w).step(w, g) ==
          3.0);
}

TEST_CASE("in constant expressions") {
    static constexpr auto moved = [] {
        auto w = std::array{1.0, 1.0}, g = std::array{3.0, 4.0};
        auto rule = solver::scheduled{solver::clipped_by_norm{solver::sgd{}, 50.0}, solver::constant_rate{0.125}};
        auto optimizer = solver::optimizer(rule, row(w));
        optimizer.step(w, g);
        return w;
    }();
    CHECK(moved == std::array{0.625, 0.5});
}

} // namespace
