#pragma once

#include "poise/core/math.hpp"
#include "poise/core/row.hpp"
#include "poise/random/lanes.hpp"

#include <vector>

/// Finitely many states or actions, 0, 1, …, of one environment or of one per SIMD lane.
namespace poise::environment {

/// The type of a state or an action out of finitely many: std::size_t, or for packs a pack of whole numbers. It is what
/// policies over finitely many actions draw.
template <random::drawable T>
using discrete = std::conditional_t<std::floating_point<T>, std::size_t, T>;

/// A discrete value as the scalar, and a scalar that is a whole number as a discrete value.
template <random::drawable T>
constexpr T as_scalar(discrete<T> value) {
    if constexpr (std::floating_point<T>)
        return static_cast<T>(value);
    else
        return value;
}
template <random::drawable T>
constexpr discrete<T> as_discrete(T value) {
    if constexpr (std::floating_point<T>)
        return static_cast<std::size_t>(value);
    else
        return value;
}

/// table[i]; each lane looks its own number up, in its own lane of the table.
template <random::drawable T>
constexpr T look_up(std::vector<T> const& table, discrete<T> i) {
    if constexpr (std::floating_point<T>)
        return table[i];
    else
        return random::detail::assemble<T>(
            [&](std::size_t lane) { return table[static_cast<std::size_t>(i[lane])][lane]; });
}

/// out_k = 1{k = state}: the observation of a state out of finitely many.
template <random::drawable T>
constexpr void one_hot(discrete<T> state, writable_row auto out) {
    auto const here = as_scalar<T>(state);
    for (std::size_t k = 0; k < out.size(); ++k)
        out[k] = math::select(here == T(static_cast<real_of<T>>(k)), T(1), T(0));
}

} // namespace poise::environment
