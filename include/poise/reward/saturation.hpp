#pragma once

#include "poise/core/math.hpp"

#include <concepts>

namespace poise::reward {

/// What a reward that may be over-optimised counts beyond its threshold, sample by sample.
namespace saturation {

/// All of it.
struct none {
    constexpr auto operator()(auto reward, auto) const { return reward; }
};

/// Nothing: min(r, threshold), as PPO-SAT does (Moskovitz et al., 2023, arXiv 2310.04373; slug constrained-rlhf).
struct at_threshold {
    constexpr auto operator()(auto reward, auto threshold) const { return math::min(reward, threshold); }
};

} // namespace saturation

/// A reward that counts up to a threshold: score(c, a) = min(score of the reward, threshold).
template <class Reward>
struct saturated {
    using value_type = typename Reward::value_type;
    using context_type = typename Reward::context_type;
    using action_type = typename Reward::action_type;

    Reward reward;
    value_type threshold;

    constexpr auto score(context_type const& context, action_type const& action) const {
        return saturation::at_threshold{}(reward.score(context, action), threshold);
    }
};

template <class Reward, class Threshold>
saturated(Reward, Threshold) -> saturated<Reward>;

} // namespace poise::reward
