#pragma once

#include "poise/core/scalar.hpp"
#include "poise/random/address.hpp"

/// What all environments share. An environment is a value without hidden state: `reset(where)` gives a state,
/// `step(state, action, where)` a transition, and all draws are made at addresses, so that any number of replicas run
/// at once and every run repeats.
namespace poise::environment {

/// What came of an action.
template <class State, scalar T>
struct transition {
    State next; ///< the state reached, also where the episode has ended
    T reward;
    mask_of<T> terminated; ///< the state reached is an end: nothing follows, its value is 0
    mask_of<T> truncated;  ///< a time limit ended the episode, in a state that is no end and has a value

    constexpr mask_of<T> done() const { return mask_of<T>(terminated | truncated); }
};

} // namespace poise::environment
