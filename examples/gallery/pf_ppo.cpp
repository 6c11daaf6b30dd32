#include "learning_runs.hpp"

#include "poise/estimator/weighted_standardization.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/metric/binned_r_squared.hpp"
#include "poise/objective/aggregation.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/policy/log_linear.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/learner.hpp"
#include "poise/weighting/reward_rank.hpp"

#include <algorithm>
#include <array>

namespace {

using namespace poise;
using reals = std::vector<double>;
namespace filter = weighting::filter;

auto const pf_ppo = gallery::method{
    .slug = "pf-ppo",
    .title = "PF-PPO: policy filtration",
    .paper = "Shen and Zhang, 2024, Policy Filtration for RLHF to Mitigate Noise in Reward Models, arXiv 2409.06957"};

auto one_row(auto& values) { return rows_of(values.data(), 1, values.size()); }

/// Rewards are the scores where these are extreme, and say nothing between.
double reward_of(double score, double reliable_from, random::address where) {
    auto const u = random::uniform<double>(where);
    return std::abs(score) >= reliable_from ? score : reliable_from * (2 * u - 1);
}

// A: which filter's responses have rewards that tell their outcomes.

constexpr auto filters = std::array{"none", "best of n", "best and random", "best and worst"};

std::array<double, filters.size()> r_squared(std::size_t seed) {
    constexpr auto prompts = std::size_t{3000}, n = std::size_t{5};
    auto const draws = random::generator{.seed = 1700 + seed};
    auto rewards = reals(prompts * n), outcomes = rewards, by_rank = rewards;
    for (std::size_t p = 0; p < prompts; ++p) {
        auto const offset = 0.5 * random::normal<double>(draws.at(0, p));
        for (std::size_t k = p * n; k < (p + 1) * n; ++k) {
            auto const quality = offset + random::normal<double>(draws.at(1, k));
            rewards[k] = reward_of(quality, 0.8, draws.at(2, k));
            outcomes[k] = double(random::bernoulli(draws.at(3, k), math::sigmoid(1.5 * std::min(quality, 1.2))));
        }
    }
    auto kept = std::array<std::pair<reals, reals>, filters.size()>{};
    auto const keep = [&](auto& of, std::size_t k) {
        of.first.push_back(rewards[k]);
        of.second.push_back(outcomes[k]);
    };
    for (std::size_t p = 0; p < prompts; ++p) {
        auto order = std::array<std::size_t, n>{};
        for (std::size_t i = 0; i < n; ++i) order[i] = p * n + i;
        std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return rewards[a] > rewards[b]; });
        for (auto const k : order) keep(kept[0], k);
        keep(kept[1], order[0]);
        keep(kept[2], order[0]);
        keep(kept[2], order[1 + random::uniform_integer(draws.at(4, p), n - 1)]);
        keep(kept[3], order[0]);
        keep(kept[3], order[n - 1]);
    }
    auto result = std::array<double, filters.size()>{};
    for (std::size_t f = 0; f < filters.size(); ++f) {
        auto value = reals(1), slope = value, intercept = value;
        for_each_row(execution::sequential{}, metric::binned_r_squared{.groups = 20}, one_row(kept[f].first),
                     one_row(kept[f].second), value, slope, intercept);
        result[f] = value[0];
    }
    return result;
}

gallery::outcome fit(gallery::settings const& settings) {
    auto const runs = learning_gallery::over_seeds(settings, r_squared);
    auto result = gallery::outcome{};
    constexpr auto sheet = std::array{".886 (.871 to .885); paper .886", ".651 (.627 to .664); paper .454",
                                      ".847 (.841 to .855); paper .922", ".905; paper .952"};
    auto bars = gallery::curve{.name = "mean over seeds", .style = gallery::curve::styles::bars};
    for (std::size_t f = 0; f < filters.size(); ++f) {
        auto value = gallery::measurement{.name = std::string(filters[f]) + ": R^2", .paper = sheet[f]};
        for (auto const& run : runs) value.values.push_back(run[f]);
        bars.y.push_back(gallery::summarize(value).mean);
        result.measurements.push_back(value);
    }
    auto const compare = [&](std::string name, std::string paper, std::size_t f, gallery::band band) {
        auto difference = gallery::measurement{.name = std::move(name), .paper = std::move(paper), .accepted = band};
        for (auto const& run : runs) difference.values.push_back(run[f] - run[0]);
        result.measurements.push_back(difference);
    };
    compare("best and worst less none", ".019 to .026; not below 0", 3, {0, 1});
    compare("best of n less none", "-.24; at most -.12", 1, {-1, -0.12});
    result.plots = {{.name = "r-squared",
                     .title = "R^2 of outcomes on rewards in 20 groups, responses that a filter keeps of 5",
                     .y_label = "R^2",
                     .categories = {filters.begin(), filters.end()},
                     .curves = {bars}}};
    result.reading = "The largest rewards alone tell least, the largest and the smallest most. That best and random is "
                     "above no filter in the paper is not reproduced by this reward model.";
    return result;
}

// B: learning from filtered samples.

constexpr auto arms = std::size_t{12}, features = std::size_t{10}, contexts_per_step = std::size_t{16},
               steps = std::size_t{60}, test_contexts = std::size_t{2000};

/// PPO-S: as many responses as the filters keep, unfiltered.
struct first_two {
    using reads = fields<field::reward>;
    using writes = fields<field::weight>;

    constexpr void operator()(row_of_reals auto reward, writable_row auto weight) const {
        map(
            weight,
            [](auto k) {
                using K = decltype(k);
                return math::select(k < K(2), K(0.5), K(0));
            },
            indices_of(reward));
    }
};

/// The true score of an arm is linear in its features, fresh in every context; a sampled arm's reward is wrong unless
/// its score is extreme.
struct world {
    static constexpr std::size_t contexts = steps * contexts_per_step + test_contexts;
    reals inputs = reals(contexts * arms * features), direction = reals(features);

    explicit world(std::size_t seed) {
        auto const draws = random::generator{.seed = 1800 + seed};
        for (std::size_t k = 0; k < inputs.size(); ++k) inputs[k] = random::normal<double>(draws.at(0, k));
        for (std::size_t k = 0; k < features; ++k) direction[k] = random::normal<double>(draws.at(1, k));
        auto const length = std::sqrt(weighted_sum(row<double const>(direction), row<double const>(direction)));
        for (auto& w : direction) w /= length;
    }
    double true_score(std::size_t context, std::size_t arm) const {
        return weighted_sum(row<double const>(direction),
                            row<double const>(inputs.data() + (context * arms + arm) * features, features));
    }
    /// Expected in the contexts that are not learned from.
    double value(policy::log_linear<double> const& policy) const {
        auto p = reals(arms);
        auto total = 0.0;
        for (std::size_t c = contexts - test_contexts; c < contexts; ++c) {
            policy.log_probabilities(c, row<double>(p));
            for (std::size_t a = 0; a < arms; ++a) total += std::exp(p[a]) * true_score(c, a);
        }
        return total / double(test_contexts);
    }
};
struct reward_model {
    world const* of;
    double score(std::size_t context, std::size_t arm, random::address where) const {
        return reward_of(of->true_score(context, arm), 1.2, where);
    }
};

/// The policy's value every so many steps and at the end.
template <class Weighting>
reals learn(Weighting const& weighting, world const& of, std::size_t seed, std::size_t every) {
    auto learner = solver::learner(policy::log_linear<double>(arms, features, of.inputs), reward_model{&of},
                                   weighting | over_batch(estimator::weighted_standardization{}) |
                                       objective::policy_gradient{} | aggregation::sum{},
                                   solver::sgd{.learning_rate = 0.05},
                                   {.samples_per_context = 5, .random = {.seed = 1900 + seed}});
    auto result = reals{};
    for (std::size_t step = 0;; ++step) {
        if (step % every == 0 || step == steps) result.push_back(of.value(learner.policy()));
        if (step == steps) return result;
        auto seen = std::array<std::size_t, contexts_per_step>{};
        for (std::size_t i = 0; i < contexts_per_step; ++i) seen[i] = step * contexts_per_step + i;
        learner.step(seen);
    }
}

gallery::outcome learning(gallery::settings const& settings) {
    enum strategy { two, all, best, random, worst, strategies };
    constexpr auto names = std::array{"PPO-S", "PPO-M", "best of n", "best and random", "best and worst"};
    constexpr auto sheet = std::array{"1.109", "1.117", "1.010", "1.144", "1.223"};
    auto const every = settings.quick ? steps : std::size_t{5};
    auto const runs = learning_gallery::over_seeds(settings, [&](std::size_t seed) {
        auto const here = world(seed);
        auto const run = [&](auto const& weighting) { return learn(weighting, here, seed, every); };
        return std::array{run(first_two{}), run(weighting::reward_rank<filter::all>{}),
                          run(weighting::reward_rank<filter::best>{}),
                          run(weighting::reward_rank<filter::best_and_random>{}),
                          run(weighting::reward_rank<filter::best_and_worst>{})};
    });
    auto result = gallery::outcome{};
    for (std::size_t s = 0; s < strategies; ++s) {
        auto final = gallery::measurement{.name = std::string(names[s]) + ": true score", .paper = sheet[s]};
        for (auto const& run : runs) final.values.push_back(run[s].back());
        result.measurements.push_back(final);
    }
    auto const compare = [&](strategy a, strategy b, std::string paper, double least) {
        auto difference = gallery::measurement{
            .name = std::string(names[a]) + " less " + names[b], .paper = std::move(paper), .accepted = {least, 1}};
        for (auto const& run : runs) difference.values.push_back(run[a].back() - run[b].back());
        result.measurements.push_back(difference);
    };
    compare(two, best, ".099; at least .05", 0.05);
    compare(all, best, ".107; above 0", 0);
    compare(random, two, ".035; above 0", 0);
    compare(random, all, ".027; at least .01", 0.01);
    compare(worst, random, ".079; at least .03", 0.03);
    compare(worst, all, ".106; at least .07", 0.07);

    auto x = reals{};
    for (std::size_t step = 0; step < steps; step += every) x.push_back(double(step));
    x.push_back(double(steps));
    auto plot = gallery::plot{.name = "score",
                              .title = "5 responses of 12 arms in 16 contexts a step: mean and 95% band over seeds",
                              .x_label = "step",
                              .y_label = "true score of the policy"};
    for (std::size_t s = 0; s < strategies; ++s) {
        auto curves = std::vector<reals>{};
        for (auto const& run : runs) curves.push_back(run[s]);
        plot.curves.push_back(learning_gallery::mean_curve(names[s], x, curves));
    }
    result.plots = {plot};
    result.reading =
        "With a reward model that is right at the extremes only, best and worst learns fastest and best of n "
        "slowest. All see the same contexts and random numbers.";
    return result;
}

gallery::registration const registered{
    pf_ppo,
    gallery::experiment{.name = "pf-ppo-fit",
                        .title = "Which filter keeps responses whose rewards tell the outcome",
                        .claim = "Rewards of the best and the worst of n fit true outcomes better than those of all; "
                                 "rewards of the best alone fit worst.",
                        .default_seeds = 5,
                        .run = fit},
    gallery::experiment{.name = "pf-ppo-training",
                        .title = "Learning from filtered responses",
                        .claim = "Best of n is worse than no filter, best and random better, best and worst best.",
                        .default_seeds = 10,
                        .run = learning}};

} // namespace
