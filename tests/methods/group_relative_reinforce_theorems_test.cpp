#include "poise/core/dual.hpp"
#include "poise/estimator/baselines.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/pairwise_consistency.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/objective/score_surrogate.hpp"
#include "poise/penalty/forward_kl.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/offline_flow.hpp"
#include "poise/weighting/balanced_drop.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

/// The theorems of the sheet on random groups, in pipelines, and the edges.
namespace {

using namespace poise;
using reals = std::vector<double>;
namespace region = trust_region::region;
namespace score_weight = trust_region::score_weight;

constexpr auto seeds = std::uint32_t{60};

doctest::Approx near(double value, double tolerance = 1e-12) { return doctest::Approx(value).epsilon(tolerance); }
double uniform(std::uint32_t seed, std::uint32_t index, double low, double high) {
    return low + (high - low) * random::uniform<double>({.seed = 78, .step = seed, .index = index});
}
reals uniforms(std::uint32_t seed, std::uint32_t what, std::size_t n, double low, double high) {
    auto values = reals(n);
    for (std::size_t k = 0; k < n; ++k)
        values[k] = uniform(seed, what * 100 + static_cast<std::uint32_t>(k), low, high);
    return values;
}

struct group {
    reals reward, log_p, old;
    std::size_t size() const { return reward.size(); }
};
/// Responses of any origin: log-probabilities have nothing to do with each other.
group random_group(std::uint32_t seed) {
    auto const n = std::size_t{2 + seed % 7};
    auto of = group{uniforms(seed, 0, n, -1, 2), uniforms(seed, 1, n, -3, -0.05), {}};
    of.old = uniforms(seed, 2, n, -0.8, 0.8);
    for (std::size_t k = 0; k < n; ++k) of.old[k] = std::min(of.old[k] + of.log_p[k], -0.01);
    return of;
}
auto one_row(reals const& values) { return rows_of(values.data(), 1, values.size()); }
auto one_row(reals& values) { return rows_of(values.data(), 1, values.size()); }

struct result {
    double objective;
    reals gradient;
};
/// A pipeline on one group, the reference being the policy that sampled.
template <class Pipeline>
result of_group(Pipeline const& pipeline, group const& of) {
    auto objective = std::array{0.0};
    auto found = result{0, of.reward};
    evaluate(execution::sequential{}, pipeline,
             inputs(field::reward = one_row(of.reward), field::log_probability = one_row(of.log_p),
                    field::old_log_probability = one_row(of.old), field::reference_log_probability = one_row(of.old)),
             outputs(field::objective = objective, field::gradient<field::log_probability> = one_row(found.gradient)));
    found.objective = objective[0];
    return found;
}

template <class Estimator>
reals advantages_of(Estimator const& estimator, reals const& reward) {
    auto advantages = reward;
    for_each_row(execution::sequential{}, estimator, one_row(reward), one_row(advantages));
    return advantages;
}

auto const reinforce = estimator::centered{} | objective::policy_gradient{};

} // namespace

TEST_CASE("group-relative-reinforce theorems 1, 2: the surrogate is a variance, its gradient that of REINFORCE") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto of = random_group(seed);
        auto const tau = uniform(seed, 900, 0.1, 2);
        auto const kernel = objective::pairwise_consistency{.temperature = tau};
        auto a = reals(of.size());
        for (std::size_t k = 0; k < a.size(); ++k) a[k] = of.reward[k] - tau * (of.log_p[k] - of.old[k]);
        auto pairs = 0.0;
        for (std::size_t i = 0; i < a.size(); ++i)
            for (std::size_t j = 0; j < i; ++j) pairs += (a[i] - a[j]) * (a[i] - a[j]);
        auto const n = double(of.size());
        auto const loss = of_group(kernel, of).objective;
        CHECK(loss == near(variance(row(a))));
        CHECK(loss == near(pairs / (n * n)));

        of.old = of.log_p;
        auto const at_anchor = of_group(kernel, of).gradient, policy_gradient = of_group(reinforce, of).gradient;
        for (std::size_t k = 0; k < of.size(); ++k) CHECK(at_anchor[k] == near(2 * tau * policy_gradient[k]));
    }
}

TEST_CASE("group-relative-reinforce theorem 3: the surrogate is 0 at the regularised optimum") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto of = random_group(seed);
        auto const tau = uniform(seed, 900, 0.1, 2);
        log_softmax(row(of.old), row(std::as_const(of.old)));
        for (std::size_t k = 0; k < of.size(); ++k) of.log_p[k] = of.old[k] + of.reward[k] / tau;
        log_softmax(row(of.log_p), row(std::as_const(of.log_p)));
        auto const found = of_group(objective::pairwise_consistency{.temperature = tau}, of);
        CHECK(found.objective < 1e-28);
        for (auto const g : found.gradient) CHECK(std::abs(g) < 1e-13);
    }
}

TEST_CASE("group-relative-reinforce: the weighted surrogate by pairs, weights of 0 leave responses out") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto const of = random_group(seed);
        auto weight = uniforms(seed, 3, of.size(), 0.1, 2);
        if (seed % 3 == 0) weight[0] = 0;
        auto objective = std::array{0.0};
        auto gradient = of.reward, a = of.reward;
        evaluate(execution::sequential{}, objective::pairwise_consistency{.temperature = 0.4},
                 inputs(field::reward = one_row(of.reward), field::log_probability = one_row(of.log_p),
                        field::reference_log_probability = one_row(of.old), field::weight = one_row(weight)),
                 outputs(field::objective = objective, field::regularized_reward = one_row(a),
                         field::gradient<field::log_probability> = one_row(gradient)));
        auto pairs = 0.0;
        auto const total = sum(row(weight));
        for (std::size_t i = 0; i < a.size(); ++i)
            for (std::size_t j = 0; j < i; ++j) pairs += weight[i] * weight[j] * (a[i] - a[j]) * (a[i] - a[j]);
        CHECK(objective[0] == near(pairs / (total * total)));
        auto const centre = weighted_sum(row(weight), row(a)) / total;
        for (std::size_t i = 0; i < a.size(); ++i)
            CHECK(gradient[i] == near(-2 * 0.4 * weight[i] / total * (a[i] - centre)));
    }
}

TEST_CASE("group-relative-reinforce theorems 4, 5: what AsymRE and OPMD add") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto const of = random_group(seed);
        auto const n = double(of.size()), beta = uniform(seed, 900, 0.05, 1);
        auto const plain = of_group(reinforce, of);
        auto const shifted = of_group(estimator::shifted_mean{.shift = -beta} | objective::policy_gradient{}, of);
        auto const imitating = of_group(reinforce | penalty::forward_kl{.coefficient = beta}, of);
        CHECK(shifted.objective == near(plain.objective - beta * sum(row(of.log_p)) / n));
        CHECK(shifted.objective == near(imitating.objective));

        auto const opmd = of_group(reinforce | penalty::kl_k2{.coefficient = beta}, of);
        auto const pairwise = of_group(objective::pairwise_consistency{.temperature = beta}, of);
        auto const centre = sum(row(of.reward)) / n;
        auto moved = 0.0;
        for (std::size_t k = 0; k < of.size(); ++k) moved += (of.log_p[k] - of.old[k]) / n;
        for (std::size_t k = 0; k < of.size(); ++k) {
            CHECK(shifted.gradient[k] == near(imitating.gradient[k]));
            auto const a = of.reward[k] - beta * (of.log_p[k] - of.old[k]);
            CHECK(opmd.gradient[k] == near(-(a - centre) / n));
            CHECK(opmd.gradient[k] == near(pairwise.gradient[k] / (2 * beta) + beta * moved / n));
        }
    }
}

TEST_CASE("group-relative-reinforce theorems 6, 7: one-sided with ratios is PPO's gradient; fractions are ordered") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto const of = random_group(seed);
        auto const rec = of_group(
            estimator::group_relative{} |
                objective::score_surrogate<region::one_sided, score_weight::importance_ratio>{.region = {0.2, 0.28}},
            of);
        auto const ppo =
            of_group(estimator::group_relative{} | objective::clipped_surrogate{.low = 0.2, .high = 0.28}, of);
        for (std::size_t k = 0; k < of.size(); ++k) CHECK(rec.gradient[k] == near(ppo.gradient[k]));

        auto const fraction = [&](auto const& where) {
            auto found = std::array{0.0};
            evaluate(execution::sequential{},
                     estimator::centered{} | metric::outside_fraction<std::remove_cvref_t<decltype(where)>>{where},
                     inputs(field::reward = one_row(of.reward), field::log_probability = one_row(of.log_p),
                            field::old_log_probability = one_row(of.old)),
                     outputs(field::clip_fraction = found));
            return found[0];
        };
        auto const two = fraction(region::two_sided{});
        CHECK(fraction(region::one_sided{}) <= two);
        CHECK(fraction(region::ring{}) <= two);
        CHECK(fraction(region::everywhere{}) == 0);
    }
}

TEST_CASE("group-relative-reinforce: every region by its definition, bounds included") {
    auto const low = 0.25, high = 0.5, far_low = 0.5, far_high = 2.0; // exact in binary
    for (auto const ratio : {0.125, 0.5, 0.625, 0.75, 1.0, 1.5, 1.75, 3.0, 4.0})
        for (auto const a : {-1.0, 0.0, 2.0}) {
            auto const two = 1 - low <= ratio && ratio <= 1 + high;
            auto const one = (a >= 0 && ratio <= 1 + high) || (a <= 0 && ratio >= 1 - low);
            auto const ring = two || (a >= 0 && ratio <= 1 - far_low) || (a <= 0 && ratio >= 1 + far_high);
            CHECK(!region::two_sided{low, high}.outside(ratio, a) == two);
            CHECK(!region::one_sided{low, high}.outside(ratio, a) == one);
            CHECK(!region::ring{low, high, far_low, far_high}.outside(ratio, a) == ring);
            CHECK(!region::everywhere{}.outside(ratio, a));
        }
}

TEST_CASE("group-relative-reinforce theorem 8: RED-Weight is weighted REINFORCE and imitation of what was rewarded") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto const of = random_group(seed);
        auto const temperature = uniform(seed, 900, 0.3, 2);
        auto const found =
            of_group(estimator::centered{} |
                         objective::score_surrogate<region::everywhere, score_weight::exponential_advantage>{
                             .weight = {temperature}},
                     of);
        auto const n = double(of.size()), mean_reward = sum(row(of.reward)) / n;
        auto weights = of.reward;
        for (auto& w : weights) w = std::exp((w - mean_reward) / temperature);
        auto const weighted_mean = weighted_sum(row(weights), row(of.reward)) / sum(row(weights));
        CHECK(weighted_mean >= mean_reward - 1e-15);
        for (std::size_t k = 0; k < of.size(); ++k)
            CHECK(-n * found.gradient[k] ==
                  near(weights[k] * (of.reward[k] - weighted_mean) + (weighted_mean - mean_reward) * weights[k]));
    }
}

TEST_CASE("group-relative-reinforce theorem 9: the log-mean-exp baseline lies between mean and maximum") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto const reward = random_group(seed).reward;
        auto const n = double(reward.size()), mean_reward = sum(row(reward)) / n;
        auto const baseline = [&](double temperature) {
            return reward[0] - advantages_of(estimator::log_mean_exp_baseline{temperature}, reward)[0];
        };
        auto const between = baseline(uniform(seed, 900, 0.05, 3));
        CHECK(between >= mean_reward);
        CHECK(between <= maximum(row(reward)));
        CHECK(baseline(1e7) == near(mean_reward, 1e-6));
        CHECK(baseline(1e-4) == near(maximum(row(reward)), 1e-3));
    }
}

TEST_CASE("group-relative-reinforce theorem 10: the offline flow goes where it is said to go") {
    for (std::uint32_t seed = 0; seed < 4; ++seed) {
        auto const n = std::size_t{3 + seed};
        auto mu = uniforms(seed, 0, n, -1, 1), rates = mu, limit = mu;
        softmax(row(mu), row(std::as_const(mu)));
        auto const rewards = uniforms(seed, 1, n, 0, 1);
        auto arm = std::array{0.0}, best = arm;
        for_each_row(execution::sequential{}, solver::offline_flow{.temperature = 0.5}, one_row(std::as_const(mu)),
                     one_row(rewards), one_row(rates), arm, best, one_row(limit));
        auto const expected = weighted_sum(row(mu), row(rewards));
        auto c = mu, theta = reals(n), pi = theta;
        for (std::size_t k = 0; k < n; ++k) {
            auto const a = rewards[k] - expected;
            c[k] = mu[k] * std::exp(a / 0.5) * a;
            CHECK(rates[k] == near(mu[k] * a));
        }
        CHECK(rates[std::size_t(arm[0])] == maximum(row(rates)));
        CHECK(rewards[std::size_t(best[0])] == maximum(row(rewards)));
        auto const total = sum(row(c));
        for (int step = 0; step < 40000; ++step) {
            softmax(row(pi), row(std::as_const(theta)));
            for (std::size_t k = 0; k < n; ++k) theta[k] += 0.5 * (c[k] / total - pi[k]);
        }
        for (std::size_t k = 0; k < n; ++k) CHECK(std::abs(pi[k] - limit[k]) < 2e-3);
    }
}

TEST_CASE("group-relative-reinforce theorem 11, RED-Drop: as many negative as positive rollouts are kept") {
    for (std::uint32_t seed = 0; seed < seeds; ++seed) {
        auto const n = std::size_t{1 + seed % 9};
        auto reward = uniforms(seed, 0, n, 0, 1);
        for (auto& r : reward) r = r < 0.25 + 0.1 * (seed % 3) ? 1 : (seed % 2 ? 0 : r / 4);
        auto const key = uniforms(seed, 1, n, 0, 1);
        auto advantage = reward, mask = reward;
        evaluate(execution::sequential{},
                 weighting::balanced_drop{} |
                     estimator::group_relative<estimator::deviation::population, estimator::singleton::uncentered>{},
                 inputs(field::reward = one_row(reward), field::selection_key = one_row(key)),
                 outputs(field::advantage = one_row(advantage), field::sample_mask = one_row(mask)));
        auto const equal = maximum(row(reward)) == minimum(row(reward));
        auto const bound = equal ? reward[0] : sum(row(reward)) / double(n);
        auto positive = 0, kept = 0, total = 0;
        for (std::size_t k = 0; k < n; ++k) {
            auto const is_positive = reward[k] >= bound;
            if (is_positive) CHECK(mask[k] == 1);
            positive += is_positive, total += mask[k] == 1, kept += !is_positive && mask[k] == 1;
            if (mask[k] == 0) CHECK(advantage[k] == 0);
            // of two negative rollouts the one with the greater key is kept
            for (std::size_t j = 0; j < n; ++j)
                if (!is_positive && reward[j] < bound && key[j] > key[k]) CHECK(mask[j] >= mask[k]);
        }
        CHECK(kept == std::min(positive, int(n) - positive));
        if (total > 1) CHECK(std::abs(sum(row(advantage))) < 1e-9);
    }
    // equal rewards whose rounded mean is greater: all are positive
    auto const equal = reals{0.1, 0.1, 0.1}, key = reals{0.3, 0.1, 0.2};
    auto mask = equal;
    for_each_row(execution::sequential{}, weighting::balanced_drop{}, one_row(equal), one_row(key), one_row(mask));
    CHECK(mask == reals{1, 1, 1});
}

TEST_CASE("group-relative-reinforce: gradients against dual numbers") {
    using number = dual<double>;
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
        auto const of = random_group(seed);
        auto const n = of.size();
        auto const lift = [](reals const& values) { return std::vector<number>(values.begin(), values.end()); };
        for (std::size_t i = 0; i < n; ++i) {
            auto log_p = lift(of.log_p);
            log_p[i].derivative = 1;
            auto const reward = lift(of.reward), old = lift(of.old);
            auto loss = reward, gradient = reward, a = reward;
            auto const in = [&](auto const& values) { return rows_of(values.data(), 1, n); };
            auto const out = [&](auto& values) { return rows_of(values.data(), 1, n); };
            for_each_row(execution::sequential{}, objective::pairwise_consistency{.temperature = 0.7}, in(reward),
                         in(log_p), in(old), out(loss), out(gradient), out(a));
            CHECK(sum(row(loss)).derivative == near(gradient[i].value, 1e-10));
            for_each_row(execution::sequential{}, penalty::forward_kl{.coefficient = 0.3}, in(log_p), out(loss),
                         out(gradient));
            CHECK(loss[i].derivative == near(gradient[i].value));

            // region and weight are constants: those at the value of log_p
            auto const surrogate = objective::score_surrogate<region::everywhere, score_weight::none>{};
            for_each_row(execution::sequential{}, surrogate, in(log_p), in(old), in(reward), out(loss), out(gradient));
            CHECK(loss[i].derivative == near(gradient[i].value));
            auto const weighted = objective::score_surrogate<region::one_sided, score_weight::importance_ratio>{};
            for_each_row(execution::sequential{}, weighted, in(log_p), in(old), in(reward), out(loss), out(gradient));
            auto const ratio = std::exp(of.log_p[i] - of.old[i]);
            auto const outside = region::one_sided{}.outside(ratio, of.reward[i]);
            auto const frozen = -(outside ? 0 : ratio) * of.reward[i] * number(of.log_p[i], 1.0);
            CHECK(gradient[i].value == near(frozen.derivative));
            CHECK(loss[i].value == near(frozen.value));
        }
    }
}

TEST_CASE("group-relative-reinforce: a rollout that is alone keeps its reward") {
    auto const one = reals{0.7};
    CHECK(advantages_of(estimator::uncentered{}, one) == one);
    CHECK(advantages_of(estimator::shifted_mean{}, one) == one);
    CHECK(advantages_of(estimator::log_mean_exp_baseline{}, one) == one);
    using grpo = estimator::group_relative<estimator::deviation::population, estimator::singleton::uncentered>;
    CHECK(advantages_of(grpo{1e-6}, one)[0] == near(0.7 / (1 + 1e-6)));

    // alone behind a mask, padding may be anything
    auto const nan = std::numeric_limits<double>::quiet_NaN();
    auto const padded = reals{nan, 0.7, nan}, mask = reals{0, 1, 0};
    auto advantage = padded;
    auto const masked = [&](auto const& estimator) {
        for_each_row(execution::sequential{}, estimator, one_row(padded), one_row(advantage), one_row(mask));
        return advantage;
    };
    CHECK(masked(estimator::uncentered{}) == reals{0, 0.7, 0});
    CHECK(masked(estimator::shifted_mean{}) == reals{0, 0.7, 0});
    CHECK(masked(estimator::log_mean_exp_baseline{}) == reals{0, 0.7, 0});
    auto const both = reals{1, 1, 0}, some = reals{0.5, 0.7, nan};
    for_each_row(execution::sequential{}, estimator::log_mean_exp_baseline{2}, one_row(some), one_row(advantage),
                 one_row(both));
    auto const unpadded = advantages_of(estimator::log_mean_exp_baseline{2}, {0.5, 0.7});
    CHECK(advantage[0] == near(unpadded[0]));
    CHECK(advantage[1] == near(unpadded[1]));
    CHECK(advantage[2] == 0);
}

TEST_CASE("group-relative-reinforce: edges of the surrogate") {
    auto const infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    auto const surrogate = objective::score_surrogate<region::one_sided, score_weight::importance_ratio>{};
    auto const log_p = reals{-infinity, 0, nan, -1, -1}, old = reals{-1, -800, -1, -1, nan},
               advantage = reals{-1, 2, 1, nan, 1};
    auto loss = log_p, gradient = log_p;
    for_each_row(execution::sequential{}, surrogate, one_row(log_p), one_row(old), one_row(advantage), one_row(loss),
                 one_row(gradient));
    CHECK(loss[0] == 0); // impossible by now, and clipped
    CHECK(gradient[0] == 0);
    CHECK(gradient[1] == 0); // the ratio overflows, clipped
    for (std::size_t k = 2; k < 5; ++k) CHECK(std::isnan(loss[k]));
    for (std::size_t k = 2; k < 5; ++k) CHECK(std::isnan(gradient[k]));

    auto const equal = advantages_of(estimator::log_mean_exp_baseline{0.5}, {1e6, 1e6});
    CHECK(equal == reals{0, 0});
    CHECK(advantages_of(estimator::shifted_mean{.shift = 0}, {0.1, 0.1, 0.1}) == reals{0, 0, 0});
}

TEST_CASE("group-relative-reinforce: bad input") {
    auto const some = reals{0.5, 0.25};
    auto out = some, more = some, third = some;
    CHECK_THROWS_WITH_AS(advantages_of(estimator::log_mean_exp_baseline{0}, some),
                         "log_mean_exp_baseline: argument 'temperature': expected a finite number above 0, got 0",
                         domain_violation);
    CHECK_THROWS_AS(advantages_of(estimator::shifted_mean{std::nan("")}, some), domain_violation);
    CHECK_THROWS_WITH_AS(of_group(objective::pairwise_consistency{.temperature = -1}, {some, some, some}),
                         "pairwise_consistency: argument 'temperature': expected a finite number above 0, got -1",
                         domain_violation);
    CHECK_THROWS_AS(of_group(objective::pairwise_consistency{}, {{}, {}, {}}), argument_error);
    CHECK_THROWS_AS(of_group(penalty::forward_kl{-0.1}, {some, some, some}), domain_violation);
    auto const surrogate = [&](auto const& kernel, reals const& advantage) {
        for_each_row(execution::sequential{}, kernel, one_row(some), one_row(some), one_row(advantage), one_row(out),
                     one_row(more));
    };
    CHECK_THROWS_AS(surrogate(objective::score_surrogate<region::two_sided>{.region = {1.5, 0.2}}, some),
                    domain_violation);
    CHECK_THROWS_WITH_AS(surrogate(objective::score_surrogate<region::ring>{.region = {0.2, 0.2, 0.1, 2}}, some),
                         "ring: argument 'far_low': expected a number not below low, got 0.1", domain_violation);
    CHECK_THROWS_WITH_AS(
        surrogate(objective::score_surrogate<region::everywhere, score_weight::exponential_advantage>{}, {1, 800}),
        "score_surrogate: argument 'advantage': expected numbers whose e^{A / temperature} is finite, got 800",
        domain_violation);
    CHECK_THROWS_AS(for_each_row(execution::sequential{}, weighting::balanced_drop{}, one_row(reals{0, std::nan("")}),
                                 one_row(some), one_row(out)),
                    domain_violation);
    auto arm = std::array{0.0}, best = arm;
    auto const flow = [&](reals const& mu, reals const& rewards) {
        for_each_row(execution::sequential{}, solver::offline_flow{}, one_row(mu), one_row(rewards), one_row(out), arm,
                     best, one_row(third));
    };
    CHECK_THROWS_WITH_AS(flow({0.5, 0.25}, {0, 1}),
                         "offline_flow: argument 'mu': expected numbers that sum to 1, got 0.75", domain_violation);
    CHECK_THROWS_WITH_AS(flow({0.5, 0.5}, {0.1, 0.1}),
                         "offline_flow: argument 'rewards': expected rewards of sampled arms that differ, got 0.1",
                         domain_violation);
    CHECK_THROWS_AS(flow({1, 0}, {0, 1}), domain_violation);
    CHECK_THROWS_AS(flow({-0.5, 1.5}, {0, 1}), domain_violation);
}

// Two rollouts of rewards 1 and 0 whose policy has not moved: the loss is the variance 1/4.
static_assert([] {
    auto const reward = std::array{1.0, 0.0}, log_p = std::array{-1.0, -2.0};
    auto loss = reward, gradient = reward, a = reward;
    objective::pairwise_consistency{}(row(reward), row(log_p), row(log_p), row(loss), row(gradient), row(a));
    return loss[0] == 0.25 && loss[1] == 0.25 && gradient[0] == -1 && gradient[1] == 1 && a == reward;
}());
