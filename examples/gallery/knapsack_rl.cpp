#include "learning_runs.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/learner.hpp"
#include "poise/solver/rollout_budget.hpp"

#include <algorithm>
#include <numeric>

namespace {

using namespace poise;
using reals = std::vector<double>;
using counts = std::vector<std::size_t>;

auto const knapsack_rl = gallery::method{
    .slug = "knapsack-rl",
    .title = "Knapsack RL: rollouts where they teach most",
    .paper = "Li et al., 2025, Knapsack RL: Unlocking Exploration of LLMs via Optimizing Budget Allocation, arXiv "
             "2509.25849"};

/// One number per seed, in a band.
template <class Runs, class Of>
gallery::measurement measure(std::string name, std::string sheet, gallery::band band, Runs const& runs, Of const& of,
                             bool every_seed = false) {
    auto result = gallery::measurement{
        .name = std::move(name), .paper = std::move(sheet), .accepted = band, .every_seed = every_seed};
    for (auto const& run : runs) result.values.push_back(of(run));
    return result;
}

gallery::outcome one_step(gallery::settings const& settings) {
    constexpr auto prompts = std::size_t{1000};
    struct run {
        reals rates;
        solver::rollout_allocation optimal;
        double uniform_signal = 0, uniform_value = 0;
        double greatest() const { return double(*std::max_element(optimal.rollouts.begin(), optimal.rollouts.end())); }
    };
    auto const runs = learning_gallery::over_seeds(settings, [](std::size_t seed) {
        auto result = run{.rates = reals(prompts), .optimal = {}};
        for (std::size_t i = 0; i < prompts; ++i)
            result.rates[i] = random::beta<double>(random::generator{.seed = 1400 + seed}.at(i), 0.6, 0.9);
        result.optimal = solver::rollout_budget{}.allocate(result.rates, 8 * prompts);
        for (auto const p : result.rates) {
            result.uniform_signal += metric::signal_probability(p, 8.0) / double(prompts);
            result.uniform_value += metric::task_value(p, 8.0);
        }
        return result;
    });
    auto const response_gain = [](run const& of) { return of.optimal.effective_response_ratio - of.uniform_signal; };
    auto result = gallery::outcome{
        .measurements = {measure("uniform: share of prompts and responses with a gradient", ".668 to .704", {}, runs,
                                 [](run const& of) { return of.uniform_signal; }),
                         measure("knapsack: share of prompts", ".671 to .704", {}, runs,
                                 [](run const& of) { return of.optimal.effective_prompt_ratio; }),
                         measure("knapsack: share of responses", ".825 to .839", {}, runs,
                                 [](run const& of) { return of.optimal.effective_response_ratio; }),
                         measure("knapsack: largest budget of a prompt", "16 to 17", {}, runs,
                                 [](run const& of) { return of.greatest(); }),
                         measure("knapsack less uniform: share of responses", ".134 to .158", {0.12, 1}, runs,
                                 response_gain, true),
                         measure(
                             "knapsack over uniform: total value", "1.050 to 1.059", {1.04, 2}, runs,
                             [](run const& of) { return of.optimal.total_value / of.uniform_value; }, true)},
        .reading = "Hardly fewer prompts than with eight rollouts each have a gradient, at a far larger share of the "
                   "rollouts: easy and impossible prompts give theirs up."};
    auto points = gallery::curve{.name = "knapsack", .style = gallery::curve::styles::points};
    points.x = runs[0].rates;
    for (auto const n : runs[0].optimal.rollouts) points.y.push_back(double(n));
    result.plots = {{.name = "budgets",
                     .title = "1,000 prompts share 8,000 rollouts, seed 0",
                     .x_label = "success rate of the prompt",
                     .y_label = "rollouts",
                     .curves = {points}}};
    return result;
}

/// How each epoch's rollouts are dealt out by the success rates that the last one showed.
struct way {
    char const* name;
    std::size_t mean;
    std::optional<solver::rollout_budget> budget;
};
auto const ways = std::array{way{"uniform 8", 8, std::nullopt}, way{"knapsack", 8, solver::rollout_budget{}},
                             way{"knapsack with reserve", 8, solver::rollout_budget{.interior_mean = 8.0}},
                             way{"uniform 16", 16, std::nullopt}};

struct training {
    reals success;       ///< before each epoch and after the last: mean probability to succeed
    reals signal;        ///< of each epoch: share of rollouts in groups with both outcomes
    double greatest = 0; ///< the largest budget of a prompt
    double final() const { return success.back(); }
    double effective() const { // the first epoch is the same for all
        return std::accumulate(signal.begin() + 1, signal.end(), 0.0) / double(signal.size() - 1);
    }
};

struct succeeds {
    double score(std::size_t, std::size_t action) const { return double(action); }
};

training train(way const& by, std::size_t seed) {
    constexpr auto prompts = std::size_t{300}, epochs = std::size_t{60};
    auto const draws = random::generator{.seed = 1500 + seed};
    auto start = policy::tabular_softmax<double>(prompts, 2); // logits 0 and theta: action 1 is a success
    for (std::size_t i = 0; i < prompts; ++i) start.logits(i)[1] = -2.5 + 1.8 * random::normal<double>(draws.at(0, i));
    // The loss is a mean over prompts, and a step moves both logits: theta by 0.6 per prompt.
    auto learner =
        solver::learner(start, succeeds{}, estimator::group_relative{} | objective::policy_gradient{},
                        solver::sgd{.learning_rate = 0.3 * double(prompts)}, {.random = {.seed = 1600 + seed}});
    auto contexts = counts(prompts), rollouts = counts(prompts, by.mean);
    std::iota(contexts.begin(), contexts.end(), std::size_t{0});
    auto result = training{};
    auto rates = reals(prompts);
    for (std::size_t epoch = 0;; ++epoch) {
        auto success = 0.0;
        for (auto const i : contexts) success += std::exp(learner.policy().log_probability(i, 1)) / double(prompts);
        result.success.push_back(success);
        if (epoch == epochs) return result;

        learner.step(contexts, rollouts);
        auto reward = learner.rewards().begin();
        auto with_signal = std::size_t{0}, all = with_signal;
        for (auto const i : contexts) {
            auto const end = reward + std::ptrdiff_t(rollouts[i]);
            rates[i] = std::accumulate(reward, end, 0.0) / double(rollouts[i]);
            reward = end;
            all += rollouts[i];
            if (rates[i] > 0 && rates[i] < 1) with_signal += rollouts[i];
            result.greatest = std::max(result.greatest, double(rollouts[i]));
        }
        result.signal.push_back(double(with_signal) / double(all));
        if (by.budget) rollouts = by.budget->allocate(rates, by.mean * prompts).rollouts;
    }
}

gallery::outcome learning(gallery::settings const& settings) {
    auto runs = std::array<std::vector<training>, ways.size()>{};
    for (std::size_t w = 0; w < ways.size(); ++w)
        runs[w] = learning_gallery::over_seeds(settings, [&](std::size_t seed) { return train(ways[w], seed); });
    auto result = gallery::outcome{};
    constexpr auto success = std::array{".830 (.812 to .831)", ".751", ".848", ".875"};
    constexpr auto effective = std::array{".370", ".733", ".446", ".482"};
    auto const mean = [&](std::size_t w, auto const& of) {
        return gallery::summarize(measure("", "", {}, runs[w], of)).mean;
    };
    auto const final = [](training const& of) { return of.final(); };
    auto const share = [](training const& of) { return of.effective(); };
    for (std::size_t w = 0; w < ways.size(); ++w) {
        result.measurements.push_back(
            measure(std::string(ways[w].name) + ": final mean success", success[w], {}, runs[w], final));
        result.measurements.push_back(measure(std::string(ways[w].name) + ": share of rollouts with a gradient",
                                              effective[w], {}, runs[w], share));
    }
    enum { uniform, knapsack, reserve, twice };
    auto const one = [&](std::string name, std::string sheet, double value, gallery::band band) {
        result.measurements.push_back(
            {.name = std::move(name), .paper = std::move(sheet), .values = {value}, .accepted = band});
    };
    one("reserve less uniform 8: mean success", ".012 to .019; at least .004",
        mean(reserve, final) - mean(uniform, final), {0.004, 1});
    one("reserve over uniform 8: share with a gradient", "1.18 to 1.20; at least 1.12",
        mean(reserve, share) / mean(uniform, share), {1.12, 10});
    one("no reserve over uniform 8: share with a gradient", "2.0; at least 1.6",
        mean(knapsack, share) / mean(uniform, share), {1.6, 10});
    one("uniform 16 less uniform 8: mean success", ".045; above 0", mean(twice, final) - mean(uniform, final), {0, 1});
    auto greatest = 0.0;
    for (auto const& run : runs[reserve]) greatest = std::max(greatest, run.greatest);
    one("reserve: largest budget of a prompt in any epoch", "94 to 105; at least 60", greatest, {60, 128});

    auto const plot = [&](std::string name, std::string what, auto part) {
        auto drawn = gallery::plot{.name = std::move(name),
                                   .title = "300 prompts, 8 (or 16) rollouts of each on average: mean and 95% band",
                                   .x_label = "epoch",
                                   .y_label = std::move(what)};
        for (std::size_t w = 0; w < ways.size(); ++w) {
            auto curves = std::vector<reals>{};
            for (auto const& run : runs[w]) curves.push_back(run.*part);
            auto x = reals(curves[0].size());
            std::iota(x.begin(), x.end(), 0.0);
            drawn.curves.push_back(learning_gallery::mean_curve(ways[w].name, x, curves));
        }
        result.plots.push_back(drawn);
    };
    plot("success", "mean probability to succeed", &training::success);
    plot("signal", "share of rollouts in groups with both outcomes", &training::signal);
    result.reading = "Where interior prompts take all they gain by, prompts that have never succeeded starve. With a "
                     "reserve the rollouts that solved prompts save explore them.";
    return result;
}

gallery::registration const registered{
    knapsack_rl,
    gallery::experiment{.name = "knapsack-rl-allocation",
                        .title = "One allocation to 1,000 prompts",
                        .claim = "The same budget gives 20 to 40% more rollouts with a gradient.",
                        .default_seeds = 9,
                        .run = one_step},
    gallery::experiment{.name = "knapsack-rl-training",
                        .title = "Training with budgets from the last epoch's success rates",
                        .claim = "At the same cost the policy succeeds more often; hard prompts get up to a hundred "
                                 "rollouts.",
                        .default_seeds = 5,
                        .run = learning}};

} // namespace
