#pragma once

#include "poise/core/interpolate.hpp"
#include "poise/core/verbs.hpp"
#include "poise/execution/row_kernel.hpp"

#include <array>

namespace poise::policy {

/// Kernel: one update of averaged parameters, theta_bar_t = decay theta_bar_{t-1} + (1 - decay) theta_t, from
/// theta_bar_0 = theta_0. `decay` 0 follows the parameters exactly, 1 keeps the start. The opponent of Nash-EMA (slug
/// nash-md: Munos et al., 2023, arXiv 2312.00886; the gradient step against theta_bar comes first, then this), target
/// networks, Polyak averaging. To update in place give the average as input and output.
struct exponential_moving_average {
    double decay = 0.999;

    static constexpr std::array<char const*, 3> argument_names = {"average", "parameters", "updated"};

    constexpr void operator()(row_of_reals auto average, row_of_reals auto parameters,
                              writable_row auto updated) const {
        auto const kept = real_of<value_of<decltype(average)>>(decay);
        map(updated, [=](auto a, auto theta) { return math::interpolate(theta, a, kept); }, average, parameters);
    }

    constexpr void check(auto const& average, auto const& parameters, auto const& updated) const {
        require_domain(decay >= 0 && decay <= 1, "exponential_moving_average", "decay", "a number in [0, 1]", decay);
        for (std::size_t i = 0; i < average.rows(); ++i) {
            require(parameters.length(i) == average.length(i), "exponential_moving_average", "parameters",
                    average.length(i), parameters.length(i));
            require(updated.length(i) == average.length(i), "exponential_moving_average", "updated", average.length(i),
                    updated.length(i));
        }
    }
};

} // namespace poise::policy
