#pragma once

#include "poise/solver/sample_learner.hpp"

namespace poise::solver {

namespace detail {

/// A field of the pipeline has one number of each sample.
struct whole_samples {
    static constexpr char const* learner = "learner";
    static constexpr bool padded = false;
    template <class Policy>
    static constexpr std::size_t size = 1;

    static constexpr void evaluate(auto const& policy, auto const& contexts, auto const& actions, auto& tape,
                                   auto log_probabilities, auto entropies) {
        policy.evaluate(contexts, actions, tape, log_probabilities, entropies);
    }
    static constexpr void pullback(auto const& policy, auto& tape, auto log_probability_cotangents,
                                   auto entropy_cotangents, auto gradient) {
        policy.pullback(tape, log_probability_cotangents, entropy_cotangents, gradient);
    }
    template <class Policy>
    static constexpr auto rows(auto const& groups, auto* data) {
        return groups.rows(data);
    }
};

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
/// reference_log_probability; where a stage reads them also length (the action's `size()`) and selection_key (a uniform
/// number of each sample). It must write gradients. The reward may be a tuple of several, each given as the field that
/// it names (reward/named.hpp). The seventh argument is the pipeline's execution. Changing the algorithm is changing a
/// stage. With SIMD packs for scalars there is one replica per lane. Draws are those of `random` at step s, n samples:
/// sample k at index k, reward i of it at index (1 + i) n + k, selection keys behind the last reward's.
template <class Policy, class Reward, composable Pipeline, class Rule, class Reference = detail::no_reference,
          class Execution = detail::execution_for<typename Policy::value_type>>
class learner
    : public detail::sample_learner<detail::whole_samples, Policy, Reward, Pipeline, Rule, Reference, Execution> {
public:
    using detail::sample_learner<detail::whole_samples, Policy, Reward, Pipeline, Rule, Reference,
                                 Execution>::sample_learner;
};

template <class Policy, class Reward, class Pipeline, class Rule>
learner(Policy, Reward, Pipeline, Rule) -> learner<Policy, Reward, Pipeline, Rule>;
template <class Policy, class Reward, class Pipeline, class Rule>
learner(Policy, Reward, Pipeline, Rule, learner_settings) -> learner<Policy, Reward, Pipeline, Rule>;
template <class Policy, class Reward, class Pipeline, class Rule, class Reference>
learner(Policy, Reward, Pipeline, Rule, learner_settings, Reference)
    -> learner<Policy, Reward, Pipeline, Rule, Reference>;
template <class Policy, class Reward, class Pipeline, class Rule, class Reference, class Execution>
learner(Policy, Reward, Pipeline, Rule, learner_settings, Reference, Execution)
    -> learner<Policy, Reward, Pipeline, Rule, Reference, Execution>;

} // namespace poise::solver
