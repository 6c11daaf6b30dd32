#pragma once

#include "poise/core/computed_row.hpp"
#include "poise/core/verbs.hpp"
#include "poise/random/discrete.hpp"

#include <type_traits>

/// What policies over finitely many actions compute from rows of log-probabilities. -inf is an action that is never
/// taken: it counts for nothing.
namespace poise::policy {

/// What numbers an action: an integer; for a policy per SIMD lane the pack of the lanes' numbers.
template <scalar T>
using action_number = std::conditional_t<random::lane_pack<T>, T, std::size_t>;

namespace detail {

/// 1 where k is the action, else 0; of a pack of actions in each lane.
template <class T, class Action>
constexpr T is_action(std::size_t k, Action action) {
    if constexpr (std::integral<Action>)
        return T(k == action ? 1 : 0);
    else
        return math::select(T(k) == action, T(1), T(0));
}

/// values_action; of a pack of actions in each lane.
template <class T, class Action>
constexpr T at_action(row_of_reals auto values, Action action) {
    if constexpr (std::integral<Action>) {
        return values[action];
    } else {
        auto const here = [=](auto k, auto v) { return math::select(T(k) == action, v, T(0)); };
        return sum(here, indices_of(values), values);
    }
}

/// p (log p - log q - offset) from logarithms, 0 where p is 0.
template <class T>
constexpr T excess(T log_p, T log_q, T offset) {
    return math::select(log_p == T(-math::infinity<T>), T(0), math::exp(log_p) * (log_p - log_q - offset));
}

} // namespace detail

/// H = -sum_a p_a log p_a in nats.
template <row_of_reals LogP>
constexpr auto entropy_from_log_probabilities(LogP log_p) {
    using T = value_of<LogP>;
    return -sum([](auto l) { return detail::excess<T>(l, T(0), T(0)); }, log_p);
}

/// KL(p || q) = sum_a p_a (log p_a - log q_a) in nats.
template <row_of_reals LogP>
constexpr auto kl_divergence_from_log_probabilities(LogP log_p, row_of_reals auto log_q) {
    using T = value_of<LogP>;
    return sum([](auto l, auto m) { return detail::excess<T>(l, m, T(0)); }, log_p, log_q);
}

/// Gradients in the logits of a softmax, as virtual rows.
namespace logit_gradient {

/// Of sum_a c_a log p_a: c_a - p_a sum_b c_b.
template <row_of_reals LogP>
constexpr auto of_log_probabilities(LogP log_p, row_of_reals auto cotangent) {
    using T = value_of<LogP>;
    auto const total = T(sum(cotangent));
    return computed_row(log_p.size(), [=](std::size_t a) { return T(cotangent[a]) - math::exp(T(log_p[a])) * total; });
}

/// Of c log p_action: c (1{a = action} - p_a).
template <row_of_reals LogP, class Action>
constexpr auto of_log_probability(LogP log_p, Action action, value_of<LogP> cotangent) {
    using T = value_of<LogP>;
    return computed_row(log_p.size(), [=](std::size_t a) {
        return cotangent * (detail::is_action<T>(a, action) - math::exp(T(log_p[a])));
    });
}

/// Of c H: -c p_a (log p_a + H).
template <row_of_reals LogP>
constexpr auto of_entropy(LogP log_p, value_of<LogP> cotangent) {
    using T = value_of<LogP>;
    auto const minus_h = T(-entropy_from_log_probabilities(log_p));
    return computed_row(log_p.size(),
                        [=](std::size_t a) { return -cotangent * detail::excess<T>(log_p[a], T(0), minus_h); });
}

/// Of c KL(p || q), p being the softmax: c p_a (log p_a - log q_a - KL).
template <row_of_reals LogP>
constexpr auto of_kl_divergence(LogP log_p, row_of_reals auto log_q, value_of<LogP> cotangent) {
    using T = value_of<LogP>;
    auto const kl = T(kl_divergence_from_log_probabilities(log_p, log_q));
    return computed_row(log_p.size(),
                        [=](std::size_t a) { return cotangent * detail::excess<T>(log_p[a], log_q[a], kl); });
}

} // namespace logit_gradient

} // namespace poise::policy
