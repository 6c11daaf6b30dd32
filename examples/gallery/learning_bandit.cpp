#include "learning_runs.hpp"

#include "poise/environment/bandit.hpp"
#include "poise/estimator/baseline.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/policy/frozen.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/reward/one_step.hpp"
#include "poise/solver/learner.hpp"

#include <algorithm>
#include <array>

namespace {

using namespace poise;
using namespace learning_gallery;

constexpr auto contexts = std::size_t{4};
constexpr auto actions = std::size_t{10};
constexpr auto steps = std::size_t{300};

/// What one seed goes through; a seed has its own arms.
struct run {
    std::vector<double> reward, entropy, divergence; ///< of each step's samples
    double shortfall = 0; ///< best arm's mean less the mean of the policy's arms at the end, mean over contexts
};

template <class Pipeline>
run learn(Pipeline const& algorithm, std::size_t epochs, std::size_t seed) {
    auto means = std::vector<double>(contexts * actions);
    auto const draws = random::generator{.seed = 700 + seed};
    for (std::size_t k = 0; k < means.size(); ++k) means[k] = random::uniform<double>(draws.at(0, k));
    auto const start = policy::tabular_softmax<double>(contexts, actions);
    auto learner =
        solver::learner(start, reward::one_step{environment::contextual_bandit<double>(means, actions)}, algorithm,
                        solver::adam{.learning_rate = 0.1},
                        {.samples_per_context = 16, .epochs = epochs, .random = {.seed = seed}}, policy::frozen(start));
    auto seen = std::vector<std::size_t>(contexts);
    for (std::size_t c = 0; c < contexts; ++c) seen[c] = c;
    auto result = run{};
    for (std::size_t step = 0; step < steps; ++step)
        learner.step(seen, [&](auto const& report) {
            result.reward.push_back(report.reward);
            result.entropy.push_back(report.entropy);
            result.divergence.push_back(report.reference_log_ratio);
        });
    for (std::size_t c = 0; c < contexts; ++c) {
        auto best = 0.0, reached = 0.0;
        for (std::size_t a = 0; a < actions; ++a) {
            auto const mean = means[c * actions + a];
            best = std::max(best, mean);
            reached += std::exp(learner.policy().log_probability(c, a)) * mean;
        }
        result.shortfall += (best - reached) / contexts;
    }
    return result;
}

gallery::outcome bandit(gallery::settings const& settings) {
    auto result = gallery::outcome{};
    auto const plot = [](std::string name, std::string what) {
        return gallery::plot{.name = std::move(name),
                             .title = "Four contexts, ten arms that pay 0 or 1: mean and 95% band over seeds",
                             .x_label = "step (16 samples of each context)",
                             .y_label = std::move(what)};
    };
    auto rewards = plot("reward", "mean reward"), entropies = plot("entropy", "entropy (nats)"),
         divergences = plot("kl", "KL(pi || start), estimated from samples");
    auto x = std::vector<double>(steps);
    for (std::size_t k = 0; k < steps; ++k) x[k] = double(k);

    auto const study = [&](std::string const& name, auto const& algorithm, std::size_t epochs = 1) {
        auto const runs = over_seeds(settings, [&](std::size_t seed) { return learn(algorithm, epochs, seed); });
        auto shortfall = gallery::measurement{.name = name + ": best arm's mean less the policy's, mean over contexts",
                                              .paper = "at most 0.02; 0.4 for the uniform policy",
                                              .accepted = {0, 0.02}};
        auto curves = std::array<std::vector<std::vector<double>>, 3>{};
        for (auto const& each : runs) {
            shortfall.values.push_back(each.shortfall);
            curves[0].push_back(each.reward);
            curves[1].push_back(each.entropy);
            curves[2].push_back(each.divergence);
        }
        result.measurements.push_back(shortfall);
        rewards.curves.push_back(mean_curve(name, x, curves[0]));
        entropies.curves.push_back(mean_curve(name, x, curves[1]));
        divergences.curves.push_back(mean_curve(name, x, curves[2]));
    };
    study("REINFORCE", estimator::constant_baseline<double>{.baseline = 0.5} | objective::policy_gradient{});
    study("leave-one-out", estimator::leave_one_out{} | objective::policy_gradient{});
    study("group-relative", estimator::group_relative{} | objective::policy_gradient{});
    study("PPO", estimator::group_relative{} | objective::clipped_surrogate{}, 4);
    result.plots = {rewards, entropies, divergences};
    result.reading =
        "Another algorithm is another stage: 16 samples per context, a table of logits and Adam for all. Several "
        "epochs from the same samples make PPO the fastest.";
    return result;
}

gallery::registration const registered{
    method, gallery::experiment{.name = "learning-bandit",
                                .title = "Four algorithms on a contextual bandit",
                                .claim = "REINFORCE, leave-one-out, group-relative and PPO come within 0.02 of the "
                                         "best arm's mean.",
                                .default_seeds = 32,
                                .run = bandit}};

} // namespace
