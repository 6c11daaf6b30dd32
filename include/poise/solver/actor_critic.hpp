#pragma once

#include "poise/environment/episode.hpp"
#include "poise/environment/time_limit.hpp"
#include "poise/estimator/generalized_advantage.hpp"
#include "poise/random/discrete.hpp"
#include "poise/solver/learner.hpp"

namespace poise::solver {

struct actor_critic_settings {
    std::size_t environments = 8; ///< played side by side
    std::size_t steps = 128;      ///< of each, between updates
    std::size_t epochs = 4;
    std::size_t minibatches = 4; ///< per epoch; environments x steps is a multiple of it
    random::generator random = {};
};

/// Proximal policy optimisation and its relatives (Schulman et al., 2017, algorithm 1): plays `steps` steps of several
/// environments, runs `advantages` over their trajectories, then for some epochs goes through shuffled minibatches with
/// the pipeline `update`, a minibatch being one row, and moves policy and value function by its gradients.
///     auto ppo = actor_critic(policy, value, environment::cart_pole_v1<double>(), estimator::generalized_advantage{},
///                             estimator::normalized_advantage{} | objective::clipped_surrogate{} |
///                                 objective::value_loss{} | objective::entropy_bonus{}, adam{.learning_rate = 3e-3});
/// `value` is a network with one output (`policy::mlp`). `advantages` is given reward, value, terminal and last_value,
/// and writes advantage and returns; `update` is given these, log_probability, old_log_probability, value, old_value
/// and entropy, and must write the gradients of log_probability and value. An episode cut by a time limit has discount
/// x value of the state reached added to its last reward. Draws of iteration i lie at its own steps of `random`, so
/// that a run repeats whatever stands beside it.
template <class Policy, class Value, class Environment, composable Advantages, composable Update, class Rule>
class actor_critic {
    using T = typename Policy::value_type;
    using context = typename Policy::context_type;
    using action = typename Policy::action_type;
    using state = typename Environment::state_type;
    using stages = decltype(detail::monitored(poise::detail::as_pipeline(std::declval<Update const&>())));
    static constexpr bool uses_entropy =
        detail::writes<field::gradient<field::entropy>>(static_cast<stages const*>(nullptr));
    static_assert(concepts::batched_policy<Policy>, "actor_critic: the first argument is not a batched_policy");
    static_assert(Value::outputs == 1, "actor_critic: the value network needs one output");
    static_assert(concepts::environment<Environment>, "actor_critic: the third argument is not an environment");

public:
    actor_critic(Policy policy, Value value, Environment environment, Advantages advantages, Update update, Rule rule,
                 actor_critic_settings settings = {})
        : environment_(std::move(environment)),
          advantages_(std::move(advantages)),
          update_(detail::monitored(poise::detail::as_pipeline(update))),
          settings_(settings),
          policy_(std::move(policy), rule),
          value_(std::move(value), rule),
          policy_tape_(settings.environments * settings.steps),
          value_tape_(settings.environments * settings.steps) {
        auto const n = samples();
        require(n > 0, "actor_critic", "steps", "at least one step of one environment", n);
        require(settings.minibatches > 0 && n % settings.minibatches == 0, "actor_critic", "minibatches",
                "a divisor of " + std::to_string(n) + " samples", settings.minibatches);
        require(settings.epochs > 0, "actor_critic", "epochs", "at least 1", settings.epochs);
        for (auto* values : {&contexts_, &batch_contexts_}) values->resize(n);
        for (auto* values : {&actions_, &batch_actions_}) values->resize(n);
        for (auto* values : {&rewards_, &values_, &terminal_, &advantage_, &returns_, &log_p_, &entropies_})
            values->resize(n, T(0));
        for (std::size_t e = 0; e < settings.environments; ++e)
            states_.push_back(environment_.reset(where(0, e * draws_per_environment + 1 + Environment::draws)));
        running_return_.assign(settings.environments, T(0));
        last_values_.assign(settings.environments, T(0));
        last_contexts_.resize(settings.environments);
    }

    Policy const& policy() const { return policy_.model; }
    Value const& value() const { return value_.model; }
    std::size_t steps() const { return iterations_; }
    std::size_t environment_steps() const { return iterations_ * samples(); }
    /// The rules of policy and value function, such as for a schedule.
    Rule& policy_rule() { return policy_.descent.rule; }
    Rule& value_rule() { return value_.descent.rule; }

    /// Plays and learns; `tell(step_report)` hears of it: its reward is the mean return of the episodes that ended
    /// (NaN where none did), the rest are means over the minibatches of the last epoch.
    template <class Tell>
    void step(Tell&& tell) {
        play();
        auto report = step_report<T>{};
        for (std::size_t epoch = 0; epoch < settings_.epochs; ++epoch) report = learn(epoch);
        report.step = iterations_;
        report.reward = ended_ == 0 ? T(math::quiet_nan<T>) : ended_return_ / T(real_of<T>(ended_));
        ++iterations_;
        tell(report);
    }

    /// All that the next steps depend on: both networks, their rules' states, the environments where they stand.
    void save(std::ostream& to) const {
        auto const iterations = static_cast<std::uint64_t>(iterations_);
        detail::write_numbers(to, &iterations, 1);
        detail::write_numbers(to, states_.data(), states_.size());
        detail::write_numbers(to, running_return_.data(), running_return_.size());
        policy_.save(to);
        value_.save(to);
    }
    /// Goes on from a saved state, exactly. Throws `argument_error` and changes nothing where the stream holds no state
    /// of such a learner.
    void restore(std::istream& from) {
        auto const iterations = detail::read_numbers<std::uint64_t>(from, 1)[0];
        auto states = detail::read_numbers<state>(from, states_.size());
        auto returns = detail::read_numbers<T>(from, running_return_.size());
        auto const restore_policy = policy_.read(from);
        value_.read(from)();
        restore_policy();
        iterations_ = static_cast<std::size_t>(iterations);
        states_ = std::move(states);
        running_return_ = std::move(returns);
    }

private:
    static constexpr std::size_t draws_per_environment = 1 + 2 * std::size_t{Environment::draws};

    std::size_t samples() const { return settings_.environments * settings_.steps; }
    random::address where(std::size_t step, std::size_t index) const { return settings_.random.at(step, index); }

    // Sample t environments + e is step t of environment e: trajectories are the rows of an interleaved batch.
    void play() {
        auto const width = settings_.environments;
        ended_ = 0;
        ended_return_ = T(0);
        for (std::size_t t = 0; t < settings_.steps; ++t) {
            auto const step = iterations_ * settings_.steps + t + 1; // step 0 drew the first states
            auto const first = t * width;
            for (std::size_t e = 0; e < width; ++e)
                contexts_[first + e] = environment::observed<context>(environment_, states_[e]);
            auto const seen = std::span<context const>(contexts_).subspan(first, width);
            policy_.model.sample(seen, where(step, width * draws_per_environment), policy_tape_,
                                 std::span<action>(actions_).subspan(first, width));
            auto const expected = value_.model.forward(inputs_of(seen), value_tape_);
            for (std::size_t e = 0; e < width; ++e) values_[first + e] = expected(e, 0);
            for (std::size_t e = 0; e < width; ++e) play_one(e, first + e, step);
        }
        for (std::size_t e = 0; e < width; ++e)
            last_contexts_[e] = environment::observed<context>(environment_, states_[e]);
        auto const expected = value_.model.forward(inputs_of(std::span<context const>(last_contexts_)), value_tape_);
        for (std::size_t e = 0; e < width; ++e) last_values_[e] = expected(e, 0);
        policy_.model.evaluate(std::span<context const>(contexts_), std::span<action const>(actions_), policy_tape_,
                               row<T>(log_p_), row<T>(nullptr, 0));

        auto const trajectories = [&](auto* data) { return interleaved_rows_of(data, width, settings_.steps); };
        evaluate(execution::simd{}, advantages_,
                 inputs(field::reward = trajectories(std::as_const(rewards_).data()),
                        field::value = trajectories(std::as_const(values_).data()),
                        field::terminal = trajectories(std::as_const(terminal_).data()),
                        field::last_value = std::as_const(last_values_)),
                 outputs(field::advantage = trajectories(advantage_.data()),
                         field::returns = trajectories(returns_.data())));
    }
    void play_one(std::size_t e, std::size_t sample, std::size_t step) {
        auto const draws = e * draws_per_environment;
        auto const [reached, next] =
            environment::step_or_reset(environment_, states_[e], actions_[sample], where(step, draws + 1),
                                       where(step, draws + 1 + Environment::draws));
        rewards_[sample] = reached.reward;
        terminal_[sample] = reached.done() ? T(1) : T(0);
        running_return_[e] += reached.reward;
        if (reached.truncated && !reached.terminated) {
            auto const cut = std::array<context, 1>{environment::observed<context>(environment_, reached.next)};
            rewards_[sample] +=
                discount() * value_.model.forward(inputs_of(std::span<context const>(cut)), value_tape_)(0, 0);
        }
        if (reached.done()) {
            ended_return_ += running_return_[e];
            ++ended_;
            running_return_[e] = T(0);
        }
        states_[e] = next;
    }
    T discount() const {
        auto found = 1.0;
        auto const look = [&](auto const& stage) {
            if constexpr (requires { stage.discount; }) found = stage.discount;
        };
        std::apply([&](auto const&... stage) { (look(stage), ...); }, poise::detail::as_pipeline(advantages_).stages);
        return T(real_of<T>(found));
    }

    step_report<T> learn(std::size_t epoch) {
        auto const n = samples(), size = n / settings_.minibatches;
        order_.resize(n);
        random::permutation(where(iterations_ * settings_.steps + 1 + epoch % settings_.steps,
                                  2 * settings_.environments * draws_per_environment + epoch),
                            order_);
        auto total = step_report<T>{};
        for (std::size_t m = 0; m < settings_.minibatches; ++m) {
            auto const one = learn_from(std::span<std::size_t const>(order_).subspan(m * size, size));
            auto const share = T(1) / T(real_of<T>(settings_.minibatches));
            total.objective += share * one.objective;
            total.kl_divergence += share * one.kl_divergence;
            total.entropy += share * one.entropy;
            total.gradient_norm += share * one.gradient_norm;
            total.clip_fraction += share * one.clip_fraction;
        }
        return total;
    }
    step_report<T> learn_from(std::span<std::size_t const> chosen) {
        auto const size = chosen.size();
        for (std::size_t k = 0; k < size; ++k) {
            batch_contexts_[k] = contexts_[chosen[k]];
            batch_actions_[k] = actions_[chosen[k]];
        }
        auto const gather = [&](std::vector<T> const& from, std::vector<T>& to) {
            to.resize(size);
            for (std::size_t k = 0; k < size; ++k) to[k] = from[chosen[k]];
        };
        gather(log_p_, old_log_p_);
        gather(advantage_, batch_advantage_);
        gather(returns_, batch_returns_);
        gather(values_, old_values_);
        for (auto* values :
             {&batch_log_p_, &batch_entropies_, &batch_values_, &gradient_, &entropy_gradient_, &value_gradient_})
            values->resize(size, T(0));
        auto const seen = std::span<context const>(batch_contexts_).first(size);
        policy_.model.evaluate(seen, std::span<action const>(batch_actions_).first(size), policy_tape_,
                               row<T>(batch_log_p_), row<T>(batch_entropies_));
        auto const expected = value_.model.forward(inputs_of(seen), value_tape_);
        for (std::size_t k = 0; k < size; ++k) batch_values_[k] = expected(k, 0);

        auto report = step_report<T>{};
        auto const scalar_row = [](T& value) { return rows_of<1>(&value, 1, 1); };
        auto const run = [&](auto... more) {
            evaluate(detail::execution_for<T>{}, update_,
                     inputs(field::advantage = one_row(std::as_const(batch_advantage_)),
                            field::returns = one_row(std::as_const(batch_returns_)),
                            field::value = one_row(std::as_const(batch_values_)),
                            field::old_value = one_row(std::as_const(old_values_)),
                            field::log_probability = one_row(std::as_const(batch_log_p_)),
                            field::old_log_probability = one_row(std::as_const(old_log_p_)),
                            field::entropy = one_row(std::as_const(batch_entropies_))),
                     outputs(field::gradient<field::log_probability> = one_row(gradient_),
                             field::gradient<field::value> = one_row(value_gradient_),
                             field::objective = scalar_row(report.objective),
                             field::kl_divergence = scalar_row(report.kl_divergence),
                             field::clip_fraction = scalar_row(report.clip_fraction), more...));
        };
        if constexpr (uses_entropy)
            run(field::gradient<field::entropy> = one_row(entropy_gradient_));
        else
            run();
        report.entropy = detail::mean_of(batch_entropies_);

        policy_.clear_gradient();
        policy_.model.pullback(policy_tape_, row<T const>(gradient_),
                               uses_entropy ? row<T const>(entropy_gradient_) : row<T const>(nullptr, 0),
                               policy_.gradient());
        report.gradient_norm = policy_.step();
        value_.clear_gradient();
        value_.model.pullback(value_tape_, rows_of(std::as_const(value_gradient_).data(), size, 1), value_.gradient());
        value_.step();
        return report;
    }

    static auto inputs_of(std::span<context const> contexts) {
        return rows_of(contexts.data()->data(), contexts.size(), Value::inputs);
    }

    Environment environment_;
    Advantages advantages_;
    stages update_;
    actor_critic_settings settings_;
    trained<Policy, Rule> policy_;
    trained<Value, Rule> value_;
    typename Policy::tape policy_tape_;
    typename Value::tape value_tape_;
    std::size_t iterations_ = 0, ended_ = 0;
    T ended_return_ = T(0);

    std::vector<state> states_;
    std::vector<context> contexts_, batch_contexts_, last_contexts_;
    std::vector<action> actions_, batch_actions_;
    std::vector<std::size_t> order_;
    std::vector<T> rewards_, values_, terminal_, advantage_, returns_, log_p_, entropies_, last_values_,
        running_return_;
    std::vector<T> batch_log_p_, old_log_p_, batch_advantage_, batch_returns_, batch_values_, old_values_,
        batch_entropies_, gradient_, entropy_gradient_, value_gradient_;
};

} // namespace poise::solver
