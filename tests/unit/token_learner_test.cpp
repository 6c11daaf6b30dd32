#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/objective/value_loss.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/policy/frozen.hpp"
#include "poise/policy/token_policy.hpp"
#include "poise/reward/verifiable.hpp"
#include "poise/solver/gradient_descent.hpp"
#include "poise/solver/token_learner.hpp"

#include "policy_checks.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <sstream>

namespace {

using namespace poise;
using policy_checks::scattered;

constexpr std::size_t length = 4, vocabulary = 3; // tokens 0 and 1, the end is 2
using policy_of_tokens = policy::token_policy<double, length>;
using sequence = policy::token_sequence<length>;
auto const contexts = std::vector<std::size_t>{0, 1, 1};

policy_of_tokens start(std::uint64_t seed) { return scattered(policy_of_tokens(2, vocabulary, 1), seed); }

/// The number of tokens 1, and half of it in context 1; a quarter more for ending early.
struct counted_ones {
    constexpr double score(std::size_t context, sequence const& y) const {
        auto ones = 0.0;
        for (auto const token : y) ones += token == 1;
        return ones / (context == 0 ? 1 : 2) + (y.size() < length ? 0.25 : 0);
    }
};

auto numbers(auto const& policy) {
    auto const parameters = policy.parameters();
    return std::vector<double>(parameters.data(), parameters.data() + parameters.size());
}

/// All that can be said in at most `length` tokens.
std::vector<sequence> everything(sequence const& begun = {}) {
    auto all = std::vector<sequence>{};
    for (std::uint32_t token = 0; token < vocabulary; ++token) {
        auto more = begun;
        more.push_back(token);
        if (token == vocabulary - 1 || more.size() == length) {
            all.push_back(more);
        } else {
            auto const rest = everything(more);
            all.insert(all.end(), rest.begin(), rest.end());
        }
    }
    return all;
}

} // namespace

TEST_CASE("the mean of its gradients is the exact policy gradient, within three standard errors") {
    auto const policy = start(1);
    auto const size = policy.parameters().size();
    auto exact = std::vector<double>(size);
    for (auto const context : contexts)
        for (auto const& y : everything())
            policy.pullback(context, y,
                            std::exp(policy.log_probability(context, y)) * counted_ones().score(context, y) / 3, exact);

    constexpr auto runs = std::size_t{400};
    auto sums = std::vector<double>(size), squares = sums;
    for (std::size_t run = 0; run < runs; ++run) {
        auto learner = solver::token_learner(
            policy, counted_ones{},
            estimator::leave_one_out{} | objective::policy_gradient{} | aggregation::constant_length{},
            solver::sgd{.learning_rate = 1.0}, {.samples_per_context = 4, .random = {.seed = run}});
        learner.step(contexts);
        for (std::size_t k = 0; k < size; ++k) {
            auto const step = numbers(learner.policy())[k] - policy.parameters()[k];
            sums[k] += step;
            squares[k] += step * step;
        }
    }
    auto largest = 0.0;
    for (std::size_t k = 0; k < size; ++k) {
        auto const mean = sums[k] / runs, variance = (squares[k] / runs - mean * mean) / (runs - 1);
        CHECK(std::abs(mean - exact[k]) < 3 * std::sqrt(variance));
        largest = std::max(largest, std::abs(mean) / std::sqrt(variance));
    }
    CHECK(largest > 10); // there is something to be seen
}

namespace {

enum class divisor { tokens_of_sequence, tokens_of_group, constant };

/// What a step does, in loops: the group's advantages, each token's clipped surrogate and k3 penalty, their mean by one
/// of the divisors. Gives the loss and adds the gradient.
double plain_loop(policy_of_tokens const& policy, policy_of_tokens const& old, policy_of_tokens const& reference,
                  std::span<sequence const> actions, std::span<double const> rewards, bool normalised, double clip,
                  double coefficient, divisor by, std::vector<double>& gradient) {
    auto const group = actions.size() / contexts.size();
    auto loss = 0.0;
    for (std::size_t i = 0; i < contexts.size(); ++i) {
        auto mean = 0.0, square = 0.0;
        auto tokens = std::size_t{0};
        for (std::size_t g = 0; g < group; ++g) {
            mean += rewards[group * i + g];
            tokens += actions[group * i + g].size();
        }
        mean /= double(group);
        for (std::size_t g = 0; g < group; ++g) square += std::pow(rewards[group * i + g] - mean, 2) / double(group);
        for (std::size_t g = 0; g < group; ++g) {
            auto const& y = actions[group * i + g];
            auto const advantage = (rewards[group * i + g] - mean) / (normalised ? std::sqrt(square) + 1e-6 : 1.0);
            auto const scale = by == divisor::tokens_of_sequence ? 1 / double(group * y.size())
                               : by == divisor::tokens_of_group  ? 1 / double(tokens)
                                                                 : 1 / double(group * length);
            auto log_p = std::array<double, length>{}, log_old = log_p, log_reference = log_p, slopes = log_p;
            policy.token_log_probabilities(contexts[i], y, row(log_p));
            old.token_log_probabilities(contexts[i], y, row(log_old));
            reference.token_log_probabilities(contexts[i], y, row(log_reference));
            for (std::size_t t = 0; t < y.size(); ++t) {
                auto const ratio = std::exp(log_p[t] - log_old[t]);
                auto const d = log_p[t] - log_reference[t];
                auto const clipped = std::clamp(ratio, 1 - clip, 1 + clip);
                auto const inside = ratio * advantage <= clipped * advantage;
                loss += scale / 3 *
                        (-std::min(ratio * advantage, clipped * advantage) + coefficient * (std::exp(-d) - 1 + d));
                slopes[t] = scale / 3 * ((inside ? -ratio * advantage : 0) + coefficient * (1 - std::exp(-d)));
            }
            policy.pullback(contexts[i], y, row(slopes), gradient);
        }
    }
    return loss;
}

/// Three steps, the policy that samples that of the first.
template <class Pipeline>
void check_steps(Pipeline const& pipeline, bool normalised, double clip, double coefficient, divisor by) {
    auto learner = solver::token_learner(start(1), counted_ones{}, pipeline, solver::sgd{.learning_rate = 4.0},
                                         {.samples_per_context = 6, .synchronize_every = 3, .random = {.seed = 2}},
                                         policy::frozen(start(7)), execution::sequential{});
    auto const sampler = learner.policy();
    auto clipped = 0.0;
    for (std::size_t step = 0; step < 3; ++step) {
        auto const before = learner.policy();
        auto expected = numbers(before);
        auto found = 0.0;
        learner.step(contexts, [&](auto const& report) {
            found = report.objective;
            CHECK((report.kl_divergence > 0) == (step > 0));
            clipped += report.clip_fraction;
            CHECK((step > 0 || clipped == 0));
        });
        for (std::size_t k = 0; k < 18; ++k)
            CHECK(learner.actions()[k] ==
                  sampler.sample(contexts[k / 6], {.seed = 2, .step = std::uint32_t(step), .index = std::uint32_t(k)}));
        auto gradient = std::vector<double>(expected.size());
        auto const loss = plain_loop(before, sampler, start(7), learner.actions(), learner.rewards(), normalised, clip,
                                     coefficient, by, gradient);
        CHECK(found == doctest::Approx(loss).epsilon(1e-13));
        auto const after = numbers(learner.policy());
        for (std::size_t k = 0; k < expected.size(); ++k) {
            expected[k] -= 4 * gradient[k];
            CHECK(std::abs(after[k] - expected[k]) < 1e-13);
        }
    }
    CHECK(clipped > 0);
}

} // namespace

TEST_CASE("a step is the formula: GRPO, DAPO's mean over tokens, Dr. GRPO's constant length") {
    check_steps(estimator::group_relative{} | objective::clipped_surrogate{.low = 0.1, .high = 0.1} |
                    penalty::kl_k3{0.3} | aggregation::mean_of_sequences{},
                true, 0.1, 0.3, divisor::tokens_of_sequence);
    check_steps(estimator::group_relative{} | objective::clipped_surrogate{.low = 0.1, .high = 0.1} |
                    penalty::kl_k3{0.3} | aggregation::mean{},
                true, 0.1, 0.3, divisor::tokens_of_group);
    check_steps(estimator::centered{} | objective::clipped_surrogate{.low = 0.1, .high = 0.1} | penalty::kl_k3{0.0} |
                    aggregation::constant_length{length},
                false, 0.1, 0, divisor::constant);
}

TEST_CASE("REINFORCE of tokens is that of whole responses: the sum of a response's tokens") {
    auto const step = [](auto learner) {
        learner.step(contexts);
        return numbers(learner.policy());
    };
    auto const settings = solver::learner_settings{.samples_per_context = 5, .random = {.seed = 3}};
    auto const rule = solver::sgd{.learning_rate = 1.0};
    auto const by_token = step(solver::token_learner(
        start(1), counted_ones{}, estimator::centered{} | objective::policy_gradient{} | aggregation::constant_length{},
        rule, settings));
    auto policy = start(1);
    auto gradient = std::vector<double>(policy.parameters().size());
    auto rewards = std::array<double, 5>{};
    for (std::size_t i = 0; i < 3; ++i) {
        auto const draw = [&](std::size_t g) {
            return policy.sample(contexts[i], {.seed = 3, .index = std::uint32_t(5 * i + g)});
        };
        for (std::size_t g = 0; g < 5; ++g) rewards[g] = counted_ones().score(contexts[i], draw(g));
        for (std::size_t g = 0; g < 5; ++g)
            policy.pullback(contexts[i], draw(g), (rewards[g] - mean(row(rewards))) / 15, gradient);
    }
    for (std::size_t k = 0; k < gradient.size(); ++k)
        CHECK(std::abs(by_token[k] - (policy.parameters()[k] + gradient[k])) < 1e-13);
}

namespace {

auto make_learner(auto execution) {
    return solver::token_learner(start(1), counted_ones{},
                                 estimator::group_relative{} | objective::clipped_surrogate{} | penalty::kl_k3{0.05} |
                                     objective::entropy_bonus{} | aggregation::mean_of_sequences{},
                                 solver::sgd{.learning_rate = 1.0},
                                 {.samples_per_context = 8, .epochs = 2, .synchronize_every = 4, .random = {.seed = 5}},
                                 policy::frozen(start(1)), execution);
}

} // namespace

TEST_CASE("token learners agree between executions, and learn") {
    auto const run = [](auto execution) {
        auto learner = make_learner(execution);
        auto first = 0.0, last = 0.0;
        for (auto step = 0; step < 40; ++step)
            learner.step(contexts, [&](auto const& report) { (step < 20 ? first : last) += report.reward / 20; });
        CHECK(last > first + 0.2);
        return numbers(learner.policy());
    };
    auto const expected = run(execution::sequential{});
    auto const check = [&](auto const& found) {
        for (std::size_t k = 0; k < found.size(); ++k) CHECK(std::abs(found[k] - expected[k]) < 1e-10);
    };
    check(run(execution::in_lanes{}));
    check(run(execution::along{}));
    check(run(execution::parallel<execution::along>{}));
    check(run(solver::detail::by_length{}));
}

TEST_CASE("a saved token learner goes on exactly, its sampler too") {
    for (auto const before : {0, 6}) { // 6: the policy that samples is that of step 4
        auto learner = make_learner(execution::along{});
        for (auto step = 0; step < before; ++step) learner.step(contexts);
        auto state = std::stringstream{};
        learner.save(state);
        auto other = make_learner(execution::along{});
        other.policy().parameters()[0] = 9;
        other.restore(state);
        CHECK(numbers(other.policy()) == numbers(learner.policy()));
        for (auto step = 0; step < 5; ++step) {
            learner.step(contexts);
            other.step(contexts);
        }
        CHECK(numbers(other.policy()) == numbers(learner.policy()));

        auto const kept = numbers(other.policy());
        auto shortened = std::stringstream{state.str().substr(0, state.str().size() - 8)};
        CHECK_THROWS_AS(other.restore(shortened), argument_error);
        CHECK(numbers(other.policy()) == kept);
        learner.step(contexts);
        other.step(contexts);
        CHECK(numbers(other.policy()) == numbers(learner.policy()));
    }
}

TEST_CASE("reports of tokens are means over the tokens that there are") {
    auto const policy = start(1);
    auto learner = solver::token_learner(policy, counted_ones{},
                                         estimator::group_relative{} | objective::clipped_surrogate{}, solver::sgd{},
                                         {.samples_per_context = 7, .random = {.seed = 6}}, policy::frozen(start(2)));
    learner.step(contexts, [&](auto const& report) {
        auto entropy = 0.0, log_ratio = 0.0, reward = 0.0;
        auto tokens = std::size_t{0};
        for (std::size_t k = 0; k < 21; ++k) {
            auto const& y = learner.actions()[k];
            auto entropies = std::array<double, length>{};
            policy.token_entropies(contexts[k / 7], y, row(entropies));
            entropy += sum(row(entropies));
            log_ratio += policy.log_probability(contexts[k / 7], y) - start(2).log_probability(contexts[k / 7], y);
            tokens += y.size();
            reward += counted_ones().score(contexts[k / 7], y) / 21;
        }
        CHECK(tokens < 21 * length);
        CHECK(report.entropy == doctest::Approx(entropy / double(tokens)).epsilon(1e-13));
        CHECK(report.reference_log_ratio == doctest::Approx(log_ratio / double(tokens)).epsilon(1e-13));
        CHECK(report.reward == doctest::Approx(reward).epsilon(1e-14));
        CHECK(report.kl_divergence == 0);
    });
}

TEST_CASE("token learners refuse what makes no step") {
    auto const make = [](solver::learner_settings settings) {
        return solver::token_learner(start(1), counted_ones{}, objective::negative_log_likelihood{}, solver::sgd{},
                                     settings);
    };
    CHECK_THROWS_WITH_AS(make({.synchronize_every = 0}),
                         "token_learner: argument 'synchronize_every': expected at least 1, got 0", argument_error);
    CHECK_THROWS_AS(make({.samples_per_context = 0}), argument_error);
    auto fine = make({});
    CHECK_THROWS_AS(fine.step({}), argument_error);
}
