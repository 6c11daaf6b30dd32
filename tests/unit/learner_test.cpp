#include "poise/environment/cart_pole.hpp"
#include "poise/environment/chain.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/estimator/normalized_advantage.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/objective/value_loss.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/policy/frozen.hpp"
#include "poise/policy/mlp.hpp"
#include "poise/policy/neural_softmax.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/reward/table.hpp"
#include "poise/solver/actor_critic.hpp"
#include "poise/solver/episode_learner.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <sstream>

namespace {

using namespace poise;
using tabular = policy::tabular_softmax<double>;

auto rewards() { return reward::table<double>({0.1, 0.9, 0.2, 0.8, 0.3, 0.1}, 3); }
auto const contexts = std::vector<std::size_t>{0, 1, 1};

auto numbers(auto const& policy) {
    auto const parameters = policy.parameters();
    return std::vector<double>(parameters.data(), parameters.data() + parameters.size());
}

} // namespace

TEST_CASE("a step is the formula: samples, leave-one-out, the mean over samples and contexts, gradient descent") {
    auto start = tabular(2, 3);
    for (std::size_t k = 0; k < 6; ++k) start.parameters()[k] = 0.3 * static_cast<double>(k % 4);
    auto bandit = solver::learner(start, rewards(), estimator::leave_one_out{} | objective::policy_gradient{},
                                  solver::sgd{.learning_rate = 0.5}, {.samples_per_context = 4, .random = {.seed = 3}});
    auto expected = numbers(start);
    for (std::size_t step = 0; step < 3; ++step) {
        auto const before = bandit.policy();
        bandit.step(contexts, [&](auto const& report) {
            CHECK(report.step == step);
            CHECK(report.kl_divergence == 0);
            CHECK(report.clip_fraction == 0);
        });
        for (std::size_t i = 0; i < contexts.size(); ++i)
            for (std::size_t s = 0; s < 4; ++s) {
                auto const k = 4 * i + s;
                auto const action = bandit.actions()[k];
                CHECK(action ==
                      before.sample(contexts[i], {.seed = 3, .step = std::uint32_t(step), .index = std::uint32_t(k)}));
                CHECK(bandit.rewards()[k] == rewards().score(contexts[i], action));
                auto others = 0.0;
                for (std::size_t o = 0; o < 4; ++o) others += o == s ? 0 : bandit.rewards()[4 * i + o] / 3;
                for (std::size_t a = 0; a < 3; ++a)
                    expected[3 * contexts[i] + a] += 0.5 * (bandit.rewards()[k] - others) / 12 *
                                                     ((a == action) - std::exp(before.log_probability(contexts[i], a)));
            }
        for (std::size_t k = 0; k < 6; ++k)
            CHECK(numbers(bandit.policy())[k] == doctest::Approx(expected[k]).epsilon(1e-12));
    }
}

TEST_CASE("reports: reward, divergences, entropy, norm, clipped fraction by the pipeline's own bounds") {
    auto const start = tabular(2, 3);
    auto bandit =
        solver::learner(start, rewards(),
                        estimator::group_relative{} | objective::clipped_surrogate{.low = 0.05, .high = 0.1} |
                            penalty::kl_k3{} | objective::entropy_bonus{},
                        solver::sgd{.learning_rate = 2.0},
                        {.samples_per_context = 8, .epochs = 5, .random = {.seed = 1}}, policy::frozen(start));
    bandit.step(contexts, [&](auto const& report) {
        CHECK(report.reward == doctest::Approx([&] {
                  auto sum = 0.0;
                  for (auto r : bandit.rewards()) sum += r;
                  return sum / 24;
              }()));
        CHECK(report.kl_divergence > 0);
        CHECK(report.reference_log_ratio == 0); // the policy that sampled is the reference
        CHECK(report.entropy < std::log(3.0));
        CHECK(report.entropy > 0);
        CHECK(report.gradient_norm > 0);
        CHECK(report.clip_fraction > 0);
        CHECK(report.clip_fraction <= 1);
    });
    bandit.step(contexts, [&](auto const& report) { CHECK(report.reference_log_ratio > 0); });
}

namespace {

auto make_bandit(auto execution) {
    return solver::learner(tabular(2, 3), rewards(),
                           estimator::group_relative{} | objective::clipped_surrogate{} | objective::entropy_bonus{},
                           solver::adam{.learning_rate = 0.05},
                           {.samples_per_context = 8, .epochs = 2, .random = {.seed = 5}},
                           policy::frozen(tabular(2, 3)), execution);
}

} // namespace

TEST_CASE("learners agree between executions") {
    auto const run = [](auto execution) {
        auto bandit = make_bandit(execution);
        for (auto step = 0; step < 50; ++step) bandit.step(contexts);
        return numbers(bandit.policy());
    };
    auto const expected = run(execution::sequential{});
    auto const check = [&](auto const& found) {
        for (std::size_t k = 0; k < 6; ++k) CHECK(std::abs(found[k] - expected[k]) < 1e-10);
    };
    check(run(execution::in_lanes{}));
    check(run(execution::along{}));
    check(run(execution::parallel<execution::along>{}));
}

TEST_CASE("a saved learner goes on exactly; a damaged state changes nothing") {
    auto bandit = make_bandit(execution::along{});
    for (auto step = 0; step < 7; ++step) bandit.step(contexts);
    auto state = std::stringstream{};
    bandit.save(state);
    for (auto step = 0; step < 7; ++step) bandit.step(contexts);

    auto other = make_bandit(execution::along{});
    other.restore(state);
    CHECK(other.steps() == 7);
    for (auto step = 0; step < 7; ++step) other.step(contexts);
    CHECK(numbers(other.policy()) == numbers(bandit.policy()));

    auto const before = numbers(other.policy());
    auto shortened = std::stringstream{state.str().substr(0, state.str().size() - 8)};
    CHECK_THROWS_WITH_AS(other.restore(shortened),
                         "restore: argument 'stream': expected 48 bytes of state, got the end of the stream",
                         argument_error);
    auto empty = std::stringstream{};
    CHECK_THROWS_AS(other.restore(empty), argument_error);
    auto foreign = std::stringstream{std::string(400, 'x')};
    CHECK_THROWS_AS(other.restore(foreign), argument_error);
    CHECK(numbers(other.policy()) == before);
    CHECK(other.steps() == 14);
}

TEST_CASE("settings and contexts that make no step are refused") {
    auto const make = [](solver::learner_settings settings) {
        return solver::learner(tabular(2, 3), rewards(), objective::negative_log_likelihood{}, solver::sgd{}, settings);
    };
    CHECK_THROWS_WITH_AS(make({.samples_per_context = 0}),
                         "learner: argument 'samples_per_context': expected at least 1, got 0", argument_error);
    CHECK_THROWS_AS(make({.epochs = 0}), argument_error);
    auto fine = make({});
    CHECK_THROWS_AS(fine.step({}), argument_error);
}

namespace {

using neural = policy::neural_softmax<double, policy::dense<4, 16, policy::activation::tanh>, policy::dense<16, 2>>;
using value_network = policy::mlp<double, policy::dense<4, 16, policy::activation::tanh>, policy::dense<16, 1>>;

auto make_ppo(std::uint64_t seed, auto environment) {
    return solver::actor_critic(
        neural(policy::initialization::glorot{}, {.seed = seed}),
        value_network(policy::initialization::glorot{}, {.seed = seed, .replica = 1}), environment,
        estimator::generalized_advantage{.discount = 0.98, .lambda = 0.8},
        estimator::normalized_advantage{} | objective::clipped_surrogate{} | objective::value_loss{} |
            objective::entropy_bonus{.coefficient = 0.001},
        solver::clipped_by_norm{solver::adam{.learning_rate = 2.5e-3}, 0.5},
        {.environments = 8, .steps = 32, .epochs = 10, .minibatches = 2, .random = {.seed = seed}});
}

} // namespace

TEST_CASE("PPO balances the pole, and repeats itself") {
    auto ppo = make_ppo(1, environment::cart_pole_v1<double>());
    auto again = make_ppo(1, environment::cart_pole_v1<double>());
    auto const before =
        environment::mean_return(ppo.policy(), environment::cart_pole_v1<double>(), 20, {.seed = 9}, 500);
    for (auto step = 0; step < 120; ++step) ppo.step([](auto const&) {});
    for (auto step = 0; step < 120; ++step) again.step([](auto const&) {});
    CHECK(numbers(again.policy()) == numbers(ppo.policy()));
    CHECK(ppo.environment_steps() == 120 * 256);
    auto const after =
        environment::mean_return(ppo.policy(), environment::cart_pole_v1<double>(), 20, {.seed = 9}, 500);
    CHECK(before < 60);
    CHECK(after > 300);

    auto state = std::stringstream{};
    ppo.save(state);
    auto restored = make_ppo(1, environment::cart_pole_v1<double>());
    restored.restore(state);
    for (auto step = 0; step < 3; ++step) ppo.step([](auto const&) {});
    for (auto step = 0; step < 3; ++step) restored.step([](auto const&) {});
    CHECK(numbers(restored.policy()) == numbers(ppo.policy()));
    CHECK(numbers(restored.value()) == numbers(ppo.value()));
    auto shortened = std::stringstream{state.str().substr(0, state.str().size() - 8)};
    CHECK_THROWS_AS(restored.restore(shortened), argument_error);
    CHECK(numbers(restored.policy()) == numbers(ppo.policy()));
}

TEST_CASE("whole episodes: groups share their first state, the gradient sees every step, state is restored exactly") {
    auto const make = [] {
        return solver::episode_learner(
            neural(policy::initialization::glorot{}, {.seed = 4}), environment::cart_pole_v1<double>(),
            estimator::leave_one_out{} | objective::policy_gradient{}, solver::adam{.learning_rate = 0.01},
            {.groups = 2, .episodes_per_group = 6, .random = {.seed = 2}});
    };
    auto first = make();
    auto returns = std::vector<double>{};
    for (auto step = 0; step < 30; ++step) first.step([&](auto const& report) { returns.push_back(report.reward); });
    CHECK(returns.back() > 1.5 * returns.front());

    auto state = std::stringstream{};
    first.save(state);
    auto second = make();
    second.restore(state);
    first.step([](auto const&) {});
    second.step([](auto const&) {});
    CHECK(second.environment_steps() == first.environment_steps());
    CHECK(numbers(second.policy()) == numbers(first.policy()));
}

namespace {

/// Every step pays 1 and ends the episode, at the time limit too.
struct one_step {
    using value_type = double;
    using state_type = std::size_t;
    using action_type = std::size_t;
    static constexpr std::uint32_t draws = 1;

    constexpr std::size_t reset(random::address) const { return 0; }
    constexpr environment::transition<std::size_t, double> step(std::size_t, std::size_t, random::address) const {
        return {0, 1, true, true};
    }
    constexpr std::size_t observation_size() const { return 4; }
    constexpr void observe(std::size_t, writable_row auto out) const { fill(out, 1); }
};

/// The loss is the return.
struct return_as_loss {
    using reads = fields<field::returns>;
    using writes = fields<field::loss, field::gradient<field::log_probability>, field::gradient<field::value>>;
    constexpr void operator()(row_of_reals auto returns, writable_row auto loss, writable_row auto policy_gradient,
                              writable_row auto value_gradient) const {
        copy(loss, returns);
        fill(policy_gradient, 0);
        fill(value_gradient, 0);
    }
};

/// The reward is the first number drawn.
struct noise : one_step {
    constexpr environment::transition<std::size_t, double> step(std::size_t, std::size_t, random::address where) const {
        return {0, random::uniform<double>(where), true, false};
    }
};

} // namespace

TEST_CASE("the end of an episode has no value after it, at the time limit neither") {
    auto ppo = solver::actor_critic(neural(policy::initialization::glorot{}, {.seed = 1}),
                                    value_network(policy::initialization::glorot{}, {.seed = 2}), one_step{},
                                    estimator::generalized_advantage{.discount = 1}, return_as_loss{}, solver::sgd{});
    ppo.step([](auto const& report) { CHECK(report.objective == doctest::Approx(1).epsilon(1e-14)); });
}

TEST_CASE("no epochs make no step") {
    auto const pi = neural(policy::initialization::glorot{}, {.seed = 1});
    auto const value = value_network(policy::initialization::glorot{}, {.seed = 2});
    auto const update = return_as_loss{};
    CHECK_THROWS_WITH_AS(solver::actor_critic(pi, value, one_step{}, estimator::generalized_advantage{}, update,
                                              solver::sgd{}, {.epochs = 0}),
                         "actor_critic: argument 'epochs': expected at least 1, got 0", argument_error);
    CHECK_THROWS_WITH_AS(solver::episode_learner(pi, one_step{},
                                                 estimator::reward_to_go{} | objective::policy_gradient{},
                                                 solver::sgd{}, {.epochs = 0}),
                         "episode_learner: argument 'epochs': expected at least 1, got 0", argument_error);
}

TEST_CASE("an evaluation with the training's seed plays other episodes") {
    auto const pi = neural(policy::initialization::glorot{}, {.seed = 1});
    auto learned = solver::episode_learner(pi, noise{}, estimator::reward_to_go{} | objective::policy_gradient{},
                                           solver::sgd{}, {.episodes_per_group = 1, .random = {.seed = 3}});
    auto const evaluated = environment::mean_return(pi, noise{}, 1, {.seed = 3}, 10);
    learned.step([&](auto const& report) { CHECK(report.reward != evaluated); });
}
