#pragma once

#include "poise/core/segment.hpp"
#include "poise/objective/crossing_penalty.hpp"
#include "poise/objective/pinball.hpp"
#include "poise/solver/monotone.hpp"

namespace poise::objective {

/// What one sample contributes to the training objective of an aggregate q (slug quantile-aggregation, Fakoor, Kim,
/// Mueller, Smola and Tibshirani 2023, section 4):
///     value = (1/m) sum_k psi_{tau_k}(y - T(q)_k) + margin_weight * penalty(q),
/// and its gradient in q, T^T(pinball slopes / m) + margin_weight * penalty gradient. The penalty sees the raw
/// aggregate.
template <solver::monotone_operator Monotone = solver::monotone::none, class Margin = margin::constant>
struct quantile_training {
    double margin_weight = 0;
    Monotone monotone{};

    static constexpr std::array argument_names{"targets", "quantiles", "levels", "margins", "value", "gradient"};
    // The operator's, and four rows of this kernel's own behind them.
    static constexpr std::size_t scratch_rows = solver::monotone_scratch + 4;

    template <row_of_reals Target, row_of_reals Quantiles, row_of_reals Levels, row_of_reals Margins,
              writable_row Value, writable_row Gradient>
    constexpr void operator()(Target target, Quantiles quantiles, Levels levels, Margins margins, Value value,
                              Gradient gradient, auto const& scratch) const {
        using T = value_of<Gradient>;
        using R = real_of<T>;
        auto const m = quantiles.size();
        auto const y = T(target[0]);
        auto const monotone_row = working_row(scratch[solver::monotone_scratch], m);
        auto const slopes = working_row(scratch[solver::monotone_scratch + 1], m);
        auto const crossing = working_row(scratch[solver::monotone_scratch + 2], m);
        auto const penalty = working_row(scratch[solver::monotone_scratch + 3], 1);
        auto const working = [&]<std::size_t... S>(std::index_sequence<S...>) {
            return std::array{working_row(scratch[S], m)...};
        }(std::make_index_sequence<solver::monotone_scratch>{});

        monotone.apply(quantiles, monotone_row, working);
        auto total = T(0);
        for (std::size_t k = 0; k < m; ++k) {
            auto const error = y - T(monotone_row[k]);
            total += pinball_loss(levels[k], error);
            slopes[k] = pinball_slope(levels[k], error) / R(m);
        }
        monotone.pullback(quantiles, monotone_row, slopes, gradient, working);
        crossing_penalty<Margin>{}(quantiles, margins, penalty, crossing);
        for (std::size_t k = 0; k < m; ++k) gradient[k] = T(gradient[k]) + R(margin_weight) * T(crossing[k]);
        value[0] = total / R(m) + R(margin_weight) * T(penalty[0]);
    }
    constexpr void check(auto const& targets, auto const& quantiles, auto const& levels, auto const& margins,
                         auto const& value, auto const& gradient) const {
        constexpr auto name = "quantile_training";
        if constexpr (requires { monotone.check(); }) monotone.check();
        auto const m = poise::detail::length_of(levels);
        poise::detail::check_quantiles(name, targets, quantiles, levels);
        poise::detail::check_not_nan(name, "margins", margins);
        poise::detail::check_length(name, "margins", margins, Margin::elements(m));
        poise::detail::check_length(name, "value", value, 1);
        poise::detail::check_length(name, "gradient", gradient, m);
    }

private:
    // Scratch rows are as long as the longest argument, which may be the margins.
    template <class Row>
    static constexpr auto working_row(Row row, std::size_t m) {
        return segment(row, 0, m);
    }
};

} // namespace poise::objective
