#pragma once

#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>

/// Weights of reward models that are squashed Lagrange multipliers (Moskovitz et al., "Confronting reward model
/// overoptimization with constrained RLHF", 2023, arXiv 2310.04373; slug constrained-rlhf).
namespace poise::weighting {

/// w = squash(lambda) and its derivative. Far out the weight is exactly at its bound and the derivative 0: descent can
/// then not bring the multiplier back (`saturated`).
namespace squash {

/// In [0, 1]: multipliers of inequalities.
struct sigmoid {
    static constexpr bool bounded = true;
    constexpr auto operator()(auto multiplier) const { return math::sigmoid(multiplier); }
    constexpr auto derivative(auto multiplier) const {
        auto const w = math::sigmoid(multiplier);
        return w * (real_of<decltype(w)>(1) - w);
    }
};

/// In [-1, 1]: multipliers of equalities.
struct tanh {
    static constexpr bool bounded = true;
    constexpr auto operator()(auto multiplier) const { return math::tanh(multiplier); }
    constexpr auto derivative(auto multiplier) const {
        auto const w = math::tanh(multiplier);
        return real_of<decltype(w)>(1) - w * w;
    }
};

/// The multiplier itself. Constant multipliers alpha are the fixed weights of a scalarised reward.
struct none {
    static constexpr bool bounded = false;
    constexpr auto operator()(auto multiplier) const { return multiplier; }
    constexpr auto derivative(auto multiplier) const { return decltype(multiplier)(1); }
};

} // namespace squash

/// Whether the squash has lost its slope there: the multiplier is stuck (integral wind-up).
template <class Squash>
constexpr auto saturated(Squash squash, auto multiplier) {
    return squash.derivative(multiplier) == real_of<decltype(multiplier)>(0);
}

/// Kernel: w_i = squash(lambda_i), and what is left for the base objective, N - sum_i w_i, so that all weights sum to
/// N; without a squash 1. With sigmoid the base weight lies in (0, N), with tanh in (0, 2N).
template <class Squash = squash::sigmoid>
struct lagrange_weights {
    Squash squash{};

    static constexpr std::array argument_names{"multipliers", "base_weight", "weights"};

    constexpr void operator()(row_of_reals auto multipliers, writable_row auto base_weight,
                              writable_row auto weights) const {
        using T = value_of<decltype(weights)>;
        map(weights, squash, multipliers);
        // sum (1 - w) keeps the digits of small weights
        if constexpr (Squash::bounded)
            base_weight[0] = sum([](auto w) { return real_of<T>(1) - w; }, weights);
        else
            base_weight[0] = T(1);
    }
    constexpr void check(auto const& multipliers, auto const& base_weight, auto const& weights) const {
        constexpr auto name = "lagrange_weights";
        for (std::size_t i = 0; i < multipliers.rows(); ++i)
            require(multipliers.length(i) > 0, name, "multipliers", "at least one", multipliers.length(i));
        require_length(name, "base_weight", base_weight, 1);
        require_length_of(name, "weights", weights, multipliers);
    }
};

} // namespace poise::weighting
