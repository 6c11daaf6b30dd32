#pragma once

#include "poise/core/error.hpp"
#include "poise/core/math.hpp"

#include <cstddef>

/// What n rollouts of a prompt are worth when its success rate is p (slug knapsack-rl: Li et al., "Knapsack RL:
/// Unlocking Exploration of LLMs via Optimizing Budget Allocation", 2025, arXiv 2509.25849). A group of rollouts that
/// all succeed, or all fail, gives group-relative advantages of 0 and so no gradient. With q = 1 - p, for any scalar:
///     signal_probability       1 - p^n - q^n,   that a group has both outcomes
///     information_gain         p q^2,           what a step on a success then raises p by, to first order
///     task_value               signal_probability x information_gain
/// p in [0, 1] and n >= 0, a whole number held as a real; at p = 0 and p = 1 all are 0. NaN gives NaN.
namespace poise::metric {

namespace detail {

/// f(p, 1 - p) for 0 < p < 1, NaN for NaN, `otherwise` at the ends.
constexpr auto of_interior(auto p, auto otherwise, auto const& f) {
    using T = decltype(p);
    auto const outside = (p <= T(0)) | (p >= T(1));
    auto const inside = math::select(outside, T(0.5F), p);
    return math::select(outside, T(otherwise), f(inside, T(1) - inside));
}

/// log p and log(1 - p) of the less probable outcome and of the other, without cancellation.
template <class T>
struct outcome_logarithms {
    T rarer, other;
    constexpr explicit outcome_logarithms(T p) : rarer(math::log(math::min(p, T(1) - p))), other() {
        other = math::select(p <= T(0.5F), math::log1p(-p), math::log(p));
    }
};

} // namespace detail

/// 1 - p^n - (1 - p)^n as -expm1(n log(1 - a)) - e^{n log a} with a = min(p, 1 - p): also where it is about n p.
template <scalar T>
constexpr T signal_probability(T success_rate, T rollouts) {
    auto const both = detail::of_interior(success_rate, 0.0F, [=](auto p, auto) {
        auto const log = detail::outcome_logarithms<T>(p);
        return math::max(-math::expm1(rollouts * log.other) - math::exp(rollouts * log.rarer), T(0));
    });
    return math::select(rollouts <= T(1), both * T(0), both);
}

/// p (1 - p)^2: of a logistic policy, dp / dtheta times the advantage 1 - p. Greatest, 4/27, at p = 1/3.
template <scalar T>
constexpr T information_gain(T success_rate) {
    return detail::of_interior(success_rate, 0.0F, [](auto p, auto q) { return p * q * q; });
}

template <scalar T>
constexpr T task_value(T success_rate, T rollouts) {
    return signal_probability(success_rate, rollouts) * information_gain(success_rate);
}

/// What one more rollout adds to n >= 1: information_gain x p q (p^{n-1} + q^{n-1}), which strictly decreases with n.
template <scalar T>
constexpr T marginal_task_value(T success_rate, T rollouts) {
    return detail::of_interior(success_rate, 0.0F, [=](auto p, auto q) {
        auto const log = detail::outcome_logarithms<T>(p);
        auto const n = rollouts - T(1);
        return p * q * q * p * q * (math::exp(n * log.rarer) + math::exp(n * log.other));
    });
}

/// 1/p + 1/q - 1: the expected number of rollouts until both outcomes have been seen; infinite at p = 0 and p = 1.
template <scalar T>
constexpr T expected_rollouts_until_signal(T success_rate) {
    return detail::of_interior(success_rate, math::infinity<float>,
                               [](auto p, auto q) { return T(1) / p + T(1) / q - T(1); });
}

/// How many rollouts make a signal probable enough.
struct required_rollouts {
    std::ptrdiff_t count; ///< the least that do, at least 2; -1 where none does (p = 0 or 1) or it is beyond 2^52
    double lower;         ///< ln(1 - c) / ln max(p, q): needed
    double upper;         ///< ln((1 - c) / 2) / ln max(p, q): enough
};

/// The least n with signal_probability(p, n) >= confidence, between its bounds (a worked example of the paper: at
/// p = 0.01 and 0.9 the lower bound is 229). Throws for p outside [0, 1] and a confidence outside (0, 1).
constexpr required_rollouts rollouts_for_signal(double success_rate, double confidence) {
    constexpr auto name = "rollouts_for_signal";
    require_domain(success_rate >= 0 && success_rate <= 1, name, "success_rate", "a probability in [0, 1]",
                   success_rate);
    require_domain(confidence > 0 && confidence < 1, name, "confidence", "a probability strictly between 0 and 1",
                   confidence);
    constexpr auto infinity = math::infinity<double>;
    if (success_rate == 0 || success_rate == 1) return {-1, infinity, infinity};
    auto const log = detail::outcome_logarithms<double>(success_rate).other;
    auto const missing = math::log1p(-confidence);
    auto result = required_rollouts{-1, missing / log, (missing - math::log(2.0)) / log};
    if (!(result.upper < 0x1p52)) return result;
    auto const enough = [=](std::ptrdiff_t n) { return signal_probability(success_rate, double(n)) >= confidence; };
    auto low = std::ptrdiff_t{2}, high = static_cast<std::ptrdiff_t>(result.upper) + 2;
    while (low < high) {
        auto const middle = low + (high - low) / 2;
        if (enough(middle))
            high = middle;
        else
            low = middle + 1;
    }
    result.count = low;
    return result;
}

} // namespace poise::metric
