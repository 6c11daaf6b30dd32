#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/estimator/center.hpp"
#include "poise/estimator/deviation.hpp"

#include <array>

namespace poise::estimator {

/// (A_k - mean(A)) / (s + epsilon), where s^2 = sum_k (A_k - mean)^2 / (B - 1) over a row of B advantages, such as one
/// channel of a minibatch; exactly 0 in a row without variance. Throws for fewer than two elements. Behind a mask an
/// advantage counts for nothing and becomes 0, as does the only one before it.
struct normalized_advantage {
    double epsilon = 1e-8;

    using reads = fields<field::advantage>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"advantages", "normalized", "mask"};

    constexpr void operator()(row_of_reals auto advantages, writable_row auto normalized,
                              row_of_reals auto... mask) const {
        using T = value_of<decltype(normalized)>;
        center(normalized, advantages, mask...);
        auto const scale = standard_deviation_of_centered<deviation::sample>(normalized, mask...) +
                           T(static_cast<real_of<T>>(epsilon));
        map(normalized, [=](auto a) { return a / scale; }, normalized);
    }
    constexpr void check_hyperparameters() const {
        require_domain(epsilon >= 0, "normalized_advantage", "epsilon", "a number not below 0", epsilon);
    }
    constexpr void check_length(std::size_t elements) const {
        require(elements > 1, "normalized_advantage", "advantages", "at least 2 elements", elements);
    }
    constexpr void check(auto const& advantages, auto const&... others) const {
        check_hyperparameters();
        for (std::size_t i = 0; i < advantages.rows(); ++i) check_length(advantages.length(i));
        require_equal_lengths("normalized_advantage", argument_names, advantages, others...);
    }
};

} // namespace poise::estimator
