#pragma once

#include "poise/core/math.hpp"

namespace poise::math {

namespace detail {

struct interpolate_function {
    template <class A, class B, class W>
    constexpr auto operator()(A a, B b, W weight) const {
        using T = common_scalar<common_scalar<A, B>, W>;
        auto const x = T(a), y = T(b), w = T(weight);
        return math::select(w == T(0), x, math::select(w == T(1), y, (T(1) - w) * x + w * y));
    }
};

} // namespace detail

/// interpolate(a, b, w) = (1 - w) a + w b: exactly a at w = 0 and b at w = 1, even where the other is infinite (the
/// logarithm of a probability 0).
inline constexpr detail::interpolate_function interpolate{};

} // namespace poise::math
