#pragma once

#include "poise/core/lengths.hpp"
#include "poise/core/scan.hpp"
#include "poise/estimator/center.hpp"
#include "poise/objective/quantile_levels.hpp"
#include "poise/weighting/selection.hpp"

#include <algorithm>

namespace poise::field {

POISE_FIELD(selected_from_top, replaced); ///< how many of the chosen are among the largest
POISE_FIELD(selected_variance, replaced); ///< of the chosen, the population's

} // namespace poise::field

namespace poise::weighting {

/// The `count` values of largest variance (slug d3s: "Learning More with Less: Dynamic Dual-Level Down-Sampling", 2025,
/// arXiv 2509.22115): selection = 1 for them. They are the k largest and the count - k smallest for some k, found from
/// prefix sums of the sorted values; of several k as good the smallest, of equal values the first by index. Values
/// whose variances differ by less than 1e-12, or in `float` its rounding, are as good. `over_batch` of it looks at all
/// rollouts of a batch, else it chooses in each group. With rewards for values it is the down-sampling of PODS.
/// As a kernel throws for count < 1, more than there are values, and NaN; in a pipeline NaN makes NaN.
struct max_variance_subset {
    std::size_t count = 1;

    using reads = fields<field::advantage>;
    using writes = fields<field::selection>;
    using writes_per_row = fields<field::selected_from_top, field::selected_variance>;
    static constexpr std::array argument_names{"values", "selection", "selected_from_top", "selected_variance"};
    static constexpr std::size_t scratch_rows = argsort_scratch + 4;

    constexpr void operator()(row_of_reals auto values, writable_row auto selection, writable_row auto from_top,
                              writable_row auto variance, auto const& scratch) const {
        using T = value_of<decltype(selection)>;
        using R = real_of<T>;
        auto const m = values.size();
        auto const work = scratch_of_length<scratch_rows>(scratch, m);
        auto const order = work[argsort_scratch], sorted = work[argsort_scratch + 1], sums = work[argsort_scratch + 2],
                   squares = work[argsort_scratch + 3];
        estimator::center(squares, values);
        argsort(order, squares, ascending{}, work);
        gather(sorted, squares, order);
        cumulative_sum(sums, sorted);
        map(selection, [](auto x) { return x * x; }, sorted);
        cumulative_sum(squares, selection);

        // the variance of the `top` largest and the count - top smallest
        auto const variance_with = [&](std::size_t top) {
            auto const mean_of = [&](auto prefix) {
                auto const before = [&](std::size_t k) { return k == 0 ? T(0) : T(prefix[k - 1]); };
                return (before(count - top) + (before(m) - before(m - top))) / T(static_cast<R>(count));
            };
            auto const mean = mean_of(sums);
            return mean_of(squares) - mean * mean;
        };
        constexpr auto margin = std::max(R(1e-12), R(16) * math::epsilon<R>);
        auto best = variance_with(0), top = T(0);
        for (std::size_t k = 1; k <= count; ++k) {
            auto const now = variance_with(k);
            auto const better = now > best + T(margin);
            top = math::select(better, T(static_cast<R>(k)), top);
            best = math::select(better, now, best);
        }
        from_top[0] = top;
        variance[0] = math::max(best, T(0) * best); // not below 0 by rounding; NaN stays
        auto const low = T(static_cast<R>(count)) - top, high = T(static_cast<R>(m)) - top;
        auto const nothing = best - best; // NaN where a value was
        auto const ranks = sorted;
        scatter(ranks, indices_of(order), order);
        map(
            selection,
            [=](auto rank) {
                using V = decltype(rank);
                return math::select((rank < V(low)) | (rank >= V(high)), V(1), V(0)) + V(nothing);
            },
            ranks);
    }
    constexpr void check_hyperparameters() const {
        require(count > 0, "max_variance_subset", "count", "at least 1", count);
    }
    constexpr void check_length(std::size_t values) const {
        if (count > values)
            require(false, "max_variance_subset", "count", "at most the " + std::to_string(values) + " values", count);
    }
    constexpr void check(auto const& values, auto const& selection, auto const&... per_row) const {
        check_hyperparameters();
        for (std::size_t i = 0; i < values.rows(); ++i) check_length(values.length(i));
        poise::detail::check_not_nan("max_variance_subset", "values", values);
        require_length_of("max_variance_subset", "selection", selection, values);
        (require_length("max_variance_subset", "results per row", per_row, 1), ...);
    }
};

} // namespace poise::weighting
