#pragma once

#include "poise/core/lengths.hpp"
#include "poise/core/math.hpp"
#include "poise/core/row.hpp"

#include <array>

namespace poise::solver {

/// The adaptive coefficient of an entropy bonus (Skywork-OR1: He et al., 2025, arXiv 2505.22312; slug
/// catalogue-policy-losses, section 7): it grows by `step` while the policy's entropy is at most the target and shrinks
/// elsewhere, within [least, most], and is applied only while the entropy of the step before is at most the target; not
/// at the first. As a kernel it goes through a row of entropies.
struct adaptive_entropy {
    double initial = 0;
    double target = 0.2;
    double step = 0.005;
    double least = 0;
    double most = 1;

    static constexpr std::array argument_names{"entropies", "applied", "coefficients"};

    /// The coefficient after a step at which the policy had this entropy.
    template <class T>
    constexpr T next(T coefficient, T entropy) const {
        using R = real_of<T>;
        return math::select(entropy <= T(R(target)), math::min(coefficient + T(R(step)), T(R(most))),
                            math::max(coefficient - T(R(step)), T(R(least))));
    }
    /// What a step applies of it, by the entropy of the step before.
    template <class T>
    constexpr T applied(T coefficient, T last_entropy) const {
        return math::select(last_entropy <= T(real_of<T>(target)), coefficient, T(0));
    }

    constexpr void operator()(row_of_reals auto entropies, writable_row auto applied_coefficients,
                              writable_row auto coefficients) const {
        using T = value_of<decltype(coefficients)>;
        auto coefficient = T(real_of<T>(initial)), last = T(math::infinity<T>);
        for (std::size_t k = 0; k < coefficients.size(); ++k) {
            applied_coefficients[k] = applied(coefficient, last);
            last = T(entropies[k]);
            coefficient = next(coefficient, last);
            coefficients[k] = coefficient;
        }
    }
    constexpr void check(auto const& entropies, auto const& applied_coefficients, auto const& coefficients) const {
        constexpr auto name = "adaptive_entropy";
        require_domain(step >= 0, name, "step", "a number not below 0", step);
        require_domain(least <= most, name, "least", "a number not above most", least);
        require_length_of(name, "applied", applied_coefficients, entropies);
        require_length_of(name, "coefficients", coefficients, entropies);
    }
};

} // namespace poise::solver
