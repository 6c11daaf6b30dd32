#pragma once

#include "poise/core/lengths.hpp"
#include "poise/core/segment.hpp"
#include "poise/solver/clipped_by_norm.hpp"
#include "poise/solver/constraint.hpp"
#include "poise/solver/gradient_descent.hpp"
#include "poise/weighting/lagrange_weights.hpp"

#include <array>

/// Descent of a Lagrangian in its squashed multipliers (Moskovitz et al., 2023, arXiv 2310.04373; slug
/// constrained-rlhf).
namespace poise::solver {

/// Kernel: loss = sum_i squash(lambda_i) c_i and its gradient squash'(lambda_i) c_i, where c_i is the slack of value
/// v_i against its threshold, a constant. Descent raises the multiplier of a violated constraint.
template <class Squash = weighting::squash::sigmoid, class Sense = constraint::at_least>
struct multiplier_loss {
    static constexpr std::array argument_names{"multipliers", "values", "thresholds", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto multipliers, row_of_reals auto values, row_of_reals auto thresholds,
                              writable_row auto loss, writable_row auto gradient) const {
        loss[0] =
            sum([](auto m, auto v, auto t) { return Squash{}(m)*Sense::slack(v, t); }, multipliers, values, thresholds);
        slope(multipliers, values, thresholds, gradient);
    }
    /// The gradient only.
    static constexpr void slope(row_of_reals auto multipliers, row_of_reals auto values, row_of_reals auto thresholds,
                                writable_row auto gradient) {
        map(
            gradient, [](auto m, auto v, auto t) { return Squash{}.derivative(m) * Sense::slack(v, t); }, multipliers,
            values, thresholds);
    }
    constexpr void check(auto const& multipliers, auto const& values, auto const& thresholds, auto const& loss,
                         auto const& gradient) const {
        constexpr auto name = "multiplier_loss";
        require_length_of(name, "values", values, multipliers);
        require_length_of(name, "thresholds", thresholds, multipliers);
        require_length(name, "loss", loss, 1);
        require_length_of(name, "gradient", gradient, multipliers);
    }
};

/// Gradient descent with momentum on `multiplier_loss`, its gradient clipped by norm:
///     g <- g min(1, 0.5 / (|g| + 1e-6)),  V <- 0.1 V + g,  lambda <- lambda - 0.01 V,
/// and unsquashed multipliers of inequalities are then projected on lambda >= 0. A step moves them by at most
/// learning_rate 0.5 / (1 - 0.1). It is an update rule, and as a kernel it runs the steps of a sequence of values, S
/// rows of N values in one row, and writes the multipliers after each. Throws for N = 0, NaN thresholds, rows that do
/// not fit.
template <class Squash = weighting::squash::sigmoid, class Sense = constraint::at_least,
          class Rule = clipped_by_norm<momentum<>>>
struct multiplier_descent {
    Rule rule{.rule = {.learning_rate = 0.01, .decay = 0.1}, .maximum = 0.5};

    static constexpr std::array argument_names{"multipliers", "values", "thresholds", "path"};
    static constexpr std::size_t state_rows = Rule::state_rows;
    static constexpr std::size_t scratch_rows = state_rows + 1;

    /// One step, as an update rule for `optimizer`.
    constexpr void operator()(writable_row auto multipliers, row_of_reals auto gradient, auto const& state,
                              std::size_t number) const {
        rule(multipliers, gradient, state, number);
        if constexpr (Sense::inequality && !Squash::bounded)
            map(multipliers, [](auto m) { return math::max(m, real_of<decltype(m)>(0)); }, multipliers);
    }

    constexpr void operator()(row_of_reals auto multipliers, row_of_reals auto values, row_of_reals auto thresholds,
                              writable_row auto path, auto const& scratch) const {
        using T = value_of<decltype(path)>;
        auto const n = multipliers.size();
        auto const state = [&]<std::size_t... I>(std::index_sequence<I...>) {
            return std::array{segment(scratch[I + 1], 0, n)...};
        }(std::make_index_sequence<state_rows>{});
        for (auto const& part : state) fill(part, T(0));
        auto const gradient = segment(scratch[0], 0, n);
        for (std::size_t first = 0, number = 1; first < path.size(); first += n, ++number) {
            auto const now = segment(path, first, n);
            if (first == 0)
                copy(now, multipliers);
            else
                copy(now, segment(path, first - n, n));
            multiplier_loss<Squash, Sense>::slope(now, segment(values, first, n), thresholds, gradient);
            (*this)(now, gradient, state, number);
        }
    }
    constexpr void check(auto const& multipliers, auto const& values, auto const& thresholds, auto const& path) const {
        constexpr auto name = "multiplier_descent";
        for (std::size_t i = 0; i < multipliers.rows(); ++i) {
            auto const n = multipliers.length(i);
            require(n > 0, name, "multipliers", "at least one", n);
            require(length_of_row(values, i) % n == 0, name, "values", "a row of values for each step",
                    length_of_row(values, i));
            for (std::size_t k = 0; k < length_of_row(thresholds, i); ++k)
                require_domain(thresholds(i, k) == thresholds(i, k), name, "thresholds", "numbers, not NaN",
                               thresholds(i, k));
        }
        require_length_of(name, "thresholds", thresholds, multipliers);
        require_length_of(name, "path", path, values);
    }
};

} // namespace poise::solver
