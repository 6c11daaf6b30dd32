#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/estimator/center.hpp"

#include <array>

namespace poise::estimator {

/// (A_k - mean(A)) / (s + epsilon), where s^2 = sum_k (A_k - mean)^2 / (B - 1) over a row of B advantages, such as one
/// channel of a minibatch; exactly 0 in a row without variance. Throws for fewer than two elements.
struct normalized_advantage {
    double epsilon = 1e-8;

    using reads = fields<field::advantage>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"advantages", "normalized"};

    constexpr void operator()(row_of_reals auto advantages, writable_row auto normalized) const {
        using T = value_of<decltype(normalized)>;
        if (normalized.size() == 0) return;
        center(normalized, advantages);
        auto const scale = math::sqrt(sample_variance(normalized)) + T(real_of<T>(epsilon));
        map(normalized, [=](auto a) { return a / scale; }, normalized);
    }
    constexpr void check_hyperparameters() const {
        require_domain(epsilon >= 0, "normalized_advantage", "epsilon", "a number not below 0", epsilon);
    }
    constexpr void check(auto const& advantages, auto const& normalized) const {
        constexpr auto name = "normalized_advantage";
        check_hyperparameters();
        for (std::size_t i = 0; i < advantages.rows(); ++i)
            require(advantages.length(i) > 1, name, "advantages", "at least 2 elements", advantages.length(i));
        require_length_of(name, "normalized", normalized, advantages);
    }
};

} // namespace poise::estimator
