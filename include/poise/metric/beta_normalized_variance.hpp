#pragma once

#include "poise/core/beta_function.hpp"

namespace poise::metric {

/// The second moment of the policy gradient that `weighting::beta_normalization` leaves (slug bnpo: Xiao et al., 2025,
/// arXiv 2506.02864), up to that of the score: with success rates p ~ Beta(a, b), rewards R ~ Bernoulli(p),
///     V = E[(R - p)^2 / f(p; alpha, beta)^2] = B(alpha, beta)^2 B(a + 3 - 2 alpha, b + 3 - 2 beta) / B(a, b),
/// infinite unless alpha < (a + 3) / 2 and beta < (b + 3) / 2. Least, B(1 + a/3, 1 + b/3)^3 / B(a, b), at alpha = 1 +
/// a/3, beta = 1 + b/3; ab / ((a + b) (a + b + 1)) for REINFORCE (1, 1); (pi/8)^2 for GRPO (3/2, 3/2), whatever a and b
/// are. NaN unless all four are above 0.
template <class Alpha, class Beta, class A, class B>
constexpr auto beta_normalized_variance(Alpha alpha, Beta beta, A a, B b) {
    using T = common_scalar<common_scalar<Alpha, Beta>, common_scalar<A, B>>;
    auto const p = T(a) + T(3) - T(2) * T(alpha), q = T(b) + T(3) - T(2) * T(beta);
    auto const finite = (p > T(0)) & (q > T(0));
    auto const inside = [&](T x) { return math::select(finite, x, T(1)); };
    auto const log_value =
        T(2) * math::log_beta(T(alpha), T(beta)) + math::log_beta(inside(p), inside(q)) - math::log_beta(T(a), T(b));
    auto const value = math::select(finite, math::exp(log_value), T(math::infinity<T>));
    auto const defined = (T(alpha) > T(0)) & (T(beta) > T(0)) & (T(a) > T(0)) & (T(b) > T(0));
    return math::select(defined, value, T(math::quiet_nan<T>));
}

} // namespace poise::metric
