#pragma once

#include "poise/core/verbs.hpp"

namespace poise::estimator {

/// Standard deviations, by what the sum of squares is divided by.
namespace deviation {

/// n
struct population {
    static constexpr double freedom_lost = 0;
};
/// n - 1
struct sample {
    static constexpr double freedom_lost = 1;
};

} // namespace deviation

/// How many elements of a row count: all, or those of a mask.
template <class T>
constexpr T counted_elements(std::size_t size) {
    return T(real_of<T>(size));
}
template <class T>
constexpr T counted_elements(std::size_t, row_of_reals auto mask) {
    return T(sum(mask));
}

/// sqrt(sum_k x_k^2 / (n - freedom lost)) of numbers that are centred already and 0 behind the mask; 0 of a single one.
template <class Deviation, row_of_reals Centered>
constexpr auto standard_deviation_of_centered(Centered centered, row_of_reals auto... mask) {
    using T = value_of<Centered>;
    auto const freedom =
        counted_elements<T>(centered.size(), mask...) - T(static_cast<real_of<T>>(Deviation::freedom_lost));
    return math::sqrt(T(sum([](auto x) { return x * x; }, centered)) / math::max(freedom, T(1)));
}

} // namespace poise::estimator
