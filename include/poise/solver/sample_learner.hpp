#pragma once

#include "poise/concepts.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/simd.hpp"
#include "poise/metric/policy_change.hpp"
#include "poise/random/continuous.hpp"
#include "poise/reward/named.hpp"
#include "poise/solver/trained.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

namespace poise::ratio {

struct token;

} // namespace poise::ratio

namespace poise::solver {

/// What a learner reports after each step; means over the step's samples (or their tokens) and over its epochs' last.
template <scalar T>
struct step_report {
    std::size_t step;      ///< from 0
    T reward;              ///< mean per sample, of the first of several rewards
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
    std::size_t synchronize_every = 1;   ///< steps until the policy that samples is again the one that learns
    random::generator random = {};
};

namespace detail {

struct no_reference {};

template <class Stage>
concept clips_ratio = Stage::clips_ratio;
/// A surrogate whose trust region holds each element's ratio within bounds.
template <class Stage>
concept has_clipped_region = std::is_same_v<decltype(Stage::ratio), ratio::token> && requires(Stage const& stage) {
    stage.trust_region.low;
    stage.trust_region.high;
};

/// A pipeline with the diagnostics that it does not have.
template <class... Stages>
constexpr auto monitored(pipeline<Stages...> const& stages) {
    auto const clip = [&] {
        auto bounds = metric::clip_fraction{.low = 1, .high = math::infinity<double>};
        auto const look = [&](auto const& stage) {
            using one = std::remove_cvref_t<decltype(stage)>;
            if constexpr (clips_ratio<one>)
                bounds = {stage.low, stage.high};
            else if constexpr (has_clipped_region<one>)
                bounds = {stage.trust_region.low, stage.trust_region.high};
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
template <auto Field, class... Stages>
constexpr bool reads(pipeline<Stages...> const*) {
    return (poise::detail::all_reads<Stages>::template contains<Field> || ...);
}

/// One row per lane where rows are shorter than a pack, else along the rows.
struct by_length {
    static constexpr bool checked = true;

    template <class Kernel, class... Batches>
    void run(Kernel const& kernel, std::size_t rows, Batches const&... batches) const {
        if constexpr ((requires { batches.length(); } && ...)) {
            if (std::max({batches.length()...}) < lanes<poise::detail::scalar_of_batches<Batches...>>::size)
                return execution::in_lanes{}.run(kernel, rows, batches...);
        }
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

// One reward or several, each with the name of its field.
template <class Reward>
constexpr auto with_names(Reward reward) {
    return std::tuple{reward::named<field::reward, Reward>{std::move(reward)}};
}
template <auto Field, class Reward>
constexpr auto with_names(reward::named<Field, Reward> reward) {
    return std::tuple{std::move(reward)};
}
template <auto... Fields, class... Rewards>
constexpr auto with_names(std::tuple<reward::named<Fields, Rewards>...> rewards) {
    return rewards;
}
template <auto... Fields, class... Rewards>
constexpr fields<Fields...> names_of(std::tuple<reward::named<Fields, Rewards>...> const*) {
    return {};
}

template <class... Batches>
constexpr auto joined_batches(Batches const&... batches) {
    return []<class... Named>(std::tuple<Named...> all) {
        return field_batch<Named...>{all};
    }(std::tuple_cat(batches.all...));
}
template <bool Given>
constexpr auto inputs_if(auto const& named) {
    if constexpr (Given)
        return inputs(named());
    else
        return field_batch<>{};
}

/// The samples of a step, as many for each context: how numbers of them are rows of a pipeline.
struct equal_groups {
    std::size_t contexts;
    std::size_t samples;

    template <class T>
    constexpr auto rows(T* data) const {
        return rows_of(data, contexts, samples);
    }
};
/// Samples whose number depends on the context: those of context i begin at offsets[i].
struct groups_of_any_size {
    std::span<std::size_t const> offsets;

    template <class T>
    constexpr auto rows(T* data) const {
        return ragged_batch<T>(data, offsets);
    }
};

/// What `learner` and `token_learner` are. `Unit` says what a field of the pipeline has of each sample: `Unit::size`
/// numbers, how a policy gives them (`evaluate`, `pullback`), and how they are rows.
template <class Unit, class Policy, class Reward, composable Pipeline, class Rule, class Reference, class Execution>
class sample_learner {
    using T = typename Policy::value_type;
    using context = typename Policy::context_type;
    using action = typename Policy::action_type;
    using composed = decltype(poise::detail::as_pipeline(std::declval<Pipeline const&>()));
    using stages = decltype(monitored(std::declval<composed const&>()));
    using named_rewards = decltype(with_names(std::declval<Reward>()));
    using reward_names = decltype(names_of(static_cast<named_rewards const*>(nullptr)));
    template <auto Field>
    static constexpr bool writes = detail::writes<Field>(static_cast<stages const*>(nullptr));
    template <auto Field>
    static constexpr bool reads = detail::reads<Field>(static_cast<stages const*>(nullptr));

    static constexpr std::size_t unit_size = Unit::template size<Policy>;
    static constexpr bool has_reference = !std::is_same_v<Reference, no_reference>;
    static constexpr bool uses_log_probability = writes<field::gradient<field::log_probability>>;
    static constexpr bool uses_entropy = writes<field::gradient<field::entropy>>;
    static constexpr bool uses_length = Unit::padded || reads<field::length>;
    static_assert(concepts::batched_policy<Policy>, "learner: the first argument is not a batched_policy");
    static_assert(uses_entropy || uses_log_probability, "learner: no stage of the pipeline writes a gradient");

public:
    sample_learner(Policy policy, Reward reward, Pipeline pipeline, Rule rule, learner_settings settings = {},
                   Reference reference = {}, Execution execution = {})
        : reward_(with_names(std::move(reward))),
          pipeline_(poise::detail::as_pipeline(pipeline)),
          settings_(settings),
          reference_(std::move(reference)),
          execution_(execution),
          trained_(std::move(policy), rule) {
        auto const at_least_1 = [](char const* argument, std::size_t value) {
            require(value > 0, Unit::learner, argument, "at least 1", value);
        };
        at_least_1("samples_per_context", settings.samples_per_context);
        at_least_1("epochs", settings.epochs);
        at_least_1("synchronize_every", settings.synchronize_every);
    }

    Policy const& policy() const { return trained_.model; }
    Policy& policy() { return trained_.model; }
    Rule& rule() { return trained_.descent.rule; }
    /// The stages, to move their hyper-parameters between steps:
    ///     std::get<penalty::kl_k3>(learner.pipeline().stages).coefficient *= 0.99;
    composed& pipeline() { return pipeline_; }
    composed const& pipeline() const { return pipeline_; }
    std::size_t steps() const { return steps_; } ///< taken so far

    /// One step on these contexts; `tell(step_report)` hears of it.
    template <std::invocable<step_report<T> const&> Tell>
    void step(std::span<context const> contexts, Tell&& tell) {
        require(!contexts.empty(), "learner::step", "contexts", "at least one", contexts.size());
        auto const samples = settings_.samples_per_context;
        contexts_.resize(contexts.size() * samples);
        for (std::size_t k = 0; k < contexts_.size(); ++k) contexts_[k] = contexts[k / samples];
        learn(equal_groups{contexts.size(), samples}, contexts.size(), tell);
    }
    void step(std::span<context const> contexts) {
        step(contexts, [](auto const&) {});
    }
    /// The same with samples[i] samples of context i.
    template <std::invocable<step_report<T> const&> Tell>
    void step(std::span<context const> contexts, std::span<std::size_t const> samples, Tell&& tell)
        requires(!Unit::padded)
    {
        require(!contexts.empty(), "learner::step", "contexts", "at least one", contexts.size());
        require(samples.size() == contexts.size(), "learner::step", "samples", contexts.size(), samples.size());
        contexts_.clear();
        offsets_.assign(1, 0);
        for (std::size_t i = 0; i < contexts.size(); ++i) {
            require(samples[i] > 0, "learner::step", "samples", "at least 1 of each context", samples[i]);
            contexts_.insert(contexts_.end(), samples[i], contexts[i]);
            offsets_.push_back(contexts_.size());
        }
        learn(groups_of_any_size{offsets_}, contexts.size(), tell);
    }
    void step(std::span<context const> contexts, std::span<std::size_t const> samples)
        requires(!Unit::padded)
    {
        step(contexts, samples, [](auto const&) {});
    }

    /// The samples of the last step, context after context.
    std::span<action const> actions() const { return actions_; }
    /// Their rewards: the first of several, or those of a name.
    std::span<T const> rewards() const { return rewards_[0]; }
    template <auto Field>
    std::span<T const> rewards() const {
        static_assert(reward_names::template contains<Field>, "learner: no reward has this name");
        return rewards_[reward_names::template index<Field>];
    }

    /// All that the next steps depend on: parameters, the update rule's state, the number of steps, and with
    /// `synchronize_every` the policy that samples. The pipeline's hyper-parameters are the caller's.
    void save(std::ostream& to) const {
        auto const steps = static_cast<std::uint64_t>(steps_);
        write_numbers(to, &steps, 1);
        trained_.save(to);
        if (has_sampler()) {
            auto const parameters = (sampler_ ? *sampler_ : policy()).parameters();
            write_numbers(to, parameters.data(), parameters.size());
        }
    }
    /// Goes on from a saved state, exactly. Throws `argument_error` and changes nothing where the stream holds no state
    /// of such a learner.
    void restore(std::istream& from) {
        auto const steps = read_numbers<std::uint64_t>(from, 1)[0];
        auto const restore_trained = trained_.read(from);
        if (has_sampler()) {
            auto const parameters = read_numbers<T>(from, policy().parameters().size());
            make_sampler(parameters);
        }
        restore_trained();
        steps_ = static_cast<std::size_t>(steps);
    }

private:
    template <class Groups, class Tell>
    void learn(Groups const& groups, std::size_t contexts, Tell&& tell) {
        draw(contexts);
        auto norm = T(0);
        for (std::size_t epoch = 0; epoch < settings_.epochs; ++epoch) norm = update(groups, epoch);
        tell(step_report<T>{steps_, mean_of(rewards_[0]), mean_of(objectives_), mean_of(divergences_),
                            reference_log_ratio(), mean_of_counted(entropies_), norm, mean_of(clip_fractions_)});
        ++steps_;
    }

    void draw(std::size_t contexts) {
        auto const n = contexts_.size(), numbers = n * unit_size;
        if (!tape_ || tape_->capacity() < n) tape_.emplace(n);
        if (has_reference || has_sampler())
            if (!other_tape_ || other_tape_->capacity() < n) other_tape_.emplace(n);
        actions_.resize(n);
        for (auto& values : rewards_) values.resize(n, T(0));
        for (auto* values : {&log_p_, &old_log_p_, &reference_log_p_, &entropies_, &gradient_, &entropy_gradient_})
            values->resize(numbers, T(0));
        for (auto* values : {&objectives_, &divergences_, &clip_fractions_}) values->resize(contexts, T(0));

        auto const none = row<T>(nullptr, 0);
        if (has_sampler()) {
            if (!sampler_ || steps_ % settings_.synchronize_every == 0) make_sampler(policy().parameters());
            sampler_->sample(contexts_, settings_.random.at(steps_), *other_tape_, actions_);
            Unit::evaluate(*sampler_, contexts_, actions_, *other_tape_, row<T>(old_log_p_), none);
        } else {
            policy().sample(contexts_, settings_.random.at(steps_), *tape_, actions_);
        }
        if constexpr (has_reference)
            Unit::evaluate(reference_, contexts_, actions_, *other_tape_, row<T>(reference_log_p_), none);

        auto index = n;
        auto const pay = [&](auto const& reward, std::vector<T>& values) {
            for (std::size_t k = 0; k < n; ++k)
                values[k] = T(score(reward, contexts_[k], actions_[k], settings_.random.at(steps_, index++)));
        };
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (pay(std::get<I>(reward_), rewards_[I]), ...);
        }(std::make_index_sequence<reward_names::size>{});
        if constexpr (reads<field::selection_key>) {
            selection_keys_.resize(numbers);
            for (auto& key : selection_keys_) key = random::uniform<T>(settings_.random.at(steps_, index++));
        }
        if constexpr (uses_length) {
            lengths_.resize(n);
            for (std::size_t k = 0; k < n; ++k) lengths_[k] = T(real_of<T>(actions_[k].size()));
        }
        if constexpr (Unit::padded) {
            mask_.resize(numbers);
            for (std::size_t k = 0; k < n; ++k)
                for (std::size_t t = 0; t < unit_size; ++t) mask_[k * unit_size + t] = T(t < actions_[k].size());
        }
    }

    template <class Groups>
    T update(Groups const& groups, std::size_t epoch) {
        Unit::evaluate(policy(), contexts_, actions_, *tape_, row<T>(log_p_), row<T>(entropies_));
        if (epoch == 0 && !has_sampler()) old_log_p_ = log_p_;
        auto const rows = [&](auto& values) { return Unit::template rows<Policy>(groups, values.data()); };
        auto const read_only = [&](auto const& values) { return rows(values); };
        auto const of_samples = [&](auto const& values) { return groups.rows(values.data()); };
        auto const rewards = [&]<auto... Fields>(fields<Fields...> names) {
            return inputs(Fields = of_samples(rewards_[names.template index<Fields>])...);
        }(reward_names{});
        auto const given = joined_batches(
            rewards,
            inputs(field::log_probability = read_only(log_p_), field::old_log_probability = read_only(old_log_p_),
                   field::entropy = read_only(entropies_)),
            inputs_if<has_reference>([&] { return field::reference_log_probability = read_only(reference_log_p_); }),
            inputs_if<Unit::padded>([&] { return field::mask = read_only(mask_); }),
            inputs_if<reads<field::length>>([&] { return field::length = of_samples(lengths_); }),
            inputs_if<reads<field::selection_key>>([&] { return field::selection_key = read_only(selection_keys_); }));
        auto const wanted = joined_batches(
            outputs(field::objective = objectives_, field::kl_divergence = divergences_,
                    field::clip_fraction = clip_fractions_),
            inputs_if<uses_log_probability>([&] { return field::gradient<field::log_probability> = rows(gradient_); }),
            inputs_if<uses_entropy>([&] { return field::gradient<field::entropy> = rows(entropy_gradient_); }));
        evaluate(execution_, monitored(pipeline_), given, wanted);
        trained_.clear_gradient();
        auto const none = row<T const>(nullptr, 0);
        Unit::pullback(policy(), *tape_, uses_log_probability ? row<T const>(gradient_) : none,
                       uses_entropy ? row<T const>(entropy_gradient_) : none, trained_.gradient());
        return trained_.step();
    }

    bool has_sampler() const { return settings_.synchronize_every > 1; }
    void make_sampler(auto const& parameters) {
        if (!sampler_) sampler_ = policy();
        std::copy_n(parameters.data(), parameters.size(), sampler_->parameters().data());
    }

    /// Numbers behind the last token are 0.
    T mean_of_counted(std::vector<T> const& values) const {
        if constexpr (Unit::padded)
            return sum(row<T const>(values)) / sum(row<T const>(lengths_));
        else
            return mean_of(values);
    }
    T reference_log_ratio() const {
        if constexpr (has_reference)
            return mean_of_counted(old_log_p_) - mean_of_counted(reference_log_p_);
        else
            return T(0);
    }

    named_rewards reward_;
    composed pipeline_;
    learner_settings settings_;
    Reference reference_;
    [[no_unique_address]] Execution execution_;
    trained<Policy, Rule> trained_;
    std::optional<Policy> sampler_;
    std::size_t steps_ = 0;

    std::optional<typename Policy::tape> tape_, other_tape_;
    std::vector<context> contexts_;
    std::vector<std::size_t> offsets_;
    std::vector<action> actions_;
    std::array<std::vector<T>, reward_names::size> rewards_;
    std::vector<T> log_p_, old_log_p_, reference_log_p_, entropies_, gradient_, entropy_gradient_;
    std::vector<T> mask_, lengths_, selection_keys_;
    std::vector<T> objectives_, divergences_, clip_fractions_;
};

} // namespace detail

} // namespace poise::solver
