#pragma once

#include "poise/concepts.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/simd.hpp"
#include "poise/metric/policy_change.hpp"
#include "poise/random/address.hpp"
#include "poise/solver/trained.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

namespace poise::solver {

/// What a learner reports after each step; means over the step's samples and over its epochs' last.
template <scalar T>
struct step_report {
    std::size_t step;      ///< from 0
    T reward;              ///< mean
    T objective;           ///< the loss that the pipeline makes
    T kl_divergence;       ///< of the policy that sampled from the one evaluated last (k3): 0 with one epoch
    T reference_log_ratio; ///< mean log pi - log reference of the samples, an estimate of KL(pi || reference)
    T entropy;             ///< in nats
    T gradient_norm;       ///< before any clipping
    T clip_fraction;       ///< of ratios outside the bounds of the pipeline's clipped surrogate; 0 without one
};

struct learner_settings {
    std::size_t samples_per_context = 1; ///< a row of the pipeline is the samples of one context
    std::size_t epochs = 1;              ///< updates from the same samples
    random::generator random = {};
};

namespace detail {

struct no_reference {};

template <class Stage>
concept clips_ratio = Stage::clips_ratio;

/// A pipeline with the diagnostics that it does not have.
template <class... Stages>
constexpr auto monitored(pipeline<Stages...> const& stages) {
    auto const clip = [&] {
        auto bounds = metric::clip_fraction{.low = 1, .high = math::infinity<double>};
        auto const look = [&](auto const& stage) {
            if constexpr (clips_ratio<std::remove_cvref_t<decltype(stage)>>) bounds = {stage.low, stage.high};
        };
        std::apply([&](auto const&... stage) { (look(stage), ...); }, stages.stages);
        return bounds;
    }();
    auto const with_clip = [&] {
        if constexpr ((poise::detail::writes_field<Stages, field::clip_fraction> || ...))
            return stages;
        else
            return stages | clip;
    }();
    if constexpr ((poise::detail::writes_field<Stages, field::kl_divergence> || ...))
        return with_clip;
    else
        return with_clip | metric::sampled_kl_divergence{};
}

template <auto Field, class... Stages>
constexpr bool writes(pipeline<Stages...> const*) {
    return (poise::detail::writes_field<Stages, Field> || ...);
}

/// One row per lane where rows are shorter than a pack, else along the rows.
struct by_length {
    static constexpr bool checked = true;

    template <class Kernel, class... Batches>
    void run(Kernel const& kernel, std::size_t rows, Batches const&... batches) const {
        if (std::max({batches.length()...}) < lanes<poise::detail::scalar_of_batches<Batches...>>::size)
            execution::in_lanes{}.run(kernel, rows, batches...);
        else
            execution::along{}.run(kernel, rows, batches...);
    }
};

template <class T>
using execution_for = std::conditional_t<std::floating_point<T>, by_length, execution::sequential>;

/// A reward may draw: `score(context, action, where)`.
template <class Reward>
constexpr auto score(Reward const& reward, auto const& context, auto const& action, random::address where) {
    if constexpr (requires { reward.score(context, action, where); })
        return reward.score(context, action, where);
    else
        return reward.score(context, action);
}

template <class T>
constexpr T mean_of(std::vector<T> const& values) {
    return values.empty() ? T(0) : mean(row<T const>(values));
}

} // namespace detail

/// Learns from actions that the policy itself draws and a reward scores. A step: samples for each context; their
/// rewards; for each epoch log-probabilities and entropies, the pipeline, the pullback of its gradients through the
/// policy, and one step of the update rule.
///     auto bandit = learner(policy::tabular_softmax<double>(4, 10), rewards,
///                           estimator::group_relative{} | objective::clipped_surrogate{}, adam{.learning_rate = 0.1},
///                           {.samples_per_context = 8, .random = {.seed = 1}});
///     bandit.step(contexts, [](auto const& report) { ... });
/// Rows of the pipeline are contexts, their elements the samples. It is given the fields reward, log_probability,
/// old_log_probability (of the samples when they were drawn), entropy, and with a reference policy (the sixth argument)
/// reference_log_probability; it must write gradients. The seventh argument is the pipeline's execution. Changing the
/// algorithm is changing a stage. With SIMD packs for scalars there is one replica per lane. Draws are those of
/// `random` at step s: sample k at index k, its reward's at index n + k.
template <class Policy, class Reward, composable Pipeline, class Rule, class Reference = detail::no_reference,
          class Execution = detail::execution_for<typename Policy::value_type>>
class learner {
    using T = typename Policy::value_type;
    using context = typename Policy::context_type;
    using action = typename Policy::action_type;
    using stages = decltype(detail::monitored(poise::detail::as_pipeline(std::declval<Pipeline const&>())));
    static constexpr bool has_reference = !std::is_same_v<Reference, detail::no_reference>;
    static constexpr bool uses_entropy =
        detail::writes<field::gradient<field::entropy>>(static_cast<stages const*>(nullptr));
    static_assert(concepts::batched_policy<Policy>, "learner: the first argument is not a batched_policy");
    static_assert(uses_entropy ||
                      detail::writes<field::gradient<field::log_probability>>(static_cast<stages const*>(nullptr)),
                  "learner: no stage of the pipeline writes a gradient");

public:
    learner(Policy policy, Reward reward, Pipeline pipeline, Rule rule, learner_settings settings = {},
            Reference reference = {}, Execution execution = {})
        : reward_(std::move(reward)),
          stages_(detail::monitored(poise::detail::as_pipeline(pipeline))),
          settings_(settings),
          reference_(std::move(reference)),
          execution_(execution),
          trained_(std::move(policy), rule) {
        require(settings.samples_per_context > 0, "learner", "samples_per_context", "at least 1",
                settings.samples_per_context);
        require(settings.epochs > 0, "learner", "epochs", "at least 1", settings.epochs);
    }

    Policy const& policy() const { return trained_.model; }
    Policy& policy() { return trained_.model; }
    Rule& rule() { return trained_.descent.rule; }
    std::size_t steps() const { return steps_; } ///< taken so far

    /// One step on these contexts; `tell(step_report)` hears of it.
    template <class Tell>
    void step(std::span<context const> contexts, Tell&& tell) {
        require(!contexts.empty(), "learner::step", "contexts", "at least one", contexts.size());
        draw(contexts);
        auto norm = T(0);
        for (std::size_t epoch = 0; epoch < settings_.epochs; ++epoch) norm = update(epoch);
        tell(step_report<T>{steps_, detail::mean_of(rewards_), detail::mean_of(objectives_),
                            detail::mean_of(divergences_), reference_log_ratio(), detail::mean_of(entropies_), norm,
                            detail::mean_of(clip_fractions_)});
        ++steps_;
    }
    void step(std::span<context const> contexts) {
        step(contexts, [](auto const&) {});
    }

    /// The samples of the last step: context i has samples i samples_per_context … .
    std::span<action const> actions() const { return actions_; }
    std::span<T const> rewards() const { return rewards_; }

    /// All that the next steps depend on: parameters, the update rule's state, the number of steps.
    void save(std::ostream& to) const {
        auto const steps = static_cast<std::uint64_t>(steps_);
        detail::write_numbers(to, &steps, 1);
        trained_.save(to);
    }
    /// Goes on from a saved state, exactly. Throws `argument_error` and changes nothing where the stream holds no state
    /// of such a learner.
    void restore(std::istream& from) {
        auto const steps = detail::read_numbers<std::uint64_t>(from, 1)[0];
        trained_.read(from)();
        steps_ = static_cast<std::size_t>(steps);
    }

private:
    void draw(std::span<context const> contexts) {
        auto const samples = settings_.samples_per_context, n = contexts.size() * samples;
        if (!tape_ || tape_->capacity() < n) {
            tape_.emplace(n);
            if constexpr (has_reference) reference_tape_.emplace(n);
        }
        contexts_.resize(n);
        actions_.resize(n);
        for (auto* values :
             {&rewards_, &log_p_, &old_log_p_, &reference_log_p_, &entropies_, &gradient_, &entropy_gradient_})
            values->resize(n, T(0));
        for (auto* values : {&objectives_, &divergences_, &clip_fractions_}) values->resize(contexts.size(), T(0));

        for (std::size_t k = 0; k < n; ++k) contexts_[k] = contexts[k / samples];
        policy().sample(contexts_, settings_.random.at(steps_), *tape_, actions_);
        for (std::size_t k = 0; k < n; ++k)
            rewards_[k] = T(detail::score(reward_, contexts_[k], actions_[k], settings_.random.at(steps_, n + k)));
        if constexpr (has_reference)
            reference_.evaluate(contexts_, actions_, *reference_tape_, row<T>(reference_log_p_), row<T>(nullptr, 0));
    }

    T update(std::size_t epoch) {
        policy().evaluate(contexts_, actions_, *tape_, row<T>(log_p_), row<T>(entropies_));
        if (epoch == 0) old_log_p_ = log_p_;
        auto const rows = [&](auto& values) {
            return rows_of(values.data(), objectives_.size(), settings_.samples_per_context);
        };
        auto const read_only = [&](auto const& values) { return rows(values); };
        auto const run = [&](auto... reference) {
            auto const given = inputs(field::reward = read_only(rewards_), field::log_probability = read_only(log_p_),
                                      field::old_log_probability = read_only(old_log_p_),
                                      field::entropy = read_only(entropies_), reference...);
            auto const values = [&](auto... gradients) {
                evaluate(execution_, stages_, given,
                         outputs(field::objective = objectives_, field::kl_divergence = divergences_,
                                 field::clip_fraction = clip_fractions_, gradients...));
            };
            constexpr auto log_p =
                detail::writes<field::gradient<field::log_probability>>(static_cast<stages const*>(nullptr));
            if constexpr (log_p && uses_entropy)
                values(field::gradient<field::log_probability> = rows(gradient_),
                       field::gradient<field::entropy> = rows(entropy_gradient_));
            else if constexpr (log_p)
                values(field::gradient<field::log_probability> = rows(gradient_));
            else
                values(field::gradient<field::entropy> = rows(entropy_gradient_));
        };
        if constexpr (has_reference)
            run(field::reference_log_probability = read_only(reference_log_p_));
        else
            run();
        trained_.clear_gradient();
        policy().pullback(*tape_, row<T const>(gradient_),
                          uses_entropy ? row<T const>(entropy_gradient_) : row<T const>(nullptr, 0),
                          trained_.gradient());
        return trained_.step();
    }

    T reference_log_ratio() const {
        if constexpr (has_reference)
            return detail::mean_of(old_log_p_) - detail::mean_of(reference_log_p_);
        else
            return T(0);
    }

    Reward reward_;
    stages stages_;
    learner_settings settings_;
    Reference reference_;
    [[no_unique_address]] Execution execution_;
    trained<Policy, Rule> trained_;
    std::size_t steps_ = 0;

    std::optional<typename Policy::tape> tape_;
    std::optional<typename Policy::tape> reference_tape_;
    std::vector<context> contexts_;
    std::vector<action> actions_;
    std::vector<T> rewards_, log_p_, old_log_p_, reference_log_p_, entropies_, gradient_, entropy_gradient_;
    std::vector<T> objectives_, divergences_, clip_fractions_;
};

template <class Policy, class Reward, class Pipeline, class Rule>
learner(Policy, Reward, Pipeline, Rule) -> learner<Policy, Reward, Pipeline, Rule>;
template <class Policy, class Reward, class Pipeline, class Rule>
learner(Policy, Reward, Pipeline, Rule, learner_settings) -> learner<Policy, Reward, Pipeline, Rule>;

} // namespace poise::solver
