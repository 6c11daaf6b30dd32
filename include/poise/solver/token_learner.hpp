#pragma once

#include "poise/policy/token_batches.hpp"
#include "poise/solver/sample_learner.hpp"

namespace poise::solver {

namespace detail {

/// A field of the pipeline has a number of each token, padded to the maximal length.
struct tokens_of_samples {
    static constexpr char const* learner = "token_learner";
    static constexpr bool padded = true;
    template <class Policy>
    static constexpr std::size_t size = Policy::maximal_length;

    static constexpr void evaluate(auto const& policy, auto const& contexts, auto const& actions, auto& tape,
                                   auto log_probabilities, auto entropies) {
        policy.evaluate_tokens(contexts, actions, tape, log_probabilities, entropies);
    }
    static constexpr void pullback(auto const& policy, auto& tape, auto log_probability_cotangents,
                                   auto entropy_cotangents, auto gradient) {
        policy.pullback_tokens(tape, log_probability_cotangents, entropy_cotangents, gradient);
    }
    template <class Policy>
    static constexpr auto rows(equal_groups groups, auto* data) {
        return sequences_of(rows_of(data, groups.contexts, groups.samples * size<Policy>), groups.samples);
    }
};

} // namespace detail

/// `learner` for autoregressive policies, whose pipeline sees every token: log_probability, old_log_probability,
/// entropy (of the next token's distribution) and with a reference reference_log_probability are prompt x rollout x
/// token, padded to the maximal length with mask 0; reward is prompt x rollout, as is length (in tokens) where a stage
/// reads it.
///     auto grpo = token_learner(policy::token_policy<double, 8>(prompts, vocabulary, 3), is_right,
///                               estimator::group_relative{} | objective::clipped_surrogate{} |
///                                   aggregation::mean_of_sequences{},
///                               adam{.learning_rate = 0.1}, {.samples_per_context = 16});
/// All else is as in `learner`. Reports are means over tokens, the reward's over responses.
template <concepts::batched_token_policy Policy, class Reward, composable Pipeline, class Rule,
          class Reference = detail::no_reference, class Execution = detail::execution_for<typename Policy::value_type>>
class token_learner
    : public detail::sample_learner<detail::tokens_of_samples, Policy, Reward, Pipeline, Rule, Reference, Execution> {
public:
    using detail::sample_learner<detail::tokens_of_samples, Policy, Reward, Pipeline, Rule, Reference,
                                 Execution>::sample_learner;
};

template <class Policy, class Reward, class Pipeline, class Rule>
token_learner(Policy, Reward, Pipeline, Rule) -> token_learner<Policy, Reward, Pipeline, Rule>;
template <class Policy, class Reward, class Pipeline, class Rule>
token_learner(Policy, Reward, Pipeline, Rule, learner_settings) -> token_learner<Policy, Reward, Pipeline, Rule>;
template <class Policy, class Reward, class Pipeline, class Rule, class Reference>
token_learner(Policy, Reward, Pipeline, Rule, learner_settings, Reference)
    -> token_learner<Policy, Reward, Pipeline, Rule, Reference>;
template <class Policy, class Reward, class Pipeline, class Rule, class Reference, class Execution>
token_learner(Policy, Reward, Pipeline, Rule, learner_settings, Reference, Execution)
    -> token_learner<Policy, Reward, Pipeline, Rule, Reference, Execution>;

} // namespace poise::solver
