#pragma once

#include "poise/estimator/success_rate.hpp"
#include "poise/objective/quantile_levels.hpp"

#include <array>

namespace poise::field {

POISE_FIELD(success_a, replaced); ///< Beta(a, b): the distribution of success rates over prompts
POISE_FIELD(success_b, replaced);
POISE_FIELD(normalizer_alpha, replaced); ///< Beta(alpha, beta): the density that advantages are divided by
POISE_FIELD(normalizer_beta, replaced);

} // namespace poise::field

namespace poise::estimator {

/// The parameters of `weighting::beta_normalization` for a batch (slug bnpo: Xiao et al., 2025, arXiv 2506.02864), from
/// a row of the success rates p of all its prompts, with mean m and unbiased variance v:
///     c = m (1 - m) / v - 1,   a = c m,   b = c (1 - m)             p ~ Beta(a, b) by the method of moments
///     alpha = max(1, 1 + a / 3),   beta = max(1, 1 + b / 3)         the least variance of the policy gradient
/// Equal success rates (v <= 1e-12) give a = b = 0; a single prompt m = 0, v = 1; both alpha = beta = 1: REINFORCE.
/// More spread than any Beta has, v > m (1 - m), gives negative a and b and alpha = beta = 1. Throws for an empty row
/// and for rates outside [0, 1].
struct beta_fit {
    using reads = fields<field::success_rate>;
    using writes = fields<>;
    using writes_per_row = fields<field::success_a, field::success_b, field::normalizer_alpha, field::normalizer_beta>;
    static constexpr std::array argument_names{"success_rate", "success_a", "success_b", "normalizer_alpha",
                                               "normalizer_beta"};

    constexpr void operator()(row_of_reals auto success_rate, writable_row auto a, writable_row auto b,
                              writable_row auto alpha, writable_row auto beta) const {
        using T = value_of<decltype(alpha)>;
        using R = real_of<T>;
        auto const alone = success_rate.size() == 1;
        auto const m = alone ? T(0) : T(mean(success_rate));
        auto const v = alone ? T(1) : T(sample_variance(success_rate));
        auto const equal = v <= T(R(1e-12));
        auto const c = m * (T(1) - m) / math::select(equal, T(1), v) - T(1);
        a[0] = math::select(equal, T(0), c * m);
        b[0] = math::select(equal, T(0), c * (T(1) - m));
        alpha[0] = math::max(T(1), T(1) + T(a[0]) / T(3));
        beta[0] = math::max(T(1), T(1) + T(b[0]) / T(3));
    }
    constexpr void check_length(std::size_t prompts) const {
        require(prompts > 0, "beta_fit", "success_rate", "at least 1 element", prompts);
    }
    constexpr void check(auto const& success_rate, auto const&... parameters) const {
        auto index = std::size_t{0};
        (require_length("beta_fit", argument_names[++index], parameters, 1), ...);
        for (std::size_t i = 0; i < success_rate.rows(); ++i) check_length(success_rate.length(i));
        poise::detail::for_each_element(success_rate, [](auto p) {
            require_domain(p >= decltype(p)(0) && p <= decltype(p)(1), "beta_fit", "success_rate", "numbers in [0, 1]",
                           p);
        });
    }
};

} // namespace poise::estimator
