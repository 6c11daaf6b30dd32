#pragma once

#include "poise/core/math.hpp"

namespace poise {

namespace detail {

struct counted_function {
    template <class X>
    constexpr X operator()(auto mask, X x, X otherwise) const {
        return math::select(mask == decltype(mask)(0), otherwise, x);
    }
    template <class X>
    constexpr X operator()(auto mask, X x) const {
        return (*this)(mask, x, X(0));
    }
};

} // namespace detail

/// counted(mask, x, otherwise = 0): x, and where the mask is 0 the other, whatever padding holds there: a product
/// would keep its NaN.
inline constexpr detail::counted_function counted{};

} // namespace poise
