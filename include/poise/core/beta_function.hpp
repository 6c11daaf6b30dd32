#pragma once

#include "poise/core/math.hpp"

namespace poise::math {

namespace detail {

struct log_beta_function {
    template <class A, class B>
    constexpr auto operator()(A a, B b) const {
        using T = common_scalar<A, B>;
        return log_gamma_function{}(T(a)) + log_gamma_function{}(T(b))-log_gamma_function{}(T(a) + T(b));
    }
};

} // namespace detail

/// log_beta(a, b) = log B(a, b) = log Gamma(a) + log Gamma(b) - log Gamma(a + b) for a, b > 0.
inline constexpr detail::log_beta_function log_beta{};

} // namespace poise::math
