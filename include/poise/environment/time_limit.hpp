#pragma once

#include "poise/concepts.hpp"
#include "poise/core/math.hpp"

namespace poise::environment {

/// select(mask, a, b) of states: of scalars as always, of states made of several as `State::select` has it.
template <class Mask, class State>
constexpr State select_state(Mask mask, State const& a, State const& b) {
    if constexpr (requires { State::select(mask, a, b); })
        return State::select(mask, a, b);
    else
        return math::select(mask, a, b);
}

/// The state of an environment and how many steps its episode has taken.
template <class State, scalar T>
struct timed_state {
    State state;
    T steps;

    static constexpr timed_state select(mask_of<T> mask, timed_state const& a, timed_state const& b) {
        return {select_state(mask, a.state, b.state), math::select(mask, a.steps, b.steps)};
    }
};

/// An environment whose episodes are truncated after `limit` steps, unless they end by then:
///     time_limit{cart_pole<double>{}, 500}
template <concepts::environment Environment>
struct time_limit {
    using value_type = typename Environment::value_type;
    using state_type = timed_state<typename Environment::state_type, value_type>;
    using action_type = typename Environment::action_type;
    static constexpr std::uint32_t draws = Environment::draws;

    Environment environment;
    std::size_t limit;

    constexpr state_type reset(random::address where) const { return {environment.reset(where), value_type(0)}; }
    constexpr transition<state_type, value_type> step(state_type const& state, action_type const& action,
                                                      random::address where) const {
        auto const [next, reward, terminated, truncated] = environment.step(state.state, action, where);
        auto const steps = state.steps + value_type(1);
        auto const over = steps >= value_type(static_cast<real_of<value_type>>(limit));
        return {{next, steps}, reward, terminated, mask_of<value_type>(truncated | (over & !terminated))};
    }
    constexpr std::size_t observation_size() const { return environment.observation_size(); }
    constexpr void observe(state_type const& state, writable_row auto out) const {
        environment.observe(state.state, out);
    }
    constexpr std::size_t actions() const
        requires concepts::finite_action_environment<Environment>
    {
        return environment.actions();
    }
};
template <class Environment>
time_limit(Environment, std::size_t) -> time_limit<Environment>;

/// What came of an action, and the state to go on from.
template <concepts::environment Environment>
struct continued_transition {
    using state_type = typename Environment::state_type;

    transition<state_type, typename Environment::value_type> reached;
    state_type next; ///< the state reached, or where the episode is over the first of a new one
};

/// A step, and a reset where the episode is over, lane by lane: replicas whose episodes differ in length go on
/// together. The reset draws at `reset_where`.
template <concepts::environment Environment>
constexpr continued_transition<Environment> step_or_reset(Environment const& environment,
                                                          typename Environment::state_type const& state,
                                                          typename Environment::action_type const& action,
                                                          random::address step_where, random::address reset_where) {
    auto const reached = environment.step(state, action, step_where);
    auto const done = reached.done();
    auto const nowhere = [&] {
        if constexpr (std::same_as<mask_of<typename Environment::value_type>, bool>)
            return !done;
        else
            return !any(done);
    }();
    if (nowhere) return {reached, reached.next}; // the same, without draws that most steps do not need
    return {reached, select_state(done, environment.reset(reset_where), reached.next)};
}

} // namespace poise::environment
