#pragma once

#include "poise/core/lengths.hpp"
#include "poise/estimator/order_statistic.hpp"

#include <array>

namespace poise::estimator {

/// Kernel: one step of stochastic approximation towards the quantiles of a stream of batches (slug riskpo: Ren et al.,
/// 2025, arXiv 2510.00911; Robbins and Monro, 1951):
///     q_k <- q_k + learning_rate (level_k - mean_j 1{R_j < q_k}),   a score equal to q_k not counted.
/// Begin with `empirical_quantiles` of the first batch, and use the quantiles from before the step for a batch's own
/// advantages. `tracked` may be `quantiles`. Throws for levels outside (0, 1), no scores, NaN.
struct quantile_tracker {
    double learning_rate = 0.1; ///< in units of the scores; steps that decrease as 1 / t converge to the quantile

    static constexpr std::array argument_names{"quantiles", "levels", "scores", "tracked"};

    constexpr void operator()(row_of_reals auto quantiles, row_of_reals auto levels, row_of_reals auto scores,
                              writable_row auto tracked) const {
        using T = value_of<decltype(tracked)>;
        using R = real_of<T>;
        for (std::size_t k = 0; k < quantiles.size(); ++k) {
            auto const q = T(quantiles[k]);
            auto const below = sum(
                [=](auto r) {
                    using S = common_scalar<decltype(r), T>;
                    return math::select(S(r) < S(q), S(R(1)), S(R(0)));
                },
                scores);
            tracked[k] = q + T(R(learning_rate)) * (T(levels[k]) - below / T(R(scores.size())));
        }
    }
    constexpr void check(auto const& quantiles, auto const& levels, auto const& scores, auto const& tracked) const {
        constexpr auto name = "quantile_tracker";
        require_domain(learning_rate > 0, name, "learning_rate", "a number above 0", learning_rate);
        poise::detail::check_not_empty(name, "scores", scores);
        poise::detail::check_not_nan(name, "scores", scores);
        poise::detail::check_not_nan(name, "quantiles", quantiles);
        require_length_of(name, "levels", levels, quantiles);
        require_length_of(name, "tracked", tracked, quantiles);
        poise::detail::for_each_element(levels, [&](auto level) {
            require_domain(level > decltype(level)(0) && level < decltype(level)(1), name, "levels",
                           "numbers strictly between 0 and 1", level);
        });
    }
};

} // namespace poise::estimator
