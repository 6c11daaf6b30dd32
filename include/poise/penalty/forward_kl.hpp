#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>
#include <utility>

namespace poise::penalty {

/// loss = -coefficient log pi, per element: coefficient times KL(pi_old || pi), up to a constant, from samples of
/// pi_old. AsymRE's term (slug group-relative-reinforce: Yao et al., 2025, arXiv 2509.24203).
struct forward_kl {
    double coefficient = 0.1;

    using reads = fields<field::log_probability>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"log_probability", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto log_probability, writable_row auto loss,
                              writable_row auto gradient) const {
        auto const slope = -real_of<value_of<decltype(loss)>>(coefficient);
        map_pair(
            loss, gradient, [=](auto log_p) { return std::pair{slope * log_p, decltype(log_p)(slope)}; },
            log_probability);
    }
    constexpr void check_hyperparameters() const {
        require_domain(coefficient >= 0 && math::isfinite(coefficient), "forward_kl", "coefficient",
                       "a finite number not below 0", coefficient);
    }
    constexpr void check(auto const& log_probability, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("forward_kl", argument_names, log_probability, others...);
    }
};

} // namespace poise::penalty
