#pragma once

#include "poise/core/lengths.hpp"
#include "poise/core/math.hpp"
#include "poise/core/row.hpp"

#include <array>

namespace poise::solver {

/// The adaptive coefficient of a KL penalty (Ziegler et al., "Fine-tuning language models from human preferences",
/// 2019, section 2.2), after each rollout: beta <- beta (1 + gain clip((KL - target) / target, -clip, clip)). With an
/// infinite target, the default, beta stays as it is. As a kernel it goes through a row of divergences from beta =
/// `initial`. Slug constrained-rlhf.
struct adaptive_kl {
    double initial = 0.2;
    double target = math::infinity<double>;
    double gain = 0.1;
    double clip = 0.2;

    static constexpr std::array argument_names{"divergences", "coefficients"};

    /// The coefficient after a rollout with this divergence.
    template <class T>
    constexpr T next(T coefficient, T divergence) const {
        if (target == math::infinity<double>) return coefficient;
        using R = real_of<T>;
        auto const error = math::clamp(divergence / R(target) - R(1), R(-clip), R(clip));
        return coefficient * (R(1) + R(gain) * error);
    }

    constexpr void operator()(row_of_reals auto divergences, writable_row auto coefficients) const {
        using T = value_of<decltype(coefficients)>;
        auto coefficient = T(real_of<T>(initial));
        for (std::size_t k = 0; k < coefficients.size(); ++k) {
            coefficient = next(coefficient, T(divergences[k]));
            coefficients[k] = coefficient;
        }
    }
    constexpr void check(auto const& divergences, auto const& coefficients) const {
        constexpr auto name = "adaptive_kl";
        require_domain(initial >= 0, name, "initial", "a coefficient not below 0", initial);
        require_domain(target > 0, name, "target", "a positive divergence", target);
        require_length_of(name, "coefficients", coefficients, divergences);
    }
};

} // namespace poise::solver
