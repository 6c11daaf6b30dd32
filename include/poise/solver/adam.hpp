#pragma once

#include "poise/solver/gradient_descent.hpp"

namespace poise::solver {

/// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1). At step t:
///     m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
///     W <- W - learning_rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon).
/// `weight_decay` is added to the gradient as weight_decay W; `decoupled_weight_decay` shrinks the weights beside the
/// step, W <- (1 - learning_rate decoupled_weight_decay) W (AdamW: Loshchilov and Hutter, ICLR 2019).
/// With `Amsgrad`, v in the step is the largest v so far (Reddi, Kale and Kumar, ICLR 2018).
/// `state[0]` is m, `state[1]` is v, `state[2]` the largest v.
template <scalar Real = double, bool Amsgrad = false>
struct adam {
    Real learning_rate = Real(1e-3);
    Real beta1 = Real(0.9);
    Real beta2 = Real(0.999);
    Real epsilon = Real(1e-8);
    Real weight_decay = Real(0);
    Real decoupled_weight_decay = Real(0);

    static constexpr std::size_t state_rows = Amsgrad ? 3 : 2;

    template <writable_row Parameters, row_of_reals Gradient>
    constexpr void operator()(Parameters parameters, Gradient gradient, auto const& state, std::size_t step) const {
        using T = value_of<Parameters>;
        auto const decayed = detail::decayed_gradient<T>{T(weight_decay)};
        auto const first = state[0], second = state[1];
        auto const follow_mean = [=, b = T(beta1), rest = T(Real(1) - beta1)](auto m, auto g, auto w) {
            return b * m + rest * decayed(g, w);
        };
        auto const follow_square = [=, b = T(beta2), rest = T(Real(1) - beta2)](auto v, auto g, auto w) {
            auto const total = decayed(g, w);
            return b * v + rest * total * total;
        };
        map(first, follow_mean, first, gradient, parameters);
        map(second, follow_square, second, gradient, parameters);

        auto const largest = [&] {
            if constexpr (Amsgrad) {
                map(state[2], [](auto a, auto b) { return math::max(a, b); }, state[2], second);
                return state[2];
            } else {
                return second;
            }
        }();
        auto const t = Real(static_cast<real_of<Real>>(step));
        auto const rate = T(learning_rate / (Real(1) - math::pow(beta1, t)));
        auto const square_correction = T(Real(1) / (Real(1) - math::pow(beta2, t)));
        auto const update = [=, kept = T(Real(1) - learning_rate * decoupled_weight_decay),
                             e = T(epsilon)](auto w, auto m, auto v) {
            return kept * w - rate * m / (math::sqrt(v * square_correction) + e);
        };
        map(parameters, update, parameters, first, largest);
    }
};
template <class... Given>
adam(Given...) -> adam<typename detail::real_of_given<Given...>::type>;

/// Adam with the largest second moment so far.
template <scalar Real = double>
using amsgrad = adam<Real, true>;

/// Adam whose weight decay is decoupled from the gradient: W <- (1 - learning_rate weight_decay) W, then Adam's step
/// (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019). The state is Adam's.
template <scalar Real = double>
struct adamw {
    Real learning_rate = Real(1e-3);
    Real beta1 = Real(0.9);
    Real beta2 = Real(0.999);
    Real epsilon = Real(1e-8);
    Real weight_decay = Real(0.01);

    static constexpr std::size_t state_rows = adam<Real>::state_rows;

    constexpr void operator()(writable_row auto parameters, row_of_reals auto gradient, auto const& state,
                              std::size_t step) const {
        adam<Real>{.learning_rate = learning_rate,
                   .beta1 = beta1,
                   .beta2 = beta2,
                   .epsilon = epsilon,
                   .decoupled_weight_decay = weight_decay}(parameters, gradient, state, step);
    }
};
template <class... Given>
adamw(Given...) -> adamw<typename detail::real_of_given<Given...>::type>;

} // namespace poise::solver
