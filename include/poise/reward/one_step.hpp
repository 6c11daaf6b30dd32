#pragma once

#include "poise/concepts.hpp"

#include <concepts>

namespace poise::reward {

/// What the step of an environment whose episodes last one step pays, such as a bandit's: a reward that draws,
/// `score(context, action, where)`. With SIMD packs each lane has an action of its own, and draws as replica + lane.
template <concepts::environment Environment>
struct one_step {
    static_assert(Environment::draws <= 1, "one_step: a learner has one address for the reward of a sample");
    using value_type = typename Environment::value_type;
    using context_type = typename Environment::state_type;
    using action_type = typename Environment::action_type;

    Environment environment;

    /// The context may also be a number that all lanes share.
    template <class Context>
    constexpr value_type score(Context const& context, action_type const& action, random::address where) const {
        if constexpr (std::integral<Context> && !std::integral<context_type>)
            return score(context_type(static_cast<real_of<value_type>>(context)), action, where);
        else
            return environment.step(context, action, where).reward;
    }
};
template <class Environment>
one_step(Environment) -> one_step<Environment>;

} // namespace poise::reward
