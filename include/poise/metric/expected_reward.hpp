#pragma once

#include "poise/concepts.hpp"
#include "poise/core/verbs.hpp"

namespace poise::metric {

/// sum_a pi(a | context) score(context, a) of a `finite_policy` and a reward that `scores_actions`. `workspace` is as
/// long as there are actions.
template <class Policy, class Reward>
constexpr auto expected_reward(Policy const& policy, Reward const& reward, auto const& context,
                               row<typename Policy::value_type> workspace) {
    constexpr auto finite = true;
    concepts::require_policy<Policy, finite>();
    concepts::require_scoring_reward<Reward>();
    if constexpr (concepts::finite_policy<Policy> && concepts::scores_actions<Reward>) {
        policy.log_probabilities(context, workspace);
        auto const term = [&](auto log_p, auto k) {
            auto const score = reward.score(context, static_cast<std::size_t>(k));
            return math::select(score == decltype(score)(0), typename Policy::value_type(0), math::exp(log_p) * score);
        };
        return sum(term, workspace, indices_of(workspace));
    }
}

} // namespace poise::metric
