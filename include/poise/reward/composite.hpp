#pragma once

#include "poise/concepts.hpp"

#include <array>
#include <tuple>

namespace poise::reward {

/// The weighted sum of rewards: score(c, a) = sum_i w_i score_i(c, a).
///     auto const reward = composite{std::tuple{helpfulness, length_penalty}, std::array{1.0, -0.1}};
/// The weights are public: a Lagrangian's multipliers, say, move from step to step.
template <class Weight, class First, class... Rest>
    requires concepts::scores_actions<First> && (concepts::scores_actions<Rest> && ...)
struct composite {
    using value_type = Weight;
    using context_type = typename First::context_type;
    using action_type = typename First::action_type;
    static constexpr std::size_t size = 1 + sizeof...(Rest);

    std::tuple<First, Rest...> rewards;
    std::array<Weight, size> weights;

    /// The score of each reward, not weighted.
    constexpr std::array<Weight, size> scores(context_type const& context, action_type const& action) const {
        return std::apply(
            [&](auto const&... reward) { return std::array<Weight, size>{Weight(reward.score(context, action))...}; },
            rewards);
    }
    constexpr Weight score(context_type const& context, action_type const& action) const {
        auto const each = scores(context, action);
        auto total = weights[0] * each[0];
        for (std::size_t i = 1; i < size; ++i) total += weights[i] * each[i];
        return total;
    }
};

template <class Weight, class... Rewards>
composite(std::tuple<Rewards...>, std::array<Weight, sizeof...(Rewards)>) -> composite<Weight, Rewards...>;

} // namespace poise::reward
