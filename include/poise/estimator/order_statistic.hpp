#pragma once

#include "poise/core/scratch.hpp"
#include "poise/core/sort.hpp"
#include "poise/objective/quantile_levels.hpp"

/// Order statistics of a row: the rank quantile of conformal prediction and the interpolated empirical quantile.
namespace poise::estimator {

/// How many scratch rows, as long as the sample, the order statistics want.
inline constexpr std::size_t order_statistic_scratch = argsort_scratch + 2;

namespace detail {

/// The sample in ascending order, in a scratch row.
constexpr auto in_order(row_of_reals auto sample, auto const& scratch) {
    auto const work = scratch_of_length<order_statistic_scratch>(scratch, sample.size());
    auto const order = work[argsort_scratch], sorted = work[argsort_scratch + 1];
    argsort(order, sample, ascending{}, work);
    gather(sorted, sample, order);
    return sorted;
}

/// ceil(level (n + 1)), forgiving the rounding of the product: 1e-12, or two units in the last place where that is
/// more.
constexpr auto conformal_rank(auto level, std::size_t n) {
    using R = real_of<decltype(level)>;
    auto const position = level * R(n + 1);
    auto const slack = math::max(position * R(2 * math::epsilon<R>), R(1e-12));
    return -math::floor(slack - position);
}

} // namespace detail

/// RQ(S, level): the k-th smallest of a sample of n, k = ceil(level (n + 1)); +inf for k > n, -inf for k < 1. The level
/// may differ from row to row. `scratch` are `order_statistic_scratch` rows at least as long as the sample (and 1).
template <row_of_reals Sample>
constexpr auto rank_quantile(Sample sample, auto level, auto const& scratch) {
    using T = value_of<Sample>;
    using R = real_of<T>;
    auto const n = sample.size();
    auto const rank = T(detail::conformal_rank(level, n));
    auto const beyond = T(math::select(rank > T(R(n)), T(math::infinity<R>), T(-math::infinity<R>)));
    if (n == 0) return beyond;
    auto const sorted = detail::in_order(sample, scratch);
    auto const place = scratch[0], found = scratch[1];
    place[0] = math::clamp(rank, T(1), T(R(n))) - T(1);
    gather(segment<1>(found, 0), sorted, segment<1>(place, 0));
    auto const inside = (rank >= T(1)) & (rank <= T(R(n)));
    return T(math::select(inside, T(found[0]), beyond));
}

/// Kernel: the empirical quantiles of a sample at some levels, linear between order statistics: at level tau the
/// position h = (n - 1) tau (Hyndman and Fan 1996, type 7). Throws for an empty sample, levels outside [0, 1], NaN.
struct empirical_quantiles {
    static constexpr std::array argument_names{"sample", "levels", "quantiles"};
    static constexpr std::size_t scratch_rows = order_statistic_scratch;

    template <row_of_reals Sample, row_of_reals Levels, writable_row Quantiles>
    constexpr void operator()(Sample sample, Levels levels, Quantiles quantiles, auto const& scratch) const {
        using T = value_of<Quantiles>;
        using R = real_of<T>;
        auto const n = sample.size(), m = levels.size();
        auto const sorted = detail::in_order(sample, scratch);
        auto const place = segment<1>(scratch[0], 0), low = segment<1>(scratch[1], 0), high = segment<1>(scratch[2], 0);
        for (std::size_t k = 0; k < m; ++k) {
            auto const position = T(levels[k]) * R(n - 1), below = math::floor(position);
            place[0] = below;
            gather(low, sorted, place);
            place[0] = math::min(below + R(1), R(n - 1));
            gather(high, sorted, place);
            quantiles[k] = T(low[0]) + (position - below) * (T(high[0]) - T(low[0]));
        }
    }
    constexpr void check(auto const& samples, auto const& levels, auto const& quantiles) const {
        constexpr auto name = "empirical_quantiles";
        using T = typename std::remove_cvref_t<decltype(levels)>::value_type;
        require(poise::detail::length_of(samples) > 0, name, "sample", "at least one number", 0);
        poise::detail::check_not_nan(name, "sample", samples);
        poise::detail::for_each_element(levels, [&](auto level) {
            require_domain(level >= T(0) && level <= T(1), name, "levels", "numbers in [0, 1]", level);
        });
        poise::detail::check_length(name, "quantiles", quantiles, poise::detail::length_of(levels));
    }
};

} // namespace poise::estimator
