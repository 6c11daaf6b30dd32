#pragma once

#include "poise/core/mask.hpp"
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

/// The same for the elements that a mask lets count; the others become 0. By differences from the greatest.
template <writable_row Out>
constexpr void center(Out out, row_of_reals auto x, row_of_reals auto mask) {
    using T = value_of<Out>;
    auto const nothing = T(-math::infinity<real_of<T>>);
    auto const origin = T(maximum([=](auto v, auto m) { return counted(m, v, decltype(v)(nothing)); }, x, mask));
    map(out, [=](auto v, auto m) { return counted(m, v - origin); }, x, mask);
    auto const shift = T(sum(out)) / math::max(T(sum(mask)), T(1));
    map(out, [=](auto v, auto m) { return counted(m, v - shift); }, out, mask);
}

} // namespace poise::estimator
