#pragma once

#include "poise/environment/episode.hpp"
#include "poise/solver/learner.hpp"

namespace poise::solver {

struct episode_settings {
    std::size_t groups = 1;             ///< a row of the pipeline is the episodes of one group
    std::size_t episodes_per_group = 8; ///< a group shares its first state
    std::size_t limit = 500;            ///< of the steps of an episode
    std::size_t epochs = 1;
    random::generator random = {};
};

/// Learns from whole episodes of an environment. Sequences of the pipeline are episodes, as long as they came; it is
/// given reward (the sum of an episode's), step_reward, terminal and last_value (0: what follows an episode),
/// log_probability, old_log_probability and entropy, and must write gradients.
///     auto reinforce = episode_learner(policy, environment::cart_pole<double>{},
///                                      estimator::reward_to_go{} | objective::policy_gradient{}, adam{});
/// Draws: step t of the episodes of learning step s is step s limit + t of `random`, each episode with indices of its
/// own.
template <class Policy, class Environment, composable Pipeline, class Rule>
class episode_learner {
    using T = typename Policy::value_type;
    using context = typename Policy::context_type;
    using action = typename Policy::action_type;
    using stages = decltype(detail::monitored(poise::detail::as_pipeline(std::declval<Pipeline const&>())));
    static constexpr bool uses_entropy =
        detail::writes<field::gradient<field::entropy>>(static_cast<stages const*>(nullptr));
    static_assert(concepts::batched_policy<Policy>, "episode_learner: the first argument is not a batched_policy");
    static_assert(concepts::environment<Environment>, "episode_learner: the second argument is not an environment");
    static_assert(std::floating_point<T>, "episode_learner: episodes of different lengths cannot be lanes");

public:
    episode_learner(Policy policy, Environment environment, Pipeline pipeline, Rule rule,
                    episode_settings settings = {})
        : environment_(std::move(environment)),
          stages_(detail::monitored(poise::detail::as_pipeline(pipeline))),
          settings_(settings),
          trained_(std::move(policy), rule) {
        require(settings.groups > 0 && settings.episodes_per_group > 0, "episode_learner", "episodes", "at least 1",
                settings.groups * settings.episodes_per_group);
        require(settings.epochs > 0, "episode_learner", "epochs", "at least 1", settings.epochs);
    }

    Policy const& policy() const { return trained_.model; }
    Rule& rule() { return trained_.descent.rule; }
    std::size_t steps() const { return steps_; } ///< of learning
    std::size_t environment_steps() const { return environment_steps_; }

    /// Plays the episodes and learns from them; `tell(step_report)` hears of it, its reward the mean return.
    template <class Tell>
    void step(Tell&& tell) {
        play();
        auto norm = T(0);
        for (std::size_t epoch = 0; epoch < settings_.epochs; ++epoch) norm = update(epoch);
        tell(step_report<T>{steps_, detail::mean_of(returns_), detail::mean_of(objectives_),
                            detail::mean_of(divergences_), T(0), detail::mean_of(entropies_), norm,
                            detail::mean_of(clip_fractions_)});
        ++steps_;
    }

    void save(std::ostream& to) const {
        auto const counts =
            std::array{static_cast<std::uint64_t>(steps_), static_cast<std::uint64_t>(environment_steps_)};
        detail::write_numbers(to, counts.data(), 2);
        trained_.save(to);
    }
    /// Goes on from a saved state, exactly.
    void restore(std::istream& from) {
        auto const counts = detail::read_numbers<std::uint64_t>(from, 2);
        trained_.read(from)();
        steps_ = static_cast<std::size_t>(counts[0]);
        environment_steps_ = static_cast<std::size_t>(counts[1]);
    }

private:
    static constexpr std::size_t draws_per_episode = 1 + 2 * std::size_t{Environment::draws};

    void play() {
        auto const episodes = settings_.groups * settings_.episodes_per_group;
        contexts_.clear();
        actions_.clear();
        rewards_.clear();
        terminal_.clear();
        offsets_.assign(1, 0);
        returns_.clear();
        for (std::size_t e = 0; e < episodes; ++e) {
            auto const place = [&](std::size_t episode) {
                return settings_.random.at(steps_ * settings_.limit, episode * draws_per_episode);
            };
            auto const first_of_group = e - e % settings_.episodes_per_group;
            returns_.push_back(environment::play(trained_.model, environment_, place(first_of_group), place(e),
                                                 settings_.limit, [&](auto const& x, auto const& a, T reward) {
                                                     contexts_.push_back(x);
                                                     actions_.push_back(a);
                                                     rewards_.push_back(reward);
                                                     terminal_.push_back(T(0));
                                                 }));
            terminal_.back() = T(1);
            offsets_.push_back(contexts_.size());
        }
        auto const n = contexts_.size();
        environment_steps_ += n;
        if (!tape_ || tape_->capacity() < n) tape_.emplace(n + n / 2);
        for (auto* values : {&log_p_, &entropies_, &gradient_, &entropy_gradient_}) values->resize(n, T(0));
        for (auto* values : {&objectives_, &divergences_, &clip_fractions_}) values->resize(settings_.groups, T(0));
        after_episode_.assign(episodes, T(0));
    }

    T update(std::size_t epoch) {
        auto const per_group = settings_.episodes_per_group;
        policy_evaluate();
        if (epoch == 0) old_log_p_ = log_p_;
        auto const steps = [&](auto& values) { return ragged_sequences_of(values.data(), offsets_, per_group); };
        auto const per_episode = [&](auto const& values) {
            return rows_of(values.data(), settings_.groups, per_group);
        };
        auto const& log_p = log_p_;
        auto const& entropies = entropies_;
        auto const& old_log_p = old_log_p_;
        auto const& step_rewards = rewards_;
        auto const& terminal = terminal_;
        auto const given = inputs(field::reward = per_episode(returns_), field::step_reward = steps(step_rewards),
                                  field::terminal = steps(terminal), field::last_value = per_episode(after_episode_),
                                  field::log_probability = steps(log_p), field::old_log_probability = steps(old_log_p),
                                  field::entropy = steps(entropies));
        auto const values = [&](auto... more) {
            evaluate(execution::along{}, stages_, given,
                     outputs(field::objective = objectives_, field::kl_divergence = divergences_,
                             field::clip_fraction = clip_fractions_,
                             field::gradient<field::log_probability> = steps(gradient_), more...));
        };
        if constexpr (uses_entropy)
            values(field::gradient<field::entropy> = steps(entropy_gradient_));
        else
            values();
        trained_.clear_gradient();
        trained_.model.pullback(*tape_, row<T const>(gradient_),
                                uses_entropy ? row<T const>(entropy_gradient_) : row<T const>(nullptr, 0),
                                trained_.gradient());
        return trained_.step();
    }
    void policy_evaluate() { trained_.model.evaluate(contexts_, actions_, *tape_, row<T>(log_p_), row<T>(entropies_)); }

    Environment environment_;
    stages stages_;
    episode_settings settings_;
    trained<Policy, Rule> trained_;
    std::size_t steps_ = 0, environment_steps_ = 0;

    std::optional<typename Policy::tape> tape_;
    std::vector<context> contexts_;
    std::vector<action> actions_;
    std::vector<std::size_t> offsets_;
    std::vector<T> rewards_, terminal_, returns_, after_episode_;
    std::vector<T> log_p_, old_log_p_, entropies_, gradient_, entropy_gradient_;
    std::vector<T> objectives_, divergences_, clip_fractions_;
};

} // namespace poise::solver
