#pragma once

#include "poise/environment/finite_mdp.hpp"
#include "poise/random/continuous.hpp"

namespace poise::environment {

/// The chain of Dearden, Friedman and Russell, "Bayesian Q-learning", 1998, and Strens, "A Bayesian framework for
/// reinforcement learning", 2000: states 0 … length - 1 from 0 on. Action 0 goes one state forward, and in the last
/// state stays and earns `far_reward`; action 1 goes back to state 0 and earns `near_reward`. With probability `slip`
/// the other action is taken. It never ends: see `time_limit`.
template <random::drawable T>
struct chain {
    using value_type = T;
    using state_type = discrete<T>;
    using action_type = discrete<T>;
    static constexpr std::uint32_t draws = 1;

    std::size_t length = 5;
    T slip = T(real_of<T>(0.2));
    T near_reward = T(real_of<T>(2));
    T far_reward = T(real_of<T>(10));

    constexpr std::size_t states() const { return length; }
    constexpr std::size_t actions() const { return 2; }

    constexpr state_type reset(random::address) const { return state_type(0); }
    constexpr transition<state_type, T> step(state_type state, action_type action, random::address where) const {
        auto const slips = random::uniform<T>(where) < slip;
        auto const forward = mask_of<T>((as_scalar<T>(action) == T(0)) ^ slips);
        auto const last = T(static_cast<real_of<T>>(length - 1));
        auto const here = as_scalar<T>(state);
        auto const next = math::select(forward, math::min(here + T(1), last), T(0));
        auto const at_end = math::select(here == last, far_reward, T(0));
        return {as_discrete<T>(next), math::select(forward, at_end, near_reward), mask_of<T>(false), mask_of<T>(false)};
    }
    constexpr std::size_t observation_size() const { return length; }
    constexpr void observe(state_type state, writable_row auto out) const { one_hot<T>(state, out); }

    /// Its exact form.
    finite_mdp<real_of<T>> mdp(T discount) const
        requires std::floating_point<T>
    {
        auto transitions = std::vector<T>(length * 2 * length, T(0)), rewards = std::vector<T>(length * 2),
             first = std::vector<T>(length, T(0));
        first[0] = 1;
        for (std::size_t s = 0; s < length; ++s)
            for (std::size_t a = 0; a < 2; ++a) {
                auto const forward = a == 0 ? T(1) - slip : slip;
                auto const i = s * 2 + a, last = length - 1;
                transitions[i * length + std::min(s + 1, last)] += forward;
                transitions[i * length] += T(1) - forward;
                rewards[i] = forward * (s == last ? far_reward : T(0)) + (T(1) - forward) * near_reward;
            }
        return {2, std::move(transitions), std::move(rewards), std::move(first), discount};
    }
};

} // namespace poise::environment
