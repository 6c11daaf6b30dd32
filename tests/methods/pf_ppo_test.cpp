#include "poise/core/dual.hpp"
#include "poise/estimator/weighted_standardization.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/metric/binned_r_squared.hpp"
#include "poise/objective/aggregation.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/pipeline.hpp"
#include "poise/policy/filtered.hpp"
#include "poise/random/continuous.hpp"
#include "poise/weighting/reward_power.hpp"
#include "poise/weighting/reward_rank.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

using namespace poise;
namespace filter = weighting::filter;

namespace {

using reals = std::vector<double>;

reals draw_reals(std::size_t n, double low, double high) {
    auto const steps = *rc::gen::container<std::vector<int>>(n, rc::gen::inRange(0, 1'000'001));
    auto values = reals(n);
    for (std::size_t k = 0; k < n; ++k) values[k] = low + (high - low) * steps[k] / 1e6;
    return values;
}
std::size_t draw_size(std::size_t least, std::size_t most) { return *rc::gen::inRange(least, most + 1); }
/// Few values, so that there are ties.
reals draw_rewards(std::size_t n) {
    auto rewards = draw_reals(n, -2, 2);
    if (draw_size(0, 1) == 1)
        for (auto& r : rewards) r = std::floor(r);
    return rewards;
}
/// Some actions may have no probability.
reals draw_policy(std::size_t n) {
    auto p = draw_reals(n, -0.2, 1);
    for (auto& x : p) x = std::max(x, 0.0);
    p[0] += 0.1;
    auto const total = sum(row<double const>(p));
    for (auto& x : p) x /= total;
    return p;
}

template <class Values>
auto one_row(Values& values) {
    return rows_of(values.data(), 1, values.size());
}
template <class Kernel>
void run(Kernel const& kernel, auto&&... batches) {
    for_each_row(execution::sequential{}, kernel, batches...);
}
bool close(double a, double b, double tolerance = 1e-12) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }
bool close(reals const& a, reals const& b, double tolerance = 1e-12) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [=](auto x, auto y) { return close(x, y, tolerance); });
}
double total_of(reals const& x) { return sum(row<double const>(x)); }
double product(reals const& a, reals const& b) { return weighted_sum(row<double const>(a), row<double const>(b)); }

template <class Filter>
reals weights_of(reals const& rewards) {
    auto weights = rewards;
    run(weighting::reward_rank<Filter>{}, one_row(rewards), one_row(weights));
    return weights;
}
template <class Filter>
reals filtered(reals const& policy, reals const& rewards, std::size_t n) {
    auto law = policy;
    run(policy::filtered<Filter>{n}, one_row(policy), one_row(rewards), one_row(law));
    return law;
}

/// The law of the kept response by all K^n samples and their weights by rank.
template <class Filter>
reals enumerated(reals const& policy, reals const& rewards, std::size_t n) {
    auto const actions = policy.size();
    auto samples = std::size_t{1};
    for (std::size_t i = 0; i < n; ++i) samples *= actions;
    auto const action = [&](std::size_t sample, std::size_t i) {
        for (; i > 0; --i) sample /= actions;
        return sample % actions;
    };
    auto sampled = reals(samples * n), weights = sampled;
    for (std::size_t s = 0; s < samples; ++s)
        for (std::size_t i = 0; i < n; ++i) sampled[s * n + i] = rewards[action(s, i)];
    run(weighting::reward_rank<Filter>{}, rows_of(std::as_const(sampled).data(), samples, n),
        rows_of(weights.data(), samples, n));
    auto law = reals(actions);
    for (std::size_t s = 0; s < samples; ++s) {
        auto probability = 1.0;
        for (std::size_t i = 0; i < n; ++i) probability *= policy[action(s, i)];
        for (std::size_t i = 0; i < n; ++i) law[action(s, i)] += probability * weights[s * n + i];
    }
    return law;
}

struct fit {
    double r_squared, slope, intercept;
};
fit fit_of(reals const& rewards, reals const& scores, std::size_t groups) {
    auto r_squared = reals(1), slope = reals(1), intercept = reals(1);
    run(metric::binned_r_squared{groups}, one_row(rewards), one_row(scores), r_squared, slope, intercept);
    return {r_squared[0], slope[0], intercept[0]};
}

} // namespace

TEST_CASE("pf-ppo: the filtered policy is the law of what is kept of all samples") {
    auto const compare = [](reals const& p, reals const& r, std::size_t n) {
        auto const one = [&]<class Filter>(Filter) {
            auto const law = filtered<Filter>(p, r, n);
            auto const least = *std::min_element(law.begin(), law.end());
            return close(law, enumerated<Filter>(p, r, n)) && close(total_of(law), 1) && least >= 0;
        };
        return one(filter::all{}) && one(filter::best{}) && one(filter::best_and_random{}) &&
               one(filter::best_and_worst{});
    };
    CHECK(rc::check([&] {
        auto const actions = draw_size(1, 4);
        RC_ASSERT(compare(draw_policy(actions), draw_rewards(actions), draw_size(1, 4)));
    }));
    CHECK(compare({0.1, 0.2, 0.3, 0.15, 0.25}, {1, 0, 1, 2, 0}, 5));
}

TEST_CASE("pf-ppo: filters raise the expected reward in order; best and worst is the mean of two") {
    CHECK(rc::check([] {
        auto const actions = draw_size(1, 8), n = draw_size(1, 6);
        auto const p = draw_policy(actions), r = draw_rewards(actions);
        auto const best = filtered<filter::best>(p, r, n), random = filtered<filter::best_and_random>(p, r, n);
        RC_ASSERT(product(best, r) >= product(random, r) - 1e-12);
        RC_ASSERT(product(random, r) >= product(p, r) - 1e-12);
        auto negated = r;
        for (auto& x : negated) x = -x;
        auto expected = filtered<filter::best>(p, negated, n);
        for (std::size_t k = 0; k < actions; ++k) expected[k] = (expected[k] + best[k]) / 2;
        RC_ASSERT(close(filtered<filter::best_and_worst>(p, r, n), expected));
        RC_ASSERT(close(filtered<filter::best_and_worst>(p, r, 2), p));
        RC_ASSERT(close(filtered<filter::best_and_random>(p, r, 2), p));
        RC_ASSERT(filtered<filter::best>(p, r, 1) == p);
        RC_ASSERT(filtered<filter::all>(p, r, n) == p);
    }));
}

TEST_CASE("pf-ppo: weights sum to 1 and do not see increasing transformations of the rewards") {
    auto const holds = []<class Filter>(Filter, reals const& rewards) {
        auto transformed = rewards;
        for (auto& r : transformed) r = std::exp(r) - 3;
        auto const weights = weights_of<Filter>(rewards);
        return weights_of<Filter>(transformed) == weights && close(total_of(weights), 1);
    };
    CHECK(rc::check([&] {
        auto const rewards = draw_rewards(draw_size(1, 9));
        RC_ASSERT(holds(filter::all{}, rewards));
        RC_ASSERT(holds(filter::best{}, rewards));
        RC_ASSERT(holds(filter::best_and_random{}, rewards));
        RC_ASSERT(holds(filter::best_and_worst{}, rewards));
    }));
}

TEST_CASE("pf-ppo: R^2 of single responses is the squared correlation, whatever the units") {
    CHECK(rc::check([] {
        auto const n = draw_size(3, 12);
        auto rewards = draw_reals(n, -1, 1), scores = draw_reals(n, -1, 1);
        rewards[0] = -2; // so that neither is constant
        scores[1] = 3;
        auto const found = fit_of(rewards, scores, 0);
        auto const mean_r = mean(row<double const>(rewards)), mean_s = mean(row<double const>(scores));
        auto rr = 0.0, rs = 0.0, ss = 0.0;
        for (std::size_t k = 0; k < n; ++k) {
            rr += (rewards[k] - mean_r) * (rewards[k] - mean_r);
            rs += (rewards[k] - mean_r) * (scores[k] - mean_s);
            ss += (scores[k] - mean_s) * (scores[k] - mean_s);
        }
        RC_ASSERT(close(found.r_squared, rs * rs / (rr * ss), 1e-10));
        RC_ASSERT(close(found.slope, rs / rr, 1e-10));
        RC_ASSERT(close(found.intercept, mean_s - rs / rr * mean_r, 1e-10));
        // As many groups as responses are the responses.
        RC_ASSERT(close(fit_of(rewards, scores, n).r_squared, found.r_squared, 1e-10));

        auto const groups = draw_size(2, n);
        auto const before = fit_of(rewards, scores, groups);
        for (auto& r : rewards) r = 3 * r - 1;
        for (auto& s : scores) s = 5 - 2 * s;
        if (std::isfinite(before.r_squared))
            RC_ASSERT(close(fit_of(rewards, scores, groups).r_squared, before.r_squared, 1e-9));
    }));
}

TEST_CASE("pf-ppo: without a filter the loss is PPO's over all responses; a filter's weights come from its stage") {
    CHECK(rc::check([] {
        auto const prompts = draw_size(1, 3), n = draw_size(1, 5), all = prompts * n;
        auto const rewards = draw_rewards(all), log_p = draw_reals(all, -3, -1), old = draw_reals(all, -3, -1),
                   advantages = draw_reals(all, -2, 2);
        auto const view = [&](auto& values) { return rows_of(values.data(), prompts, n); };
        auto const evaluate_stages = [&](auto const& stages, reals& gradient) {
            auto objectives = reals(prompts);
            evaluate(execution::sequential{}, stages,
                     inputs(field::reward = view(rewards), field::log_probability = view(log_p),
                            field::old_log_probability = view(old), field::advantage = view(advantages)),
                     outputs(field::objective = objectives, field::gradient<field::log_probability> = view(gradient)));
            return mean(row<double const>(objectives));
        };
        auto plain_gradient = reals(all), gradient = reals(all);
        auto const plain = evaluate_stages(objective::clipped_surrogate{} | aggregation::mean{}, plain_gradient);
        auto const unfiltered = evaluate_stages(
            weighting::reward_rank<filter::all>{} | objective::clipped_surrogate{} | aggregation::sum{}, gradient);
        RC_ASSERT(close(unfiltered, plain));
        RC_ASSERT(close(gradient, plain_gradient));

        auto const filtered_loss = evaluate_stages(weighting::reward_rank<filter::best_and_worst>{} |
                                                       objective::clipped_surrogate{} | aggregation::sum{},
                                                   gradient);
        auto expected = 0.0;
        for (std::size_t p = 0; p < prompts; ++p) {
            auto const from = rewards.begin() + std::ptrdiff_t(p * n);
            auto const weights = weights_of<filter::best_and_worst>(reals(from, from + std::ptrdiff_t(n)));
            for (std::size_t i = 0; i < n; ++i) {
                auto const k = p * n + i;
                // The loss and its slope in log pi, by dual numbers.
                auto const ratio = math::exp(dual<double>(log_p[k] - old[k], 1));
                auto const clipped = math::clamp(ratio, dual<double>(0.8), dual<double>(1.2));
                auto const first = ratio * dual<double>(advantages[k]), second = clipped * dual<double>(advantages[k]);
                auto const loss =
                    -dual<double>(weights[i] / double(prompts)) * (first.value <= second.value ? first : second);
                expected += loss.value;
                RC_ASSERT(close(gradient[k], loss.derivative));
            }
        }
        RC_ASSERT(close(filtered_loss, expected));
    }));
}

TEST_CASE("pf-ppo: a response's weight is that of all its tokens") {
    constexpr auto responses = std::size_t{3}, tokens = std::size_t{4};
    auto const rewards = reals{1, 3, 2}, log_p = reals(responses * tokens, -1.0);
    auto const per_response = reals{1, 10, 100};
    auto weights = rewards, losses = log_p;
    auto objective = reals(1);
    auto const of_tokens = [](auto& values) { return sequences_of(one_row(values), responses); };
    evaluate(execution::sequential{},
             weighting::reward_rank<filter::best_and_random>{} | objective::clipped_surrogate{} | aggregation::sum{},
             inputs(field::reward = one_row(rewards), field::advantage = one_row(per_response),
                    field::log_probability = of_tokens(log_p), field::old_log_probability = of_tokens(log_p)),
             outputs(field::weight = one_row(weights), field::objective = objective,
                     field::gradient<field::log_probability> = of_tokens(losses)));
    CHECK(weights == reals{0.25, 0.5, 0.25});
    CHECK(close(objective[0], -(0.25 * 1 + 0.5 * 10 + 0.25 * 100) * double(tokens)));
    for (std::size_t k = 0; k < losses.size(); ++k)
        CHECK(close(losses[k], -weights[k / tokens] * per_response[k / tokens]));
}

TEST_CASE("pf-ppo: picks have the weights as their frequencies") {
    constexpr auto draws = std::size_t{100'000};
    auto const weights = reals{0.5, 0, 0.25, 1.25};
    auto uniforms = reals(draws), picks = uniforms, frequency = reals(4);
    for (std::size_t k = 0; k < draws; ++k)
        uniforms[k] = random::uniform<double>(random::generator{.seed = 4}.at(0, k));
    run(weighting::pick_by_weight{}, one_row(weights), one_row(uniforms), one_row(picks));
    for (auto const pick : picks) frequency[static_cast<std::size_t>(pick)] += 1.0 / double(draws);
    CHECK(frequency[1] == 0);
    for (std::size_t k = 0; k < 4; ++k) CHECK(std::abs(frequency[k] - weights[k] / 2) < 0.006);
}

TEST_CASE("pf-ppo: weighted standardisation") {
    auto const standardized = [](reals const& rewards, reals const& weights) {
        auto advantages = rewards;
        run(estimator::weighted_standardization{}, one_row(rewards), one_row(weights), one_row(advantages));
        return advantages;
    };
    CHECK(rc::check([&] {
        auto const n = draw_size(1, 8);
        auto const rewards = draw_rewards(n);
        auto weights = draw_reals(n, 0, 1);
        weights[0] += 0.1;
        auto const a = standardized(rewards, weights);
        auto const base = product(weights, rewards) / total_of(weights);
        auto squares = 0.0;
        for (std::size_t k = 0; k < n; ++k) squares += weights[k] * (rewards[k] - base) * (rewards[k] - base);
        auto const scale = std::sqrt(squares / total_of(weights)) + 1e-6;
        for (std::size_t k = 0; k < n; ++k) RC_ASSERT(close(a[k], (rewards[k] - base) / scale, 1e-8));
    }));
    CHECK(standardized({0.1, 0.1, 0.1, 5}, {1, 1, 1, 0})[0] == 0);
    CHECK(standardized({1, 2}, {0, 0}) == reals{0, 0});
}

TEST_CASE("pf-ppo: edges") {
    CHECK(weights_of<filter::best_and_random>({7}) == reals{1});
    CHECK(weights_of<filter::best_and_worst>({7}) == reals{1});
    CHECK(weights_of<filter::best_and_random>({1, 2}) == reals{0.5, 0.5});
    CHECK(weights_of<filter::best_and_worst>({2, 2, 2}) == reals{0.5, 0, 0.5}); // the first of equals is the best
    auto weights = reals(3);
    auto const power = [&](reals const& rewards) {
        run(weighting::reward_power{}, one_row(rewards), one_row(weights));
        return weights;
    };
    CHECK(close(power({0, 0, 0}), reals(3, 1.0 / 3)));
    CHECK(close(power({1e200, -1e200, 0}), {0.5, 0.5, 0}));
    auto pick = reals(2);
    run(weighting::pick_by_weight{}, one_row(power({0, 1, 0})), reals{0}, rows_of(pick.data(), 1, 1));
    CHECK(pick[0] == 1); // the first index that has weight
    run(weighting::pick_by_weight{}, rows_of(std::as_const(weights).data(), 1, 2), reals{std::nextafter(1.0, 0.0)},
        rows_of(pick.data(), 1, 1));
    CHECK(pick[0] == 1);
    CHECK(filtered<filter::best>({0.5, 0.5, 0}, {0, 1, 2}, 3) == reals{0.125, 0.875, 0});
}

TEST_CASE("pf-ppo: what is refused") {
    auto const none = reals{}, wrong = reals{1, math::quiet_nan<double>}, two = reals{0.5, 0.5};
    auto out = reals(2);
    CHECK_THROWS_WITH_AS(weights_of<filter::best>(none),
                         "reward_rank: argument 'reward': expected at least 1 element, got 0", argument_error);
    CHECK_THROWS_WITH_AS(weights_of<filter::best>(wrong),
                         "reward_rank: argument 'reward': expected numbers, not NaN, got nan", domain_violation);
    CHECK_THROWS_AS(run(weighting::reward_power{-1}, one_row(two), one_row(out)), domain_violation);
    auto const pick = [&](reals const& weights, reals const& uniforms) {
        run(weighting::pick_by_weight{}, one_row(weights), one_row(uniforms), rows_of(out.data(), 1, uniforms.size()));
    };
    CHECK_THROWS_WITH_AS(pick({0, 0}, {0.5}),
                         "pick_by_weight: argument 'weights': expected a positive finite sum, got 0", domain_violation);
    CHECK_THROWS_AS(pick({-1, 2}, {0.5}), domain_violation);
    CHECK_THROWS_AS(pick(two, {1}), domain_violation);
    CHECK_THROWS_WITH_AS(filtered<filter::best>(two, two, 0), "filtered: argument 'n': expected at least 1, got 0",
                         argument_error);
    CHECK_THROWS_AS(filtered<filter::best>({-0.5, 1.5}, two, 2), domain_violation);
    CHECK_THROWS_AS(filtered<filter::best>(two, wrong, 2), domain_violation);
    auto const scores = reals{1, 2, 3};
    CHECK_THROWS_WITH_AS(fit_of({1, 1, 1}, scores, 0),
                         "binned_r_squared: argument 'rewards': expected points that are not all equal, got 1",
                         domain_violation);
    CHECK_THROWS_AS(fit_of({0.1, 0.1, 0.1}, scores, 2), domain_violation);
    CHECK_THROWS_AS(fit_of(scores, {1, 1, 1}, 3), domain_violation);
    CHECK_THROWS_WITH_AS(fit_of(scores, scores, 4),
                         "binned_r_squared: argument 'groups': expected at most the number of responses (3), got 4",
                         argument_error);
    CHECK_THROWS_WITH_AS(fit_of(scores, scores, 1),
                         "binned_r_squared: argument 'groups': expected at least 2 points, got 1", argument_error);
    CHECK_THROWS_AS(fit_of(wrong, two, 0), domain_violation);
}

namespace {

constexpr auto constant_weights = [] {
    auto const rewards = std::array{2.0, 5.0, 1.0, 3.0};
    auto weights = rewards;
    for_each_row(execution::sequential{}, weighting::reward_rank<filter::best_and_worst>{},
                 rows_of<4>(rewards.data(), 1, 4), rows_of<4>(weights.data(), 1, 4));
    return weights;
}();
static_assert(constant_weights == std::array{0.0, 0.5, 0.5, 0.0});

constexpr auto best_of_two = [] {
    auto const policy = std::array{0.5, 0.25, 0.25}, rewards = std::array{0.0, 1.0, 1.0};
    auto law = policy;
    for_each_row(execution::sequential{}, policy::filtered<filter::best>{2}, rows_of<3>(policy.data(), 1, 3),
                 rows_of<3>(rewards.data(), 1, 3), rows_of<3>(law.data(), 1, 3));
    return law;
}();
static_assert(best_of_two == std::array{0.25, 0.375, 0.375});

constexpr auto constant_line = [] {
    auto const x = std::array{0.0, 1.0, 2.0}, y = std::array{1.0, 3.0, 5.0};
    return metric::least_squares_line(row<double const>(x), row<double const>(y));
}();
static_assert(constant_line.slope == 2 && constant_line.intercept == 1 && constant_line.r_squared() == 1);

} // namespace
