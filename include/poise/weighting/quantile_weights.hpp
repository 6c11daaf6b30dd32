#pragma once

#include "poise/core/matrix_column.hpp"
#include "poise/objective/quantile_levels.hpp"

#include <algorithm>
#include <array>
#include <ranges>

/// Weights that combine the quantiles of p models at m levels (Fakoor, Kim, Mueller, Smola and Tibshirani, "Flexible
/// model aggregation for quantile regression", JMLR 2023, section 3; slug quantile-aggregation). A row of predictions
/// is G[model][level]; weights and logits are a matrix [input][column], normalised over the inputs in each column.
namespace poise::weighting {

/// Who shares a weight. Output level k is a sum over its `inputs`; input s reads prediction `input(s, k)` with the
/// weight in row s and column `column(k)`.
namespace granularity {

/// One weight per model, the same at every level: L[p].
struct coarse {
    constexpr std::size_t columns(std::size_t) const { return 1; }
    constexpr std::size_t column(std::size_t) const { return 0; }
    constexpr std::size_t inputs(std::size_t models, std::size_t) const { return models; }
    constexpr std::size_t input(std::size_t s, std::size_t k, std::size_t levels) const { return s * levels + k; }
};

/// One weight per model and level: L[p, m].
struct medium : coarse {
    constexpr std::size_t columns(std::size_t levels) const { return levels; }
    constexpr std::size_t column(std::size_t k) const { return k; }
};

/// One weight per model and group of levels, L[p, G]; `labels` gives the group 0 … G-1 of each level. One group is
/// `coarse`, all distinct `medium`.
template <class Labels>
struct grouped : coarse {
    Labels labels;

    constexpr explicit grouped(Labels groups) : labels(groups) {
        for (auto label : labels)
            require_domain(static_cast<std::ptrdiff_t>(label) >= 0, "granularity::grouped", "labels",
                           "groups from 0 on", label);
    }
    constexpr std::size_t columns(std::size_t) const {
        auto groups = std::size_t{0};
        for (auto label : labels) groups = std::max(groups, static_cast<std::size_t>(label) + 1);
        return groups;
    }
    constexpr std::size_t column(std::size_t k) const { return static_cast<std::size_t>(labels[k]); }
};

/// One weight per model, input level and output level, L[p m, m]: any level of any model may serve any output level.
/// Input s = model * m + input level.
struct fine : medium {
    constexpr std::size_t inputs(std::size_t models, std::size_t levels) const { return models * levels; }
    constexpr std::size_t input(std::size_t s, std::size_t, std::size_t) const { return s; }
};

} // namespace granularity

/// A rule like those in `granularity`.
template <class G>
concept weight_granularity = requires(G const& g, std::size_t n) {
    { g.columns(n) } -> std::convertible_to<std::size_t>;
    { g.column(n) } -> std::convertible_to<std::size_t>;
    { g.inputs(n, n) } -> std::convertible_to<std::size_t>;
    { g.input(n, n, n) } -> std::convertible_to<std::size_t>;
};

/// How many weights there are.
template <weight_granularity G>
constexpr std::size_t weight_count(G const& granularity, std::size_t models, std::size_t levels) {
    return granularity.inputs(models, levels) * granularity.columns(levels);
}

namespace detail {

constexpr void check_matrix(std::string_view function, std::string_view argument, std::size_t columns,
                            auto const& batch) {
    require(columns > 0, function, "columns", "at least one column", columns);
    for (std::size_t i = 0; i < batch.rows(); ++i)
        require(batch.length(i) % columns == 0, function, argument,
                "a matrix of " + std::to_string(columns) + " columns", batch.length(i));
    poise::detail::check_not_nan(function, argument, batch);
}

template <weight_granularity G>
constexpr void check_aggregate(std::string_view function, G const& granularity, auto const& predictions,
                               auto const& weights, auto const& quantiles) {
    using poise::detail::length_of;
    auto const levels = length_of(quantiles), elements = length_of(predictions);
    require(levels == 0 ? elements == 0 : elements % levels == 0, function, "predictions",
            "one row of " + std::to_string(levels) + " quantiles per model", elements);
    poise::detail::check_length(function, "predictions", predictions, elements);
    poise::detail::check_not_nan(function, "predictions", predictions);
    if constexpr (requires { granularity.labels; })
        require(std::size(granularity.labels) == levels, function, "labels", levels, std::size(granularity.labels));
    auto const models = levels == 0 ? 0 : elements / levels;
    poise::detail::check_length(function, "weights", weights, weight_count(granularity, models, levels));
}

} // namespace detail

/// Kernel: W = softmax of the logits over the inputs, in each of `columns` columns; all-zero logits give the plain
/// average, logits of ±800 exact zeros and ones.
struct input_softmax {
    std::size_t columns = 1;

    static constexpr std::array argument_names{"logits", "weights"};

    constexpr void operator()(row_of_reals auto logits, writable_row auto weights) const {
        for (std::size_t c = 0; c < columns; ++c)
            softmax(matrix_column(weights, c, columns), matrix_column(logits, c, columns));
    }
    constexpr void check(auto const& logits, auto const& weights) const {
        detail::check_matrix("input_softmax", "logits", columns, logits);
        poise::detail::check_length("input_softmax", "weights", weights, poise::detail::length_of(logits));
    }
};

/// Kernel: a gradient in the weights becomes one in the logits, dL_s = w_s (g_s - sum_r w_r g_r) in each column.
struct input_softmax_pullback {
    std::size_t columns = 1;

    static constexpr std::array argument_names{"weights", "weight_gradient", "logit_gradient"};

    constexpr void operator()(row_of_reals auto weights, row_of_reals auto weight_gradient,
                              writable_row auto logit_gradient) const {
        for (std::size_t c = 0; c < columns; ++c) {
            auto const w = matrix_column(weights, c, columns);
            auto const g = matrix_column(weight_gradient, c, columns);
            auto const centre = weighted_sum(w, g);
            map(matrix_column(logit_gradient, c, columns), [=](auto v, auto x) { return v * (x - centre); }, w, g);
        }
    }
    constexpr void check(auto const& weights, auto const& weight_gradient, auto const& logit_gradient) const {
        constexpr auto name = "input_softmax_pullback";
        detail::check_matrix(name, "weights", columns, weights);
        poise::detail::check_length(name, "weight_gradient", weight_gradient, poise::detail::length_of(weights));
        poise::detail::check_length(name, "logit_gradient", logit_gradient, poise::detail::length_of(weights));
    }
};

/// Kernel: q_k = sum_s W[s, column(k)] G[input(s, k)], of one sample. The weights are a shared row (global) or a row
/// per sample (local).
template <weight_granularity G>
struct quantile_aggregate {
    G granularity{};

    static constexpr std::array argument_names{"predictions", "weights", "quantiles"};

    template <row_of_reals Predictions, row_of_reals Weights, writable_row Quantiles>
    constexpr void operator()(Predictions predictions, Weights weights, Quantiles quantiles) const {
        using T = value_of<Quantiles>;
        auto const levels = quantiles.size(), columns = granularity.columns(levels);
        for (std::size_t k = 0; k < levels; ++k) {
            auto const inputs = weights.size() / columns, column = granularity.column(k);
            auto total = T(0);
            for (std::size_t s = 0; s < inputs; ++s)
                total += T(weights[s * columns + column]) * T(predictions[granularity.input(s, k, levels)]);
            quantiles[k] = total;
        }
    }
    constexpr void check(auto const& predictions, auto const& weights, auto const& quantiles) const {
        detail::check_aggregate("quantile_aggregate", granularity, predictions, weights, quantiles);
        poise::detail::check_not_nan("quantile_aggregate", "weights", weights);
    }
};

/// Kernel: a cotangent of one sample's aggregate becomes a gradient in its weights, dW[s, c] = sum over the levels k of
/// column c of cotangent_k G[input(s, k)].
template <weight_granularity G>
struct quantile_aggregate_pullback {
    G granularity{};

    static constexpr std::array argument_names{"predictions", "cotangent", "weight_gradient"};

    template <row_of_reals Predictions, row_of_reals Cotangent, writable_row Gradient>
    constexpr void operator()(Predictions predictions, Cotangent cotangent, Gradient weight_gradient) const {
        using T = value_of<Gradient>;
        auto const levels = cotangent.size(), columns = granularity.columns(levels);
        fill(weight_gradient, T(0));
        for (std::size_t k = 0; k < levels; ++k) {
            auto const inputs = weight_gradient.size() / columns, column = granularity.column(k);
            for (std::size_t s = 0; s < inputs; ++s) {
                auto const at = s * columns + column;
                weight_gradient[at] =
                    T(weight_gradient[at]) + T(cotangent[k]) * T(predictions[granularity.input(s, k, levels)]);
            }
        }
    }
    constexpr void check(auto const& predictions, auto const& cotangent, auto const& weight_gradient) const {
        detail::check_aggregate("quantile_aggregate_pullback", granularity, predictions, weight_gradient, cotangent);
        poise::detail::check_not_nan("quantile_aggregate_pullback", "cotangent", cotangent);
    }
};

} // namespace poise::weighting
