#pragma once

#include "poise/core/error.hpp"
#include "poise/execution/row_kernel.hpp"

#include <concepts>
#include <string_view>

/// What the kernels of quantile regression ask of their batches, once per call on the host (slug quantile-aggregation).
/// A row of predictions holds one quantile per level; levels are strictly ascending in (0, 1).
namespace poise::detail {

/// Calls visit(element) for every element of a batch whose comparisons are plain booleans.
template <class Batch, class Visit>
constexpr void for_each_element(Batch const& batch, Visit const& visit) {
    if constexpr (std::same_as<mask_of<typename Batch::value_type>, bool>)
        for (std::size_t i = 0; i < batch.rows(); ++i)
            for (std::size_t k = 0; k < batch.length(i); ++k) visit(batch(i, k));
}

template <class Batch>
constexpr void check_not_nan(std::string_view function, std::string_view argument, Batch const& batch) {
    for_each_element(batch, [&](auto x) { require_domain(x == x, function, argument, "numbers, not NaN", x); });
}

template <class Batch>
constexpr void check_length(std::string_view function, std::string_view argument, Batch const& batch,
                            std::size_t expected) {
    for (std::size_t i = 0; i < batch.rows(); ++i)
        if (batch.length(i) != expected) // text is not free
            require(false, function, argument, std::to_string(expected) + " elements", batch.length(i));
}

/// The common length of the rows of a batch; 0 without rows.
template <class Batch>
constexpr std::size_t length_of(Batch const& batch) {
    return batch.rows() == 0 ? 0 : batch.length(0);
}

template <class Batch>
constexpr void check_not_empty(std::string_view function, std::string_view argument, Batch const& batch) {
    for (std::size_t i = 0; i < batch.rows(); ++i)
        require(batch.length(i) > 0, function, argument, "at least 1 element", batch.length(i));
}

template <class Levels>
constexpr void check_levels(std::string_view function, Levels const& levels) {
    using T = typename Levels::value_type;
    check_not_empty(function, "levels", levels);
    if constexpr (std::same_as<mask_of<T>, bool>)
        for (std::size_t i = 0; i < levels.rows(); ++i)
            for (std::size_t k = 0; k < levels.length(i); ++k) {
                auto const level = levels(i, k);
                require_domain(level > T(0) && level < T(1), function, "levels", "numbers strictly between 0 and 1",
                               level);
                if (k > 0)
                    require_domain(level > levels(i, k - 1), function, "levels", "strictly ascending numbers", level);
            }
}

template <class Levels>
constexpr void check_symmetric(std::string_view function, Levels const& levels) {
    using T = typename Levels::value_type;
    using R = real_of<T>;
    if constexpr (std::same_as<mask_of<T>, bool>)
        for (std::size_t i = 0; i < levels.rows(); ++i)
            for (std::size_t k = 0; 2 * k < levels.length(i); ++k) {
                auto const total = levels(i, k) + levels(i, levels.length(i) - 1 - k);
                auto const tolerance = T(R(sizeof(R) == 4 ? 1e-6 : 1e-9));
                require_domain(math::abs(total - T(1)) <= tolerance, function, "levels",
                               "levels symmetric about 1/2 (tau_k + tau_{m-1-k} = 1)", total);
            }
}

/// Targets (one per row), quantiles (one per level) and levels that fit together.
template <class Targets, class Quantiles, class Levels>
constexpr void check_quantiles(std::string_view function, Targets const& targets, Quantiles const& quantiles,
                               Levels const& levels) {
    check_length(function, "targets", targets, 1);
    check_length(function, "quantiles", quantiles, length_of(levels));
    check_levels(function, levels);
    check_not_nan(function, "targets", targets);
    check_not_nan(function, "quantiles", quantiles);
}

} // namespace poise::detail
