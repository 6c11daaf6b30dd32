#include "policy_checks.hpp"

#include "poise/policy/averaged.hpp"
#include "poise/policy/diagonal_gaussian.hpp"
#include "poise/policy/mixture.hpp"
#include "poise/policy/tabular_softmax.hpp"

namespace {

using namespace policy_checks;
using namespace poise::policy;

using tabular = tabular_softmax<double>;
using gaussian = diagonal_gaussian<double, dense<2, 3>>;

TEST_CASE("a frozen policy says what the policy said, and learns nothing") {
    static_assert(concepts::finite_policy<frozen<tabular>> && concepts::batched_policy<frozen<tabular>> &&
                  concepts::has_kl_divergence<frozen<tabular>>);
    static_assert(concepts::batched_policy<frozen<gaussian>> && !concepts::finite_policy<frozen<gaussian>>);
    auto policy = scattered(tabular(2, 4), 1);
    auto const start = policy;
    auto reference = frozen(policy);
    for (auto& logit : {&policy.logits(1)[0], &policy.logits(1)[2]}) *logit += 1.5;
    CHECK(reference.parameters().size() == 0);
    CHECK(reference.actions() == 4);
    CHECK(reference.log_probability(std::size_t{1}, std::size_t{2}) == start.log_probability(1, 2));
    CHECK(reference.entropy(std::size_t{1}) == start.entropy(1));
    CHECK(reference.sample(std::size_t{1}, {.seed = 3}) == start.sample(1, {.seed = 3}));
    auto log_p = std::array<double, 4>{}, expected = log_p;
    reference.log_probabilities(std::size_t{1}, row(log_p));
    start.log_probabilities(1, row(expected));
    CHECK(log_p == expected);

    // It stands for the policy that it holds.
    CHECK(policy.kl_divergence(1, reference) == policy.kl_divergence(1, start));
    CHECK(reference.kl_divergence(std::size_t{1}, policy) == start.kl_divergence(1, policy));
    auto gradient = std::vector<double>(8, 0.25), same = gradient;
    policy.kl_divergence_pullback(1, reference, 1.0, gradient);
    policy.kl_divergence_pullback(1, start, 1.0, same);
    CHECK(gradient == same);
    CHECK(mixture(mixing::geometric{}, policy, reference, 1).log_probability(std::size_t{1}, 2) ==
          doctest::Approx(start.log_probability(1, 2)).epsilon(1e-14));

    // Batches.
    auto tape = frozen<tabular>::tape(2);
    auto const contexts = std::vector<std::size_t>{1, 0};
    auto actions = std::vector<std::size_t>(2);
    auto values = std::array<double, 2>{}, entropies = values;
    reference.sample(contexts, {.seed = 4}, tape, actions);
    reference.evaluate(contexts, actions, tape, values, entropies);
    CHECK(values[1] == start.log_probability(0, actions[1]));
    CHECK(entropies[0] == start.entropy(1));
    CHECK_NOTHROW(reference.pullback(tape, values, entropies, reference.parameters()));
    CHECK_NOTHROW(reference.pullback(std::size_t{1}, std::size_t{0}, 1.0, reference.parameters()));
    CHECK_NOTHROW(reference.entropy_pullback(std::size_t{1}, 1.0, reference.parameters()));
    CHECK_NOTHROW(reference.kl_divergence_pullback(std::size_t{1}, policy, 1.0, reference.parameters()));
    CHECK(reference.log_probability(std::size_t{1}, std::size_t{2}) == start.log_probability(1, 2));
}

TEST_CASE("a frozen Gaussian") {
    auto policy = scattered(gaussian(), 2);
    auto const reference = frozen(policy);
    auto const context = std::array{0.3, -0.4};
    CHECK(policy.kl_divergence(context, reference) == 0);
    policy.parameters()[0] += 1;
    CHECK(policy.kl_divergence(context, reference) > 0);
    CHECK(reference.sample(context, {.seed = 1}) != policy.sample(context, {.seed = 1}));
}

TEST_CASE("an averaged policy follows the parameters as a moving average") {
    static_assert(concepts::finite_policy<averaged<tabular>> && concepts::batched_policy<averaged<tabular>>);
    auto policy = tabular(1, 3);
    auto average = averaged(policy, 0.9);
    auto expected = std::array<double, 3>{};
    for (std::size_t t = 0; t < 20; ++t) {
        policy.parameters()[t % 3] += 1 + static_cast<double>(t);
        average.update(policy);
        for (std::size_t k = 0; k < 3; ++k) expected[k] = 0.9 * expected[k] + 0.1 * policy.parameters()[k];
    }
    for (std::size_t k = 0; k < 3; ++k)
        CHECK(average.policy().parameters()[k] == doctest::Approx(expected[k]).epsilon(1e-14));
    CHECK(average.parameters().size() == 0);
    CHECK(policy.kl_divergence(0, average) == policy.kl_divergence(0, average.policy()));
    auto exact = averaged(policy, 0);
    policy.parameters()[1] = 7;
    exact.update(policy);
    CHECK(exact.policy().parameters()[1] == 7);
    CHECK_THROWS_AS(averaged(policy, 1.1), domain_violation);
    CHECK_THROWS_AS(average.update(tabular(1, 4)), argument_error);
}

} // namespace
