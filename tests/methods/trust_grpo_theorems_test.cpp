#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/trusted_reward.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/exponential_decay.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

/// The theorems of the sheet on random groups, in pipelines, and the edges.
namespace {

using namespace poise;
using reals = std::vector<double>;

constexpr auto seeds = std::uint32_t{200};
constexpr auto missing = std::numeric_limits<double>::quiet_NaN();
using grpo = estimator::group_relative<estimator::deviation::sample, estimator::singleton::uncentered>;

doctest::Approx near(double value, double tolerance = 1e-12) { return doctest::Approx(value).epsilon(tolerance); }
double uniform(std::uint32_t seed, std::size_t index, double low, double high) {
    auto const where = random::address{.seed = 79, .step = seed, .index = static_cast<std::uint32_t>(index)};
    return low + (high - low) * random::uniform<double>(where);
}
auto one_row(reals const& values) { return rows_of(values.data(), 1, values.size()); }
auto one_row(reals& values) { return rows_of(values.data(), 1, values.size()); }

struct group {
    reals outcome, thinking;
    std::size_t size() const { return outcome.size(); }
    bool right(std::size_t k) const { return outcome[k] >= 0.5; }
};
/// Outcomes in [0, 1], or only 0 and 1.
group random_group(std::uint32_t seed, bool binary = false) {
    auto of = group{reals(1 + seed % 8), reals(1 + seed % 8)};
    for (std::size_t k = 0; k < of.size(); ++k) {
        of.outcome[k] = uniform(seed, k, 0, 1);
        if (binary) of.outcome[k] = of.outcome[k] < 0.5 ? 0 : 1;
        of.thinking[k] = uniform(seed, 50 + k, 0, 1);
    }
    return of;
}

double trust_of(group const& of) {
    auto correct = std::array{0.0}, wrong = correct, gamma = correct;
    for_each_row(execution::sequential{}, weighting::trust{}, one_row(of.outcome), one_row(of.thinking), correct, wrong,
                 gamma);
    return gamma[0];
}
struct result {
    reals reward, advantage;
    double factor;
};
result rewards_of(group const& of, estimator::trusted_reward const& mixed, grpo const& estimator = {}) {
    auto factor = std::array{0.0};
    auto found = result{of.outcome, of.outcome, 0};
    evaluate(execution::sequential{}, weighting::trust{} | mixed | estimator,
             inputs(field::outcome = one_row(of.outcome), field::thinking_reward = one_row(of.thinking)),
             outputs(field::reward = one_row(found.reward), field::advantage = one_row(found.advantage),
                     field::thinking_weight = factor));
    found.factor = factor[0];
    return found;
}
reals outcome_advantages(group const& of, grpo const& estimator = {}) {
    auto advantage = of.outcome;
    for_each_row(execution::sequential{}, estimator, one_row(of.outcome), one_row(advantage));
    return advantage;
}

} // namespace

TEST_CASE("trust-grpo theorem 1: range, invariances and monotony of the trust") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto const of = random_group(seed);
        auto const gamma = trust_of(of);
        CHECK(gamma >= std::exp(-1.0));
        CHECK(gamma <= 1);
        auto turned = of, shifted = of;
        std::rotate(turned.outcome.begin(), turned.outcome.begin() + 1, turned.outcome.end());
        std::rotate(turned.thinking.begin(), turned.thinking.begin() + 1, turned.thinking.end());
        CHECK(trust_of(turned) == near(gamma));
        for (auto& h : shifted.thinking) h += 3;
        CHECK(trust_of(shifted) == near(gamma));
        for (std::size_t k = 0; k < of.size(); ++k) {
            auto raised = of;
            raised.thinking[k] += uniform(seed, 90 + k, 0, 1);
            if (of.right(k))
                CHECK(trust_of(raised) >= gamma);
            else
                CHECK(trust_of(raised) <= gamma);
        }
    }
}

TEST_CASE("trust-grpo theorem 2: without a coefficient it is GRPO on outcomes, with constant scores too") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto of = random_group(seed);
        CHECK(rewards_of(of, {.coefficient = 0}).advantage == outcome_advantages(of));
        auto const late = solver::exponential_decay{.first = 0.3, .time_constant = 10}(1e6);
        CHECK(rewards_of(of, {.coefficient = late}).advantage == outcome_advantages(of));
        if (of.size() == 1) continue; // alone it keeps its reward
        std::fill(of.thinking.begin(), of.thinking.end(), 0.7);
        auto const constant = rewards_of(of, {}, grpo{0}).advantage, outcome = outcome_advantages(of, grpo{0});
        for (std::size_t k = 0; k < of.size(); ++k) CHECK(constant[k] == near(outcome[k], 1e-10));
    }
}

TEST_CASE("trust-grpo theorems 3, 4: rewards are bounded, right answers stay ahead") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto const alpha = uniform(seed, 95, 0, 0.99);
        auto const binary = random_group(seed, true), graded = random_group(seed);
        auto const of_binary = rewards_of(binary, {.coefficient = alpha}),
                   of_graded = rewards_of(graded, {.coefficient = alpha});
        for (std::size_t i = 0; i < graded.size(); ++i) {
            CHECK(of_graded.reward[i] >= graded.outcome[i]);
            CHECK(of_graded.reward[i] <= graded.outcome[i] + alpha);
            for (std::size_t j = 0; j < graded.size(); ++j) {
                if (binary.right(i) && !binary.right(j)) CHECK(of_binary.reward[i] > of_binary.reward[j]);
                if (!graded.right(i) || graded.right(j)) continue;
                auto const d = graded.outcome[i] - graded.outcome[j];
                auto const lead = of_graded.factor * (graded.thinking[j] - graded.thinking[i]);
                if (std::abs(lead - d) > 1e-12) CHECK((of_graded.reward[j] > of_graded.reward[i]) == (lead > d));
                if (d > alpha * trust_of(graded)) CHECK(of_graded.reward[i] > of_graded.reward[j]);
            }
        }
    }
}

TEST_CASE("trust-grpo theorems 5, 6: decays multiply; the least trust is 1/e") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto const decay = solver::exponential_decay{.time_constant = uniform(seed, 0, 1, 2000)};
        auto const s = uniform(seed, 1, 0, 3000), t = uniform(seed, 2, 0, 3000);
        CHECK(decay(s) * decay(t) == near(decay(s + t)));
    }
    CHECK(trust_of({{1, 0}, {0, 1}}) == near(std::exp(-1.0), 1e-15));
    CHECK(trust_of({{1, 0}, {1, 0}}) == 1);
}

TEST_CASE("trust-grpo: edges") {
    CHECK(trust_of({{1, 1}, {0, 1}}) == 1);                        // all right
    CHECK(trust_of({{0, 0}, {0, 1}}) == 1);                        // all wrong
    CHECK(trust_of({{0.5, 0.4}, {0, 1}}) == near(std::exp(-1.0))); // at the threshold is right
    CHECK(trust_of({{1, 0}, {0.3, 0.3}}) == 1);
    CHECK(trust_of({{1, 0}, {-2, 5}}) == near(std::exp(-7.0))); // scores outside [0, 1]
    CHECK(rewards_of({{0.5, 0.5, 0.5}, {0.1, 0.1, 0.1}}, {}).advantage == reals{0, 0, 0});
    CHECK(rewards_of({{1}, {0.5}}, {}).advantage[0] == near(1.15 / (1 + 1e-6)));

    // saturated groups, bounds included
    auto const released = estimator::trusted_reward{.coefficient = 0.3, .saturated_low = 0.1, .saturated_high = 0.9};
    CHECK(rewards_of({{0.9, 1}, {0.2, 0.4}}, released).reward == reals{0.9, 1});
    CHECK(rewards_of({{0.1, 0}, {0.2, 0.4}}, released).reward == reals{0.1, 0});
    CHECK(rewards_of({{0.89, 1}, {0.2, 0.4}}, released).reward != reals{0.89, 1});
    auto gated = reals{0.3, 0.4, 0.5};
    for_each_row(execution::sequential{}, estimator::gated_thinking{}, one_row(reals{0.1, 0.2, 0.3}), one_row(gated),
                 one_row(gated));
    CHECK(gated == reals{0, 0.4, 0.5});

    // padding behind a mask counts nowhere
    auto const outcome = reals{0.9, missing, 0.2, 0.95}, thinking = reals{0.1, missing, 0.8, 0.3},
               mask = reals{1, 0, 1, 1};
    auto advantage = outcome;
    auto gamma = std::array{0.0}, factor = gamma;
    auto const pipeline = weighting::trust{} | released | grpo{};
    evaluate(execution::sequential{}, pipeline,
             inputs(field::outcome = one_row(outcome), field::thinking_reward = one_row(thinking),
                    field::sample_mask = one_row(mask)),
             outputs(field::advantage = one_row(advantage), field::trust = gamma, field::thinking_weight = factor));
    auto const dense = rewards_of({{0.9, 0.2, 0.95}, {0.1, 0.8, 0.3}}, released);
    CHECK(gamma[0] == near(std::exp(-0.6)));
    CHECK(factor[0] == near(dense.factor));
    CHECK(advantage[0] == near(dense.advantage[0]));
    CHECK(advantage[1] == 0);
    CHECK(advantage[2] == near(dense.advantage[1]));
    CHECK(advantage[3] == near(dense.advantage[2]));

    // NaN in, NaN out
    for (auto const& one : {group{{1, missing}, {0.5, 0.5}}, group{{1, 0}, {0.5, missing}}}) {
        auto const found = rewards_of(one, {});
        for (auto const a : found.advantage) CHECK(std::isnan(a));
    }
}

TEST_CASE("trust-grpo: bad input") {
    CHECK_THROWS_WITH_AS(trust_of({{}, {}}), "trust: argument 'outcome': expected at least 1 element, got 0",
                         argument_error);
    CHECK_THROWS_AS(trust_of({{1, missing}, {0.5, 0.5}}), domain_violation);
    CHECK_THROWS_WITH_AS(trust_of({{1, 0}, {0.5, missing}}),
                         "trust: argument 'thinking_reward': expected numbers, not NaN, got nan", domain_violation);
    CHECK_THROWS_AS(trust_of({{1, 0}, {0.5}}), argument_error);
    CHECK_THROWS_WITH_AS(solver::exponential_decay{}(1),
                         "exponential_decay: argument 'time_constant': expected a number above 0, got nan",
                         domain_violation);
    CHECK_THROWS_AS(solver::exponential_decay{.time_constant = 0}(1), domain_violation);
    CHECK_THROWS_WITH_AS(solver::exponential_decay{.time_constant = 5}(-1),
                         "exponential_decay: argument 'step': expected a number not below 0, got -1", domain_violation);
    CHECK_THROWS_WITH_AS(rewards_of({{1, 0}, {0.5, 0.5}}, {.coefficient = -1}),
                         "trusted_reward: argument 'coefficient': expected a finite number not below 0, got -1",
                         domain_violation);
    CHECK_THROWS_AS(rewards_of({{1, 0}, {0.5, 0.5}}, {.saturated_low = 0.9, .saturated_high = 0.1}), domain_violation);
}

// A wrong answer whose reasoning is liked as much as the right one's: full trust.
static_assert([] {
    auto const outcome = std::array{1.0, 0.0}, thinking = std::array{0.5, 0.5};
    auto reward = outcome;
    auto correct = std::array{0.0}, wrong = correct, gamma = correct, factor = correct;
    weighting::trust{}(row(outcome), row(thinking), row(correct), row(wrong), row(gamma));
    estimator::trusted_reward{.coefficient = 0.5}(row(outcome), row(thinking), row(std::as_const(gamma)), row(reward),
                                                  row(factor));
    return correct[0] == 0.5 && wrong[0] == 0.5 && gamma[0] == 1 && reward == std::array{1.25, 0.25};
}());
