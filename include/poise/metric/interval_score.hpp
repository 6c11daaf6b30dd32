#pragma once

#include "poise/core/verbs.hpp"
#include "poise/objective/quantile_levels.hpp"

/// Scores of predicted intervals and quantiles: lower is better, proper for the true quantiles. Slug
/// quantile-aggregation.
namespace poise::metric {

/// IS = (u - l) + (2/a) (l - y)_+ + (2/a) (y - u)_+ of the interval [l, u] at levels a/2 and 1 - a/2 (Gneiting and
/// Raftery 2007, section 6.2). Crossed ends are not swapped: both penalties may then be active.
constexpr auto interval_score(auto target, auto lower, auto upper, auto alpha) {
    using R = real_of<decltype(lower)>;
    auto const outside = math::max(lower - target, R(0)) + math::max(target - upper, R(0));
    return upper - lower + R(2) / alpha * outside;
}

/// The weighted interval score (Bracher, Ray, Gneiting and Reich 2021) of quantiles at m symmetric levels. With
/// K = floor(m/2) pairs (k, m-1-k), a_k = 2 tau_k: (|y - median| / 2 + sum_k a_k/2 IS_k) / (K + 1/2) for odd m,
/// sum_k a_k/2 IS_k / K for even m. `intervals` are the unweighted IS_k, outermost first (K elements).
/// Throws for levels that are not ascending in (0, 1) and symmetric about 1/2, other lengths, NaN.
struct weighted_interval_score {
    static constexpr std::array argument_names{"targets", "quantiles", "levels", "score", "intervals"};

    constexpr void operator()(row_of_reals auto target, row_of_reals auto quantiles, row_of_reals auto levels,
                              writable_row auto score, writable_row auto intervals) const {
        using T = value_of<decltype(quantiles)>;
        using R = real_of<T>;
        auto const y = T(target[0]);
        auto const m = quantiles.size(), pairs = m / 2;
        auto total = T(0);
        if (m % 2 == 1) total = R(0.5) * math::abs(y - T(quantiles[pairs]));
        for (std::size_t k = 0; k < pairs; ++k) {
            auto const alpha = R(2) * levels[k];
            auto const interval = interval_score(y, T(quantiles[k]), T(quantiles[m - 1 - k]), alpha);
            intervals[k] = interval;
            total += R(0.5) * alpha * interval;
        }
        score[0] = total / R(R(m) / R(2)); // K + 1/2 for odd m, K for even m
    }
    constexpr void check(auto const& targets, auto const& quantiles, auto const& levels, auto const& score,
                         auto const& intervals) const {
        constexpr auto name = "weighted_interval_score";
        poise::detail::check_quantiles(name, targets, quantiles, levels);
        poise::detail::check_symmetric(name, levels);
        poise::detail::check_length(name, "score", score, 1);
        poise::detail::check_length(name, "intervals", intervals, poise::detail::length_of(levels) / 2);
    }
};

/// mean_i 1[y_i <= q_i] over a row of samples: the coverage of one quantile level.
struct coverage {
    static constexpr std::array argument_names{"targets", "quantiles", "coverage"};

    constexpr void operator()(row_of_reals auto targets, row_of_reals auto quantiles, writable_row auto covered) const {
        using R = real_of<value_of<decltype(quantiles)>>;
        covered[0] = sum([](auto y, auto q) { return math::select(y <= q, R(1), R(0)); }, targets, quantiles) /
                     R(targets.size());
    }
    constexpr void check(auto const& targets, auto const& quantiles, auto const& covered) const {
        poise::detail::check_not_empty("coverage", "targets", targets);
        poise::detail::check_not_nan("coverage", "targets", targets);
        poise::detail::check_not_nan("coverage", "quantiles", quantiles);
        poise::detail::check_length("coverage", "quantiles", quantiles, poise::detail::length_of(targets));
        poise::detail::check_length("coverage", "coverage", covered, 1);
    }
};

/// mean_i 1[l_i <= y_i <= u_i] over a row of samples: the prediction interval coverage probability (PICP).
struct interval_coverage {
    static constexpr std::array argument_names{"targets", "lower", "upper", "coverage"};

    constexpr void operator()(row_of_reals auto targets, row_of_reals auto lower, row_of_reals auto upper,
                              writable_row auto covered) const {
        using R = real_of<value_of<decltype(lower)>>;
        auto const inside = [](auto y, auto l, auto u) { return math::select((l <= y) & (y <= u), R(1), R(0)); };
        covered[0] = sum(inside, targets, lower, upper) / R(targets.size());
    }
    constexpr void check(auto const& targets, auto const& lower, auto const& upper, auto const& covered) const {
        constexpr auto name = "interval_coverage";
        poise::detail::check_not_empty(name, "targets", targets);
        poise::detail::check_not_nan(name, "targets", targets);
        poise::detail::check_not_nan(name, "lower", lower);
        poise::detail::check_not_nan(name, "upper", upper);
        poise::detail::check_length(name, "lower", lower, poise::detail::length_of(targets));
        poise::detail::check_length(name, "upper", upper, poise::detail::length_of(targets));
        poise::detail::check_length(name, "coverage", covered, 1);
    }
};

/// mean_k |coverage_k - tau_k|: how far a set of levels is from covering as often as it says.
struct calibration_error {
    static constexpr std::array argument_names{"coverages", "levels", "error"};

    constexpr void operator()(row_of_reals auto coverages, row_of_reals auto levels, writable_row auto error) const {
        using R = real_of<value_of<decltype(coverages)>>;
        error[0] = sum([](auto c, auto level) { return math::abs(c - level); }, coverages, levels) / R(levels.size());
    }
    constexpr void check(auto const& coverages, auto const& levels, auto const& error) const {
        poise::detail::check_not_nan("calibration_error", "coverages", coverages);
        poise::detail::check_levels("calibration_error", levels);
        poise::detail::check_length("calibration_error", "coverages", coverages, poise::detail::length_of(levels));
        poise::detail::check_length("calibration_error", "error", error, 1);
    }
};

} // namespace poise::metric
