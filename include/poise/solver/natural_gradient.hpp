#pragma once

#include "poise/core/verbs.hpp"
#include "poise/execution/row_kernel.hpp"
#include "poise/solver/real_of_given.hpp"

#include <array>

namespace poise::solver {

/// A step along the natural gradient of a softmax in its logits (Amari, "Natural gradient works efficiently in
/// learning", 1998; Kakade, "A natural policy gradient", 2001), as a row kernel: `step(logits, gradient, out)`,
///     out = logits - learning_rate (F + damping I)^{-1} g,   F = diag(pi) - pi pi^T.
/// A gradient in softmax logits sums to 0, and for such a g the inverse is, with q_k = pi_k + damping,
///     x_k = g_k / q_k - (pi_k / q_k) (sum_j g_j / q_j) / (sum_j pi_j / q_j),
/// which without damping is the pseudo-inverse F^+ g: x_k = g_k / pi_k minus its mean over the actions. So the gradient
/// pi_k A_k of an expected advantage moves the logits by A_k, up to a constant. An action of probability 0 stays where
/// it is if damping is 0. `out` may be `logits`. It minimises; a negative learning rate maximises.
template <scalar Real = double>
struct natural_gradient {
    Real learning_rate = Real(0.1);
    Real damping = Real(0);

    static constexpr std::array argument_names{"logits", "gradient", "out"};

    template <writable_row Out>
    constexpr void operator()(row_of_reals auto logits, row_of_reals auto gradient, Out out) const {
        using T = value_of<Out>;
        auto const normaliser = log_sum_exp(logits);
        auto const probability = [=](auto z) { return math::exp(z - normaliser); };
        auto const over_q = [=, lambda = T(damping)](auto x, auto z) {
            auto const q = probability(z) + lambda;
            using Q = decltype(q);
            return math::select(q == Q(0), Q(0), x / math::select(q == Q(0), Q(1), q));
        };
        auto const shrunk = [=](auto z) { return over_q(probability(z), z); }; // pi / q
        auto const multiplier = sum(over_q, gradient, logits) / sum(shrunk, logits);
        map(
            out,
            [=, rate = T(learning_rate)](auto z, auto g) { return z - rate * (over_q(g, z) - shrunk(z) * multiplier); },
            logits, gradient);
    }
};
template <class... Given>
natural_gradient(Given...) -> natural_gradient<typename detail::real_of_given<Given...>::type>;

} // namespace poise::solver
