#pragma once

#include "poise/concepts.hpp"
#include "poise/core/verbs.hpp"

namespace poise::metric {

/// sum_a pi(a | context) score(context, a). `workspace` is as long as there are actions.
template <concepts::finite_policy Policy, concepts::scores_actions Reward>
constexpr auto expected_reward(Policy const& policy, Reward const& reward, typename Policy::context_type const& context,
                               row<typename Policy::value_type> workspace) {
    policy.log_probabilities(context, workspace);
    return sum(
        [&](auto log_p, auto k) {
            auto const p = math::exp(log_p);
            return p * reward.score(context, static_cast<std::size_t>(k));
        },
        workspace, indices_of(workspace));
}

} // namespace poise::metric
