#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>
#include <utility>

namespace poise::objective {

/// A*-PO's regression of a response's log-ratio on its optimal advantage (Brantley et al., 2025, arXiv 2505.20686; slug
/// catalogue-policy-losses, section 9), per response, with log-probabilities of whole responses and V* in `baseline`:
///     e = coefficient (log pi - log ref) - (r - V*),   loss = e^2,   d loss / d log pi = 2 coefficient e.
/// Where pi is proportional to ref e^{r / coefficient}, every e is 0.
struct optimal_advantage_regression {
    double coefficient = 1e-3;

    using reads = fields<field::log_probability, field::reference_log_probability, field::reward, field::baseline>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{
        "log_probability", "reference_log_probability", "reward", "baseline", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto reference_log_probability,
                              row_of_reals auto reward, row_of_reals auto baseline, writable_row auto loss,
                              writable_row auto gradient) const {
        auto const b = real_of<value_of<decltype(loss)>>(coefficient);
        map_pair(
            loss, gradient,
            [=](auto l, auto q, auto r, auto v) {
                auto const e = b * (l - q) - (r - v);
                return std::pair{e * e, (b + b) * e};
            },
            log_probability, reference_log_probability, reward, baseline);
    }
    constexpr void check_hyperparameters() const {
        require_domain(coefficient > 0 && math::isfinite(coefficient), "optimal_advantage_regression", "coefficient",
                       "a finite number above 0", coefficient);
    }
    constexpr void check(auto const& log_probability, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("optimal_advantage_regression", argument_names, log_probability, others...);
    }
};

} // namespace poise::objective
