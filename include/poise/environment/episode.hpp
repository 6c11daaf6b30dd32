#pragma once

#include "poise/concepts.hpp"

#include <array>
#include <type_traits>

namespace poise::environment {

/// What a policy is given of a state: its observation, or the state itself where contexts are numbers.
template <class Context, concepts::environment Environment>
constexpr Context observed(Environment const& environment, typename Environment::state_type const& state) {
    if constexpr (std::is_convertible_v<typename Environment::state_type, Context>) {
        return state;
    } else {
        auto context = Context{};
        environment.observe(state, row(context));
        return context;
    }
}

/// Plays one episode from the state that `reset` draws at `start`, and calls `visit(context, action, reward)` for each
/// step. Step t draws the action at where.step + t, index where.index, and the environment's numbers behind it. At most
/// `limit` steps. Returns the sum of rewards.
template <class Policy, concepts::environment Environment, class Visit>
constexpr auto play(Policy const& policy, Environment const& environment, random::address start, random::address where,
                    std::size_t limit, Visit const& visit) {
    using T = typename Environment::value_type;
    auto const behind = [&](random::address here, std::uint32_t by) {
        here.index += by;
        return here;
    };
    auto state = environment.reset(behind(start, 1 + Environment::draws));
    auto total = T(0);
    for (std::size_t t = 0; t < limit; ++t) {
        auto const context = observed<typename Policy::context_type>(environment, state);
        auto const action = policy.sample(context, where);
        auto const reached = environment.step(state, action, behind(where, 1));
        visit(context, action, reached.reward);
        total += reached.reward;
        if (reached.done()) break;
        state = reached.next;
        ++where.step;
    }
    return total;
}

/// The mean over `episodes` of the sum of rewards of at most `limit` steps, actions drawn from the policy; episode e is
/// that of replica where.replica + e. The draws are `random::for_evaluation`, so that the training's seed replays none
/// of its episodes.
template <class Policy, concepts::environment Environment>
constexpr auto mean_return(Policy const& policy, Environment const& environment, std::size_t episodes,
                           random::address where, std::size_t limit) {
    using T = typename Environment::value_type;
    auto total = T(0);
    where = random::for_evaluation(where);
    for (std::size_t e = 0; e < episodes; ++e, ++where.replica)
        total += play(policy, environment, where, where, limit, [](auto const&...) {});
    return total / T(episodes);
}

} // namespace poise::environment
