#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>
#include <utility>

namespace poise::objective {

/// The clipped surrogate of PPO (Schulman et al., "Proximal policy optimization algorithms", 2017, equation 7), per
/// element: with rho = e^{log pi - log pi_old} and the advantage A, a constant,
///     loss = -min(A rho, A clip(rho, 1 - low, 1 + high)),   and for A < 0 at most -dual A
/// (dual clip: Ye et al., "Mastering complex control in MOBA games", AAAI 2020, equation 5). That is -A rho with rho
/// clipped from above by 1 + high where A >= 0, and to [1 - low, dual] where A < 0:
///     d loss / d log pi = -A rho where rho is not clipped, bounds included, else 0.
/// Losses are not averaged: their mean over a batch divides the gradients too.
struct clipped_surrogate {
    double low = 0.2;
    double high = 0.2;
    double dual = math::infinity<double>; ///< greater than 1; infinity: no dual clip

    using reads = fields<field::log_probability, field::old_log_probability, field::advantage>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    static constexpr bool writes_once = true;
    static constexpr bool clips_ratio = true; ///< to [1 - low, 1 + high]: what learners report as the clip fraction
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "advantage", "loss",
                                               "gradient"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto advantage, writable_row auto loss, writable_row auto gradient) const {
        using R = real_of<value_of<decltype(loss)>>;
        auto const least = [bound = R(1 - low)](auto a) { return math::select(a < R(0), bound, R(0)); };
        auto const most = [above = R(1 + high), below = R(dual)](auto a) {
            return math::select(a < R(0), below, above);
        };
        map_pair(
            loss, gradient,
            [=](auto log_p, auto old, auto a) {
                auto const ratio = math::exp(log_p - old);
                auto const above = math::select(ratio > most(a), R(0), ratio); // a NaN is not clipped
                return std::pair{-a * math::clamp(ratio, least(a), most(a)),
                                 -a * math::select(ratio < least(a), R(0), above)};
            },
            log_probability, old_log_probability, advantage);
    }
    constexpr void check_hyperparameters() const {
        constexpr auto name = "clipped_surrogate";
        require_domain(low >= 0 && low < 1, name, "low", "a number in [0, 1)", low);
        require_domain(high >= 0, name, "high", "a number not below 0", high);
        require_domain(dual > 1, name, "dual", "a number above 1", dual);
    }
    constexpr void check(auto const& log_probability, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("clipped_surrogate", argument_names, log_probability, others...);
    }
};

} // namespace poise::objective
