#pragma once

#include "poise/objective/surrogate.hpp"

#include <array>

namespace poise::objective {

/// The clipped surrogate of PPO, GRPO and most others: `surrogate<ratio::token, trust_region::clipped>` under its usual
/// name. Per element, with rho = e^{log pi - log pi_old} and the advantage A, a constant,
///     loss = -min(A rho, A clip(rho, 1 - low, 1 + high)),   and for A < 0 at most -dual A,
///     d loss / d log pi = -A rho where rho is not clipped, bounds included, else 0.
/// Losses are not averaged: their mean over a batch divides the gradients too.
struct clipped_surrogate {
    double low = 0.2;
    double high = 0.2;
    double dual = math::infinity<double>; ///< greater than 1; infinity: no dual clip

    using reads = fields<field::log_probability, field::old_log_probability, field::advantage>;
    using reads_if_given = fields<field::surrogate_weight>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    static constexpr bool writes_once = true;
    static constexpr bool clips_ratio = true; ///< to [1 - low, 1 + high]: what learners report as the clip fraction
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "advantage", "loss",
                                               "gradient", "surrogate_weight"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto advantage, writable_row auto loss, writable_row auto gradient,
                              row_of_reals auto... weight) const {
        auto const same = surrogate<>{.trust_region = {.low = low, .high = high, .dual = dual}};
        same(log_probability, old_log_probability, advantage, loss, gradient, weight...);
    }
    constexpr void check_hyperparameters() const {
        trust_region::clipped{.low = low, .high = high, .dual = dual}.check_hyperparameters("clipped_surrogate");
    }
    constexpr void check(auto const& log_probability, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("clipped_surrogate", argument_names, log_probability, others...);
    }
};

} // namespace poise::objective
