#include "learning_runs.hpp"

#include "poise/environment/cart_pole.hpp"
#include "poise/estimator/generalized_advantage.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/estimator/normalized_advantage.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/objective/value_loss.hpp"
#include "poise/policy/mlp.hpp"
#include "poise/policy/neural_softmax.hpp"
#include "poise/solver/actor_critic.hpp"
#include "poise/solver/episode_learner.hpp"

#include <algorithm>
#include <array>

namespace {

using namespace poise;
using namespace learning_gallery;

using network = policy::neural_softmax<float, policy::dense<4, 32, policy::activation::tanh>, policy::dense<32, 2>>;
using value_network = policy::mlp<float, policy::dense<4, 32, policy::activation::tanh>, policy::dense<32, 1>>;

constexpr auto solved = 475.0;

/// One seed: mean return of the episodes of each step of learning over the environment's steps until then, and that of
/// 100 episodes of the policy learned.
struct run {
    std::vector<double> environment_steps, returns;
    double final_return = 0;

    /// Environment steps until the mean return of a step of learning first reached 475; infinity if never.
    double steps_needed() const {
        for (std::size_t k = 0; k < returns.size(); ++k)
            if (returns[k] >= solved) return environment_steps[k];
        return gallery::unbounded;
    }
    double return_after(double steps) const {
        auto const after = std::upper_bound(environment_steps.begin(), environment_steps.end(), steps);
        return returns[std::size_t(std::max(after - environment_steps.begin(), std::ptrdiff_t{1})) - 1];
    }
};

auto start(std::size_t seed) { return network(policy::initialization::glorot{}, {.seed = seed}); }
auto rule(double rate) { return solver::clipped_by_norm{solver::adam{.learning_rate = rate}, 0.5}; }

/// Steps of learning with a rate that falls to 0; `set_rate(rate)` hands it over.
template <class Learner>
run train(Learner& learner, std::size_t iterations, double rate, std::size_t seed, auto const& set_rate) {
    auto result = run{};
    for (std::size_t i = 0; i < iterations; ++i) {
        set_rate(rate * (1 - double(i) / double(iterations)));
        learner.step([&](auto const& report) {
            auto const ended = !std::isnan(report.reward); // in some iteration of PPO no episode ends
            if (!ended && result.returns.empty()) return;
            result.returns.push_back(ended ? double(report.reward) : result.returns.back());
        });
        if (!result.returns.empty()) result.environment_steps.push_back(double(learner.environment_steps()));
    }
    result.final_return =
        environment::mean_return(learner.policy(), environment::cart_pole_v1<float>(), 100, {.seed = 1000 + seed}, 500);
    return result;
}

/// From whole episodes, 16 at a time; the algorithm is the pipeline.
template <class Pipeline>
run from_episodes(Pipeline algorithm, std::size_t epochs, double rate, std::size_t seed) {
    auto learner = solver::episode_learner(
        start(seed), environment::cart_pole_v1<float>(), algorithm, rule(rate),
        {.groups = 1, .episodes_per_group = 16, .epochs = epochs, .random = {.seed = 100 + seed}});
    return train(learner, 100, rate, seed, [&](double now) { learner.rule().rule.learning_rate = now; });
}

run from_steps(std::size_t seed) {
    constexpr auto rate = 2.5e-3;
    auto learner = solver::actor_critic(
        start(seed), value_network(policy::initialization::glorot{}, {.seed = seed, .replica = 1}),
        environment::cart_pole_v1<float>(), estimator::generalized_advantage{.discount = 0.98, .lambda = 0.8},
        estimator::normalized_advantage{} | objective::clipped_surrogate{} | objective::value_loss{}, rule(rate),
        {.environments = 8, .steps = 32, .epochs = 20, .minibatches = 1, .random = {.seed = 100 + seed}});
    return train(learner, 390, rate, seed, [&](double now) {
        learner.policy_rule().rule.learning_rate = now;
        learner.value_rule().rule.learning_rate = now;
    });
}

struct algorithm {
    char const* name;
    run (*learn)(std::size_t seed);
};
constexpr auto algorithms = std::array{
    algorithm{"REINFORCE",
              [](std::size_t seed) {
                  return from_episodes(estimator::reward_to_go{.discount = 0.99} | estimator::normalized_advantage{} |
                                           objective::policy_gradient{},
                                       1, 2e-2, seed);
              }},
    algorithm{"leave-one-out",
              [](std::size_t seed) {
                  return from_episodes(estimator::leave_one_out{} | objective::policy_gradient{}, 4, 5e-3, seed);
              }},
    algorithm{"group-relative",
              [](std::size_t seed) {
                  return from_episodes(estimator::group_relative{} | objective::clipped_surrogate{}, 4, 5e-3, seed);
              }},
    algorithm{"PPO", from_steps}};

gallery::outcome cart_pole(gallery::settings const& settings) {
    auto result = gallery::outcome{};
    auto plot = gallery::plot{.name = "returns",
                              .title = "Cart-pole, network 4-32-2: return while learning, mean and 95% band over seeds",
                              .x_label = "environment steps",
                              .y_label = "mean return of the episodes of a step",
                              .log_x = true};
    auto grid = std::vector<double>{};
    for (auto steps = 1000.0; steps < 1e6; steps *= 1.1) grid.push_back(std::round(steps));

    for (auto const& [name, learn] : algorithms) {
        auto const runs = over_seeds(settings, learn);
        auto returns = gallery::measurement{.name = std::string(name) + ": mean return of 100 episodes after learning",
                                            .paper = "475 counts as solved; 500 is the most"};
        auto share = gallery::measurement{.name = std::string(name) + ": share of seeds that reach 475",
                                          .paper = "at least 0.9",
                                          .accepted = {0.9, 1}};
        auto needed = std::vector<double>{};
        auto curves = std::vector<std::vector<double>>{};
        auto reached = 0.0;
        for (auto const& each : runs) {
            returns.values.push_back(each.final_return);
            needed.push_back(each.steps_needed());
            reached += each.final_return >= solved;
            curves.emplace_back();
            for (auto const steps : grid) curves.back().push_back(each.return_after(steps));
        }
        share.values = {reached / double(runs.size())};
        std::nth_element(needed.begin(), needed.begin() + std::ptrdiff_t(needed.size() / 2), needed.end());
        result.measurements.push_back(returns);
        result.measurements.push_back(share);
        result.measurements.push_back(
            {.name =
                 std::string(name) + ": environment steps until a step's mean return reaches 475, median over seeds",
             .values = {needed[needed.size() / 2]}});
        plot.curves.push_back(mean_curve(name, grid, curves));
    }
    result.plots = {plot};
    result.reading =
        "All four solve it. PPO learns from every 256 steps and needs the fewest; the others play sixteen whole "
        "episodes for each step of learning. REINFORCE takes one epoch at four times the rate.";
    return result;
}

gallery::registration const registered{
    method, gallery::experiment{.name = "learning-cart-pole",
                                .title = "Four algorithms on cart-pole",
                                .claim = "Each brings a 4-32-2 network to a mean return of 475 or more over 100 "
                                         "episodes, in at least 9 of 10 seeds.",
                                .default_seeds = 10,
                                .run = cart_pole}};

} // namespace
