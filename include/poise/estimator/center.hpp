#pragma once

#include "poise/core/verbs.hpp"

namespace poise::estimator {

/// out_k = x_k - mean(x), by differences from the first element: exactly 0 in a row of equal numbers, whose rounded
/// mean need not be theirs. `out` may be `x`.
template <writable_row Out>
constexpr void center(Out out, row_of_reals auto x) {
    using T = value_of<Out>;
    if (x.size() == 0) return;
    auto const origin = T(x[0]);
    map(out, [=](auto v) { return v - origin; }, x);
    auto const shift = mean(out);
    map(out, [=](auto v) { return v - shift; }, out);
}

} // namespace poise::estimator
