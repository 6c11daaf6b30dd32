#pragma once

#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>

namespace poise::estimator {

namespace detail {

// Differences from the first element come first: they are exactly 0 in a row without variance, whose rounded mean may
// not be its elements.
template <row_of_reals In, writable_row Out>
constexpr void subtract_mean(In in, Out out) {
    if (out.size() == 0) return;
    auto const origin = value_of<Out>(in[0]);
    map(out, [=](auto x) { return x - origin; }, in);
    auto const centre = mean(out);
    map(out, [=](auto x) { return x - centre; }, out);
}

} // namespace detail

/// A_k - mean(A)
struct centered_advantage {
    static constexpr std::array argument_names{"advantages", "centered"};

    constexpr void operator()(row_of_reals auto advantages, writable_row auto centered) const {
        detail::subtract_mean(advantages, centered);
    }
    constexpr void check(auto const& advantages, auto const& centered) const {
        require_length_of("centered_advantage", "centered", centered, advantages);
    }
};

/// (A_k - mean(A)) / (s + epsilon), where s^2 = sum_k (A_k - mean)^2 / (B - 1) over a row of B advantages, such as one
/// channel of a minibatch; exactly 0 in a row without variance. Throws for fewer than two elements.
struct normalized_advantage {
    double epsilon = 1e-8;

    static constexpr std::array argument_names{"advantages", "normalized"};

    constexpr void operator()(row_of_reals auto advantages, writable_row auto normalized) const {
        using T = value_of<decltype(normalized)>;
        detail::subtract_mean(advantages, normalized);
        auto const scale = math::sqrt(sample_variance(normalized)) + T(real_of<T>(epsilon));
        map(normalized, [=](auto a) { return a / scale; }, normalized);
    }
    constexpr void check(auto const& advantages, auto const& normalized) const {
        constexpr auto name = "normalized_advantage";
        require_domain(epsilon >= 0, name, "epsilon", "a number not below 0", epsilon);
        for (std::size_t i = 0; i < advantages.rows(); ++i)
            require(advantages.length(i) > 1, name, "advantages", "at least 2 elements", advantages.length(i));
        require_length_of(name, "normalized", normalized, advantages);
    }
};

} // namespace poise::estimator
