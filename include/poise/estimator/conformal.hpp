#pragma once

#include "poise/estimator/order_statistic.hpp"

/// Conformal prediction: shifts of predicted quantiles, from a calibration set, that make them cover as often as they
/// say when calibration and test points are exchangeable. One row holds one calibration set. Slug quantile-aggregation.
namespace poise::estimator {

namespace detail {

/// Inputs as long as the first, without NaN, called as the kernel calls its arguments.
template <class Kernel>
constexpr void check_calibration(std::string_view function, auto const& first, auto const&... rest) {
    auto const n = poise::detail::length_of(first);
    auto argument = Kernel::argument_names.begin();
    auto const check = [&](auto const& batch) {
        poise::detail::check_length(function, *argument, batch, n);
        poise::detail::check_not_nan(function, *argument++, batch);
    };
    check(first);
    (check(rest), ...);
}

constexpr void check_miscoverage(std::string_view function, std::string_view argument, double alpha) {
    require_domain(alpha > 0 && alpha < 1, function, argument, "a miscoverage strictly between 0 and 1", alpha);
}

} // namespace detail

/// Conformalized quantile regression (Romano, Patterson and Candès 2019, theorem 1): E_i = max(l_i - y_i, y_i - u_i)
/// and Q = RQ(E, 1 - alpha). [l - Q, u + Q] covers with probability at least 1 - alpha. Q may be negative, and is +inf
/// for a calibration set too small.
struct conformalized_quantiles {
    double alpha = 0.1;

    static constexpr std::array argument_names{"targets", "lower", "upper", "shift"};
    static constexpr std::size_t scratch_rows = order_statistic_scratch + 1;

    constexpr void operator()(row_of_reals auto targets, row_of_reals auto lower, row_of_reals auto upper,
                              writable_row auto shift, auto const& scratch) const {
        auto const scores = segment(scratch[order_statistic_scratch], 0, targets.size());
        map(scores, [](auto y, auto l, auto u) { return math::max(l - y, y - u); }, targets, lower, upper);
        shift[0] = rank_quantile(scores, 1 - alpha, scratch);
    }
    constexpr void check(auto const& targets, auto const& lower, auto const& upper, auto const& shift) const {
        detail::check_miscoverage("conformalized_quantiles", "alpha", alpha);
        detail::check_calibration<conformalized_quantiles>("conformalized_quantiles", targets, lower, upper);
        poise::detail::check_length("conformalized_quantiles", "shift", shift, 1);
    }
};

/// The asymmetric variant (theorem 2 there): [l - Q_lo, u + Q_hi], Q_lo = RQ(l - y, 1 - lower_alpha) and Q_hi = RQ(y -
/// u, 1 - upper_alpha), covers with probability at least 1 - lower_alpha - upper_alpha, each end for itself.
struct asymmetric_conformalized_quantiles {
    double lower_alpha = 0.05;
    double upper_alpha = 0.05;

    static constexpr std::array argument_names{"targets", "lower", "upper", "lower_shift", "upper_shift"};
    static constexpr std::size_t scratch_rows = order_statistic_scratch + 1;

    constexpr void operator()(row_of_reals auto targets, row_of_reals auto lower, row_of_reals auto upper,
                              writable_row auto lower_shift, writable_row auto upper_shift, auto const& scratch) const {
        auto const scores = segment(scratch[order_statistic_scratch], 0, targets.size());
        auto const difference = [](auto a, auto b) { return a - b; };
        map(scores, difference, lower, targets);
        lower_shift[0] = rank_quantile(scores, 1 - lower_alpha, scratch);
        map(scores, difference, targets, upper);
        upper_shift[0] = rank_quantile(scores, 1 - upper_alpha, scratch);
    }
    constexpr void check(auto const& targets, auto const& lower, auto const& upper, auto const& lower_shift,
                         auto const& upper_shift) const {
        constexpr auto name = "asymmetric_conformalized_quantiles";
        detail::check_miscoverage(name, "lower_alpha", lower_alpha);
        detail::check_miscoverage(name, "upper_alpha", upper_alpha);
        detail::check_calibration<asymmetric_conformalized_quantiles>(name, targets, lower, upper);
        poise::detail::check_length(name, "lower_shift", lower_shift, 1);
        poise::detail::check_length(name, "upper_shift", upper_shift, 1);
    }
};

/// The shift of one quantile level, to be added to its predictions: RQ(y - q, tau) for tau >= 1/2, -RQ(q - y, 1 - tau)
/// below. A row is one level over the calibration set. Sort the shifted quantiles again.
struct conformal_level_shift {
    static constexpr std::array argument_names{"targets", "quantiles", "level", "shift"};
    static constexpr std::size_t scratch_rows = order_statistic_scratch + 1;

    constexpr void operator()(row_of_reals auto targets, row_of_reals auto quantiles, row_of_reals auto level,
                              writable_row auto shift, auto const& scratch) const {
        using T = value_of<decltype(shift)>;
        auto const tau = T(level[0]);
        auto const upper = tau >= T(real_of<T>(0.5));
        auto const sign = T(math::select(upper, T(1), T(-1)));
        auto const scores = segment(scratch[order_statistic_scratch], 0, targets.size());
        map(scores, [=](auto y, auto q) { return sign * (y - q); }, targets, quantiles);
        shift[0] = sign * rank_quantile(scores, T(math::select(upper, tau, T(1) - tau)), scratch);
    }
    constexpr void check(auto const& targets, auto const& quantiles, auto const& level, auto const& shift) const {
        constexpr auto name = "conformal_level_shift";
        detail::check_calibration<conformal_level_shift>(name, targets, quantiles);
        poise::detail::check_length(name, "level", level, 1);
        poise::detail::for_each_element(level, [&](auto tau) {
            using T = decltype(tau);
            require_domain(tau > T(0) && tau < T(1), name, "level", "a number strictly between 0 and 1", tau);
        });
        poise::detail::check_length(name, "shift", shift, 1);
    }
};

/// CV+ (Barber, Candès, Ramdas and Tibshirani 2021): out-of-fold scores R_i and, at the new point, the interval [lo_i,
/// hi_i] of the model that did not see the fold of i: high = RQ(hi + R, 1 - alpha), low = -RQ(-(lo - R), 1 - alpha).
struct cv_plus {
    double alpha = 0.1;

    static constexpr std::array argument_names{"lower", "upper", "scores", "low", "high"};
    static constexpr std::size_t scratch_rows = order_statistic_scratch + 1;

    constexpr void operator()(row_of_reals auto lower, row_of_reals auto upper, row_of_reals auto scores,
                              writable_row auto low, writable_row auto high, auto const& scratch) const {
        auto const ends = segment(scratch[order_statistic_scratch], 0, scores.size());
        map(ends, [](auto u, auto r) { return u + r; }, upper, scores);
        high[0] = rank_quantile(ends, 1 - alpha, scratch);
        map(ends, [](auto l, auto r) { return r - l; }, lower, scores);
        low[0] = -rank_quantile(ends, 1 - alpha, scratch);
    }
    constexpr void check(auto const& lower, auto const& upper, auto const& scores, auto const& low,
                         auto const& high) const {
        detail::check_miscoverage("cv_plus", "alpha", alpha);
        detail::check_calibration<cv_plus>("cv_plus", lower, upper, scores);
        poise::detail::check_length("cv_plus", "low", low, 1);
        poise::detail::check_length("cv_plus", "high", high, 1);
    }
};

/// r = y - median over the models j of G[j][floor(m/2)]; its empirical quantiles at the levels are the adaptive margins
/// of the crossing penalty. The median of an even number of models is the mean of the two in the middle.
struct median_model_residual {
    std::size_t levels = 1;

    static constexpr std::array argument_names{"targets", "predictions", "residual"};
    static constexpr std::size_t scratch_rows = 1;

    constexpr void operator()(row_of_reals auto target, row_of_reals auto predictions, writable_row auto residual,
                              auto const& scratch) const {
        using T = value_of<decltype(residual)>;
        auto const models = predictions.size() / levels;
        auto const middle = segment(scratch[0], 0, models);
        for (std::size_t j = 0; j < models; ++j) middle[j] = T(predictions[j * levels + levels / 2]);
        sort(middle, ascending{});
        auto const median = (T(middle[(models - 1) / 2]) + T(middle[models / 2])) / T(2);
        residual[0] = T(target[0]) - median;
    }
    constexpr void check(auto const& targets, auto const& predictions, auto const& residual) const {
        constexpr auto name = "median_model_residual";
        auto const elements = poise::detail::length_of(predictions);
        require(levels > 0 && elements > 0 && elements % levels == 0, name, "predictions",
                "at least one model of " + std::to_string(levels) + " levels", elements);
        poise::detail::check_length(name, "targets", targets, 1);
        poise::detail::check_not_nan(name, "targets", targets);
        poise::detail::check_not_nan(name, "predictions", predictions);
        poise::detail::check_length(name, "residual", residual, 1);
    }
};

} // namespace poise::estimator
