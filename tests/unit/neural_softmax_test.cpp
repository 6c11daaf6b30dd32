#include "policy_checks.hpp"

#include "poise/policy/neural_softmax.hpp"

namespace {

using namespace policy_checks;
using namespace poise::policy;

template <class T>
using policy_of = neural_softmax<T, dense<4, 9, activation::tanh>, dense<9, 6, activation::gelu>, dense<6, 3>>;

template <class T>
policy_of<T> random_policy(std::uint64_t seed) {
    return policy_of<T>(scattered(policy_of<double>(initialization::glorot{}, {.seed = seed}), seed + 1, 0.5));
}

template <class T>
std::vector<std::array<T, 4>> random_contexts(std::size_t n) {
    auto const x = everywhere::random_table(n, 4, 91, 1);
    auto contexts = std::vector<std::array<T, 4>>(n);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < 4; ++k) contexts[i][k] = static_cast<T>(x(i, k));
    return contexts;
}

TEST_CASE("neural softmax: log-probabilities, entropy, divergence, pullbacks, draws") {
    static_assert(concepts::finite_policy<policy_of<double>> && concepts::finite_policy<policy_of<float>> &&
                  concepts::finite_policy<policy_of<lanes<double>>>);
    auto const policy = random_policy<double>(1), other = random_policy<double>(5);
    auto const context = random_contexts<double>(1)[0];
    check_finite(policy, other, context);
    CHECK(policy.log_probability(std::vector<double>(context.begin(), context.end()), 1) ==
          policy.log_probability(context, 1));
    CHECK_THROWS_AS(policy.entropy(std::vector<double>(3)), argument_error);
    CHECK(policy_of<double>().entropy(context) == doctest::Approx(std::log(3.0)));
}

TEST_CASE_TEMPLATE("neural softmax: batches", T, double, float) {
    check_batch(random_policy<T>(1), random_contexts<T>(20));
}

TEST_CASE("neural softmax: all log-probabilities of a batch, and their pullback") {
    auto const policy = random_policy<double>(1);
    constexpr std::size_t samples = 7;
    auto const x = everywhere::random_table(samples, 4, 92, 1),
               cotangents = everywhere::random_table(samples, 3, 93, 1);
    auto tape = policy_of<double>::tape(samples);
    auto const log_p = policy.log_probabilities(rows_of(x.values.data(), samples, 4), tape);
    auto gradient = std::vector<double>(policy.parameters().size()), expected = gradient;
    policy.pullback(tape, rows_of(cotangents.values.data(), samples, 3), gradient);
    for (std::size_t i = 0; i < samples; ++i) {
        auto alone = std::array<double, 3>{};
        auto const context = x.row(i), c = cotangents.row(i);
        policy.log_probabilities(context, row(alone));
        for (std::size_t a = 0; a < 3; ++a) CHECK(close(log_p(i, a), alone[a], 1e-13));
        policy.pullback(context, row(c), expected);
    }
    CHECK(distance(gradient, expected) < 1e-13);
    CHECK_THROWS_AS(policy.pullback(tape, rows_of(cotangents.values.data(), samples, 2), gradient), argument_error);
    CHECK_THROWS_AS(policy.pullback(tape, rows_of(cotangents.values.data(), samples - 1, 3), gradient), argument_error);
}

TEST_CASE("neural softmax: logits far apart do not overflow") {
    auto policy = neural_softmax<double, dense<1, 2>>();
    policy.parameters()[0] = 2000; // the weight of the first logit
    auto tape = decltype(policy)::tape(2);
    auto log_p = std::array<double, 2>{}, entropies = log_p;
    auto const actions = std::array<std::size_t, 2>{0, 1};
    policy.evaluate(std::vector<std::array<double, 1>>{{1}, {1}}, actions, tape, log_p, entropies);
    CHECK(log_p == std::array{0.0, -2000.0});
    CHECK(entropies == std::array{0.0, 0.0});
    auto gradient = std::vector<double>(4);
    policy.pullback(tape, log_p, entropies, gradient);
    for (auto const value : gradient) CHECK(std::isfinite(value));
}

TEST_CASE("neural softmax: actions that there are not are refused") {
    auto const policy = random_policy<double>(1);
    auto tape = policy_of<double>::tape(2);
    auto const chosen = std::vector<std::size_t>{2, 3};
    auto log_p = std::vector<double>(2);
    CHECK_THROWS_WITH_AS(policy.evaluate(random_contexts<double>(2), chosen, tape, log_p, row<double>(nullptr, 0)),
                         "policy::evaluate: argument 'actions': expected numbers below 3, got 3", argument_error);
}

TEST_CASE("a neural softmax per lane draws and scores what the replicas would") {
    using pack = lanes<double>;
    auto const packed = policy_of<pack>(initialization::glorot{}, {.seed = 3});
    auto const context = random_contexts<double>(1)[0];
    auto const action = packed.sample(context, {.seed = 4});
    auto const log_p = packed.log_probability(context, action);
    auto gradient = std::vector<pack>(packed.parameters().size(), pack(0.0));
    packed.pullback(context, action, pack(2.0), gradient);
    for (std::uint32_t lane = 0; lane < pack::size; ++lane) {
        auto const alone = policy_of<double>(initialization::glorot{}, {.seed = 3, .replica = lane});
        auto const a = alone.sample(context, {.seed = 4, .replica = lane});
        CHECK(static_cast<double>(a) == action[lane]);
        CHECK(close(log_p[lane], alone.log_probability(context, a), 1e-13));
        auto expected = std::vector<double>(gradient.size());
        alone.pullback(context, a, 2.0, expected);
        for (std::size_t k = 0; k < expected.size(); ++k) CHECK(close(gradient[k][lane], expected[k], 1e-13));
    }
}

} // namespace
