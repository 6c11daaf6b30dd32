#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/scratch.hpp"
#include "poise/core/sort.hpp"

namespace poise::field {

POISE_FIELD(selection, replaced); ///< 1 for what a selection chose, else 0

} // namespace poise::field

namespace poise::weighting {

/// How many scratch rows `select_largest` wants.
inline constexpr std::size_t selection_scratch = argsort_scratch + 2;

/// chosen_k = 1 for the `count` largest keys among the elements that count (all, or those of a mask), else 0; ties by
/// index. `count` is a real that may differ from row to row. A key that is NaN comes last. `scratch` are
/// `selection_scratch` rows as long as the keys.
template <writable_row Chosen>
constexpr void select_largest(Chosen chosen, row_of_reals auto keys, auto count, auto const& scratch,
                              row_of_reals auto... mask) {
    using T = value_of<Chosen>;
    auto const candidates = scratch[argsort_scratch], order = scratch[argsort_scratch + 1], ranks = candidates;
    auto const never = T(-math::infinity<real_of<T>>);
    map(
        candidates,
        [=](auto key, auto... counts) {
            if constexpr (sizeof...(counts) == 0)
                return key;
            else
                return counted(counts..., key, decltype(key)(never));
        },
        keys, mask...);
    argsort(order, candidates, descending{}, scratch);
    scatter(ranks, indices_of(order), order);
    map(
        chosen,
        [=](auto rank, auto... counts) {
            using V = decltype(rank);
            auto const first = math::select(rank < V(count), V(1), V(0));
            if constexpr (sizeof...(counts) == 0)
                return first;
            else
                return counted(counts..., first);
        },
        ranks, mask...);
}

} // namespace poise::weighting
