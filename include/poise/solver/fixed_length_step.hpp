#pragma once

#include "poise/core/verbs.hpp"

#include <cstddef>

namespace poise::norm {

/// |x|_1
struct absolute {
    static constexpr auto of(row_of_reals auto x) {
        return sum([](auto xi) { return math::abs(xi); }, x);
    }
};

/// |x|_2
struct euclidean {
    static constexpr auto of(row_of_reals auto x) {
        return math::sqrt(sum([](auto xi) { return xi * xi; }, x));
    }
};

} // namespace poise::norm

namespace poise::solver {

/// W <- W - length g / |g|: every step is as long as every other, whatever scale a loss has, so that only directions of
/// losses are compared. No step where the gradient is 0. An update rule as in gradient_descent.hpp.
template <class Norm = norm::euclidean>
struct fixed_length_step {
    double length = 0.01;

    static constexpr std::size_t state_rows = 0;

    template <writable_row Parameters, row_of_reals Gradient>
    constexpr void operator()(Parameters parameters, Gradient gradient, auto const&, std::size_t) const {
        using T = value_of<Parameters>;
        auto const norm = T(Norm::of(gradient));
        auto const is_zero = norm == T(0);
        auto const rate = math::select(is_zero, T(0), T(real_of<T>(length)) / math::select(is_zero, T(1), norm));
        map(parameters, [=](auto w, auto g) { return w - decltype(w)(rate) * g; }, parameters, gradient);
    }
};

} // namespace poise::solver
