#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/segment.hpp"
#include "poise/core/sort.hpp"
#include "poise/objective/quantile_levels.hpp"

#include <array>

namespace poise::weighting {

/// RED-Drop (slug group-relative-reinforce: Yao et al., 2025, arXiv 2509.24203): as many negative rollouts as positive
/// ones. Positive are rewards not below the group's mean (all, where all are equal); of the others as many as there are
/// too many do not count any more (sample_mask = 0), those with the smallest selection keys: random numbers, one of
/// each rollout. Throws for NaN; in a pipeline NaN among the rewards makes the masks NaN.
struct balanced_drop {
    using reads = fields<field::reward, field::selection_key>;
    using writes = fields<field::sample_mask>;
    static constexpr std::size_t scratch_rows = argsort_scratch + 2;
    static constexpr std::array argument_names{"reward", "selection_key", "sample_mask"};

    constexpr void operator()(row_of_reals auto reward, row_of_reals auto selection_key, writable_row auto mask,
                              auto const& scratch) const {
        using T = value_of<decltype(mask)>;
        using R = real_of<T>;
        auto const n = reward.size();
        auto const order = segment(scratch[argsort_scratch], 0, n), rank = segment(scratch[argsort_scratch + 1], 0, n);
        auto const equal = T(maximum(reward)) == T(minimum(reward));
        auto const bound = math::select(equal, T(minimum(reward)), T(mean(reward)));
        // last among the keys come the positive, so that ranks below their number are those of negative rollouts
        map(
            mask,
            [=](auto r, auto key) {
                using V = decltype(r);
                return math::select(r < V(bound), V(key), V(math::infinity<R>));
            },
            reward, selection_key);
        argsort(order, mask, ascending{}, scratch);
        scatter(rank, indices_of(order), order);
        auto const negatives = T(sum(
            [=](auto r) {
                using V = decltype(r);
                return math::select(r < V(bound), V(1), V(0));
            },
            reward));
        auto const dropped = T(2) * negatives - T(R(n));
        map(
            mask,
            [=](auto r) {
                using V = decltype(r);
                auto const keep = math::select(r < V(dropped), V(0), V(1));
                return math::select(V(bound) == V(bound), keep, V(bound));
            },
            rank);
    }
    constexpr void check(auto const& reward, auto const&... others) const {
        poise::detail::check_not_empty("balanced_drop", "reward", reward);
        poise::detail::check_not_nan("balanced_drop", "reward", reward);
        require_equal_lengths("balanced_drop", argument_names, reward, others...);
    }
};

} // namespace poise::weighting
