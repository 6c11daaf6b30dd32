#pragma once

#include "poise/solver/gradient_descent.hpp"

namespace poise::solver {

/// RMSProp (Tieleman and Hinton, Coursera lecture 6.5, 2012), with epsilon outside the root as in PyTorch:
///     v <- decay v + (1 - decay) g^2,  V <- momentum V + g / (sqrt(v) + epsilon),  W <- W - learning_rate V,
/// where g includes weight_decay W. `Centered` divides by the deviation instead: sqrt(v - m^2) with
/// m <- decay m + (1 - decay) g (Graves, arXiv 1308.0850). `state[0]` is v, `state[1]` is V, `state[2]` is m.
template <scalar Real = double, bool Centered = false>
struct rmsprop {
    Real learning_rate = Real(0.01);
    Real decay = Real(0.99);
    Real epsilon = Real(1e-8);
    Real momentum = Real(0);
    Real weight_decay = Real(0);

    static constexpr std::size_t state_rows = Centered ? 3 : 2;

    template <writable_row Parameters, row_of_reals Gradient>
    constexpr void operator()(Parameters parameters, Gradient gradient, auto const& state, std::size_t) const {
        using T = value_of<Parameters>;
        auto const decayed = detail::decayed_gradient<T>{T(weight_decay)};
        auto const square = state[0], velocity = state[1];
        auto const b = T(decay), rest = T(Real(1) - decay), mu = T(momentum), e = T(epsilon), rate = T(learning_rate);
        auto const follow_square = [=](auto v, auto g, auto w) {
            auto const total = decayed(g, w);
            return b * v + rest * total * total;
        };
        map(square, follow_square, square, gradient, parameters);
        if constexpr (Centered) {
            auto const mean = state[2];
            map(mean, [=](auto m, auto g, auto w) { return b * m + rest * decayed(g, w); }, mean, gradient, parameters);
            auto const accelerate = [=](auto V, auto g, auto w, auto v, auto m) {
                auto const variance = math::max(v - m * m, T(0)); // rounding may leave less than 0
                return mu * V + decayed(g, w) / (math::sqrt(variance) + e);
            };
            map(velocity, accelerate, velocity, gradient, parameters, square, mean);
        } else {
            auto const accelerate = [=](auto V, auto g, auto w, auto v) {
                return mu * V + decayed(g, w) / (math::sqrt(v) + e);
            };
            map(velocity, accelerate, velocity, gradient, parameters, square);
        }
        map(parameters, [=](auto w, auto V) { return w - rate * V; }, parameters, velocity);
    }
};
template <class... Given>
rmsprop(Given...) -> rmsprop<typename detail::real_of_given<Given...>::type>;

/// RMSProp that divides by the gradient's deviation.
template <scalar Real = double>
using centered_rmsprop = rmsprop<Real, true>;

} // namespace poise::solver
