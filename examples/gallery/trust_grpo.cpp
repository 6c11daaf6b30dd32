#include "learning_runs.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/trusted_reward.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/random/random.hpp"
#include "poise/reward/named.hpp"
#include "poise/reward/table.hpp"
#include "poise/solver/exponential_decay.hpp"
#include "poise/solver/gradient_descent.hpp"
#include "poise/solver/learner.hpp"

#include <array>
#include <cmath>
#include <string>

namespace {

using namespace poise;

constexpr auto prompts = std::size_t{20}, candidates = std::size_t{6}, right = std::size_t{3};
constexpr auto steps = std::size_t{300}, every = std::size_t{10};

/// Six answers to each prompt, the first three right, and a scorer of their reasoning that three prompts in ten
/// deceive.
struct instance {
    std::vector<double> outcome, quality, thinking;
    policy::tabular_softmax<double> start{prompts, candidates};

    static bool deceived(std::size_t prompt) { return prompt % 10 < 3; }
    explicit instance(std::size_t seed)
        : outcome(prompts * candidates), quality(outcome.size()), thinking(outcome.size()) {
        auto const draws = random::generator{.seed = 500 + seed};
        auto const between = [&](std::size_t what, std::size_t k, double low, double high) {
            return low + (high - low) * random::uniform<double>(draws.at(what, k));
        };
        for (std::size_t k = 0; k < outcome.size(); ++k) {
            auto const correct = k % candidates < right;
            outcome[k] = correct ? between(0, k, 0.55, 0.75) : between(0, k, 0.3, 0.5);
            quality[k] = correct ? between(1, k, 0.4, 1) : between(1, k, 0, 0.4);
            thinking[k] = !deceived(k / candidates) ? quality[k]
                          : correct                 ? between(2, k, 0, 0.2)
                                                    : between(2, k, 0.8, 1);
            start.parameters()[k] = 0.3 * random::normal<double>(draws.at(3, k));
        }
    }
};

/// What the policy is worth, exactly: after 0, 10, ... 300 steps.
struct run {
    std::vector<double> accuracy, deceived_accuracy, quality;
};

/// `weigh(step)` is the coefficient of the thinking reward.
template <class Weigh>
run learn(instance const& of, weighting::trust const& trust, Weigh const& weigh, std::size_t seed) {
    using grpo = estimator::group_relative<estimator::deviation::sample, estimator::singleton::uncentered>;
    auto learner =
        solver::learner(of.start,
                        std::tuple{reward::as<field::outcome>(reward::table<double>(of.outcome, candidates)),
                                   reward::as<field::thinking_reward>(reward::table<double>(of.thinking, candidates))},
                        trust | estimator::trusted_reward{} | grpo{} | objective::policy_gradient{},
                        solver::sgd{.learning_rate = 0.4 * double(prompts)}, // 0.4 for each prompt
                        {.samples_per_context = 8, .random = {.seed = seed}});
    auto seen = std::vector<std::size_t>(prompts);
    for (std::size_t c = 0; c < prompts; ++c) seen[c] = c;
    auto result = run{};
    auto const measure = [&] {
        auto accuracy = 0.0, of_deceived = 0.0, quality = 0.0;
        for (std::size_t k = 0; k < prompts * candidates; ++k) {
            auto const prompt = k / candidates;
            auto const p = std::exp(learner.policy().log_probability(prompt, k % candidates));
            quality += p * of.quality[k] / double(prompts);
            if (k % candidates >= right) continue;
            accuracy += p / double(prompts);
            if (instance::deceived(prompt)) of_deceived += p / (0.3 * double(prompts));
        }
        result.accuracy.push_back(accuracy);
        result.deceived_accuracy.push_back(of_deceived);
        result.quality.push_back(quality);
    };
    for (std::size_t step = 0; step < steps; ++step) {
        if (step % every == 0) measure();
        std::get<estimator::trusted_reward>(learner.pipeline().stages).coefficient = weigh(step);
        learner.step(seen);
    }
    measure();
    return result;
}

gallery::outcome deceived_scorer(gallery::settings const& settings) {
    auto accuracy_plot = gallery::plot{.name = "accuracy",
                                       .title = "A scorer that three prompts in ten deceive: mean over seeds",
                                       .x_label = "step",
                                       .y_label = "accuracy on the prompts that deceive"};
    auto quality_plot = gallery::plot{.name = "quality",
                                      .title = "The same: what the answers are truly worth",
                                      .x_label = "step",
                                      .y_label = "quality"};
    auto x = std::vector<double>{};
    for (std::size_t k = 0; k <= steps; k += every) x.push_back(double(k));
    auto const study = [&](std::string const& name, weighting::trust const& trust, auto const& weigh) {
        auto const runs = learning_gallery::over_seeds(
            settings, [&](std::size_t seed) { return learn(instance(seed), trust, weigh, seed); });
        auto accuracy = std::vector<std::vector<double>>{}, quality = accuracy;
        for (auto const& each : runs) {
            accuracy.push_back(each.deceived_accuracy);
            quality.push_back(each.quality);
        }
        accuracy_plot.curves.push_back(learning_gallery::mean_curve(name, x, accuracy));
        quality_plot.curves.push_back(learning_gallery::mean_curve(name, x, quality));
        return runs;
    };
    auto const always = weighting::trust{.threshold = -math::infinity<double>}; // with no wrong answers trust is 1
    auto const constant = [](double alpha) { return [=](std::size_t) { return alpha; }; };
    auto const decay = solver::exponential_decay{.first = 0.3, .time_constant = 100};
    auto const outcome = study("outcome only", {}, constant(0));
    auto const thinking = study("+ thinking", always, constant(0.3));
    auto const trusted = study("+ trust", {}, constant(0.3));
    auto const annealed = study("+ trust, annealed", {}, [&](std::size_t step) { return decay(double(step)); });

    auto result = gallery::outcome{};
    auto const measure = [&](std::string name, std::string paper, gallery::band accepted, auto const& of) {
        auto one = gallery::measurement{.name = std::move(name), .paper = std::move(paper), .accepted = accepted};
        for (std::size_t seed = 0; seed < settings.seeds; ++seed) one.values.push_back(of(seed));
        result.measurements.push_back(one);
    };
    auto const quality = [](run const& of) { return of.quality.back(); };
    measure("accuracy with trust", "0.999; at least 0.99", {0.99, 1},
            [&](std::size_t s) { return trusted[s].accuracy.back(); });
    measure("accuracy with thinking rewards that are always trusted", "0.869; at most 0.95", {0, 0.95},
            [&](std::size_t s) { return thinking[s].accuracy.back(); });
    measure("quality with trust, less with outcomes only", "0.074; at least 0.03", {0.03, 1},
            [&](std::size_t s) { return quality(trusted[s]) - quality(outcome[s]); });
    measure("quality with trust, annealed, less with outcomes only", "0.030; above 0", {0, 1},
            [&](std::size_t s) { return quality(annealed[s]) - quality(outcome[s]); });
    measure("quality with trust, annealed, less without annealing", "-0.044; below 0", {-1, 0},
            [&](std::size_t s) { return quality(annealed[s]) - quality(trusted[s]); });
    result.plots = {accuracy_plot, quality_plot};
    result.reading = "Trust keeps the scorer's help where it is right and its harm out where it is deceived. Annealing "
                     "gives part of the quality back: its use needs a scorer that gets worse late in training.";
    return result;
}

gallery::method const method{.slug = "trust-grpo",
                             .title = "Trust-GRPO: thinking rewards as far as they are trusted",
                             .paper = "SophiaVL-R1: Reinforcing MLLMs Reasoning with Thinking Reward, 2025 "
                                      "(arXiv 2505.17018)"};
gallery::registration const registered{
    method, gallery::experiment{.name = "trust-grpo-deceived",
                                .title = "A scorer of reasoning that some prompts deceive",
                                .claim = "Scaled by trust, a thinking reward makes answers better and not less right.",
                                .default_seeds = 5,
                                .run = deceived_scorer}};

} // namespace
