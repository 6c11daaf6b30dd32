#pragma once

#include "poise/core/math.hpp"

/// The sense of a constraint on a value v with threshold theta. `slack` is positive where the constraint holds with
/// room to spare. In max f + sum_i tilt_i (v_i - theta_i) the tilt of reward i is `tilt(multiplier)`, which is its own
/// inverse.
namespace poise::constraint {

/// v >= theta; f is the KL reward.
struct at_least {
    static constexpr bool inequality = true;
    static constexpr auto slack(auto value, auto threshold) { return value - threshold; }
    static constexpr auto tilt(auto multiplier) { return multiplier; }
};

/// v = theta; f is the KL reward.
struct equal_to {
    static constexpr bool inequality = false;
    static constexpr auto slack(auto value, auto threshold) { return value - threshold; }
    static constexpr auto tilt(auto multiplier) { return multiplier; }
};

/// v <= theta; f is the sum of the rewards and the KL reward.
struct at_most {
    static constexpr bool inequality = true;
    static constexpr auto slack(auto value, auto threshold) { return threshold - value; }
    static constexpr auto tilt(auto multiplier) { return real_of<decltype(multiplier)>(1) - multiplier; }
};

/// No constraint: multipliers stay as they are.
struct none {
    static constexpr bool inequality = false;
};

} // namespace poise::constraint
