#pragma once

#include "poise/core/error.hpp"
#include "poise/core/math.hpp"

namespace poise::solver {

/// first e^{-step / time_constant}, steps counted from 0: a coefficient that is annealed away. Decays of s and of t
/// steps multiply to that of s + t. Throws for a time constant that is not above 0 (there is no default) and a step
/// below 0.
struct exponential_decay {
    double first = 1;
    double time_constant = math::quiet_nan<double>; ///< in steps

    constexpr double operator()(double step) const {
        require_domain(time_constant > 0, "exponential_decay", "time_constant", "a number above 0", time_constant);
        require_domain(step >= 0, "exponential_decay", "step", "a number not below 0", step);
        return first * math::exp(-step / time_constant);
    }
};

} // namespace poise::solver
