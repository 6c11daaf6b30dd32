#pragma once

#include "poise/core/beta_function.hpp"
#include "poise/estimator/beta_fit.hpp"

#include <array>

namespace poise::field {

POISE_FIELD(normalization, replaced); ///< what a prompt's advantages were multiplied by

} // namespace poise::field

namespace poise::weighting {

/// log f(p; alpha, beta) = (alpha - 1) log p + (beta - 1) log(1 - p) - log B(alpha, beta), with 0 log 0 = 0: the log
/// density of the Beta distribution; NaN unless alpha, beta > 0 and p is in [0, 1].
template <class P, class A, class B>
constexpr auto log_beta_density(P p, A alpha, B beta) {
    using T = common_scalar<P, common_scalar<A, B>>;
    auto const density = math::x_log_y(T(alpha) - T(1), T(p)) + math::x_log_y(T(beta) - T(1), T(1) - T(p)) -
                         math::log_beta(T(alpha), T(beta));
    auto const defined = (T(alpha) > T(0)) & (T(beta) > T(0)) & (T(p) >= T(0)) & (T(p) <= T(1));
    return math::select(defined, density, T(math::quiet_nan<T>));
}

/// Beta normalization (slug bnpo: Xiao et al., "BNPO: Beta Normalization Policy Optimization", 2025, arXiv 2506.02864):
/// the advantages s - p of a prompt whose rollouts succeed at the rate p are divided by a Beta density,
///     A_k = w (s_k - p),   w = min(1 / f(p; alpha, beta), greatest_weight).
/// alpha = beta = 1 is REINFORCE with the group's mean, alpha = beta = 3/2 is pi/8 times GRPO. Of the parameters, one
/// of each row or repeated, the first of a row counts; `over_batch(estimator::beta_fit{})` makes them of all success
/// rates of a batch. p = 0 and p = 1 have the greatest weight, on advantages that are 0. As a kernel throws for alpha,
/// beta not above 0 and p outside [0, 1]; in a pipeline they give NaN.
struct beta_normalization {
    double greatest_weight = 1e6;

    using reads = fields<field::advantage, field::success_rate, field::normalizer_alpha, field::normalizer_beta>;
    using writes = fields<field::advantage>;
    using writes_per_row = fields<field::normalization>;
    static constexpr std::array argument_names{"advantage",       "success_rate", "normalizer_alpha",
                                               "normalizer_beta", "normalized",   "normalization"};

    constexpr void operator()(row_of_reals auto advantage, row_of_reals auto success_rate, row_of_reals auto alpha,
                              row_of_reals auto beta, writable_row auto normalized,
                              writable_row auto normalization) const {
        using T = value_of<decltype(normalized)>;
        auto const density = log_beta_density(T(success_rate[0]), T(alpha[0]), T(beta[0]));
        auto const weight = T(math::min(math::exp(-density), T(real_of<T>(greatest_weight))));
        normalization[0] = weight;
        map(normalized, [=](auto a) { return decltype(a)(weight) * a; }, advantage);
    }
    constexpr void check_hyperparameters() const {
        require_domain(greatest_weight > 0 && math::isfinite(greatest_weight), "beta_normalization", "greatest_weight",
                       "a finite number above 0", greatest_weight);
    }
    constexpr void check(auto const& advantage, auto const& success_rate, auto const& alpha, auto const& beta,
                         auto const& normalized, auto const& normalization) const {
        constexpr auto name = "beta_normalization";
        check_hyperparameters();
        require_length_of(name, "normalized", normalized, advantage);
        require_length(name, "normalization", normalization, 1);
        poise::detail::check_not_empty(name, "success_rate", success_rate);
        poise::detail::check_not_empty(name, "normalizer_alpha", alpha);
        poise::detail::check_not_empty(name, "normalizer_beta", beta);
        poise::detail::for_each_element(success_rate, [](auto p) {
            require_domain(p >= decltype(p)(0) && p <= decltype(p)(1), name, "success_rate", "numbers in [0, 1]", p);
        });
        auto const positive = [](char const* argument) {
            return [=](auto x) { require_domain(x > decltype(x)(0), name, argument, "numbers above 0", x); };
        };
        poise::detail::for_each_element(alpha, positive("normalizer_alpha"));
        poise::detail::for_each_element(beta, positive("normalizer_beta"));
    }
};

} // namespace poise::weighting
