#pragma once

#include "poise/core/verbs.hpp"
#include "poise/solver/real_of_given.hpp"

#include <cstddef>

/// Gradient descent without and with momentum. An update rule is called as `rule(parameters, gradient, state, step)`,
/// where `state` holds as many rows as the rule says (zero before the first step) and steps count from 1. It minimises;
/// a negative learning rate maximises. `Real` is `double`, or a SIMD pack to give each replica its own
/// hyper-parameters.
namespace poise::solver {

namespace detail {

/// The gradient of loss + (weight_decay / 2) |W|^2.
template <class T>
struct decayed_gradient {
    T weight_decay;
    constexpr auto operator()(auto gradient, auto parameter) const { return gradient + weight_decay * parameter; }
};

} // namespace detail

/// W <- W - learning_rate (g + weight_decay W)
template <scalar Real = double>
struct sgd {
    Real learning_rate = Real(0.01);
    Real weight_decay = Real(0);

    static constexpr std::size_t state_rows = 0;

    template <writable_row Parameters, row_of_reals Gradient>
    constexpr void operator()(Parameters parameters, Gradient gradient, auto const&, std::size_t) const {
        using T = value_of<Parameters>;
        auto const rate = T(learning_rate);
        auto const decayed = detail::decayed_gradient<T>{T(weight_decay)};
        map(parameters, [=](auto w, auto g) { return w - rate * decayed(g, w); }, parameters, gradient);
    }
};
template <class... Given>
sgd(Given...) -> sgd<typename detail::real_of_given<Given...>::type>;

/// V <- momentum V + g + weight_decay W,  W <- W - learning_rate V: the heavy ball (Polyak 1964). `state[0]` is V.
template <scalar Real = double>
struct momentum {
    Real learning_rate = Real(0.01);
    Real decay = Real(0.9); ///< of the velocity V
    Real weight_decay = Real(0);

    static constexpr std::size_t state_rows = 1;

    template <writable_row Parameters, row_of_reals Gradient>
    constexpr void operator()(Parameters parameters, Gradient gradient, auto const& state, std::size_t) const {
        using T = value_of<Parameters>;
        auto const rate = T(learning_rate), mu = T(decay);
        auto const decayed = detail::decayed_gradient<T>{T(weight_decay)};
        auto const velocity = state[0];
        map(velocity, [=](auto v, auto g, auto w) { return mu * v + decayed(g, w); }, velocity, gradient, parameters);
        map(parameters, [=](auto w, auto v) { return w - rate * v; }, parameters, velocity);
    }
};
template <class... Given>
momentum(Given...) -> momentum<typename detail::real_of_given<Given...>::type>;

} // namespace poise::solver
