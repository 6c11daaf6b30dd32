#pragma once

#include "poise/core/lengths.hpp"
#include "poise/core/scan.hpp"
#include "poise/estimator/order_statistic.hpp"

#include <array>

/// Values at risk of a distribution of rewards (slug riskpo: Ren et al., "Risk-based Policy Optimization via Verifiable
/// Reward", 2025, arXiv 2510.00911). With the quantile step function Q and I(u, v) = integral of Q over [u, v]:
///     cvar = I(0, alpha) / alpha                        the mean of the worst alpha (conditional value at risk)
///     rvar = I(alpha, beta) / (beta - alpha)            the mean between two quantiles (range value at risk)
///     mvar = (1 + omega) I(0, alpha) + I(alpha, beta)   mixed value at risk, not normalised
/// mvar = omega I(0, alpha) + I(0, beta), where I(0, a) = max_q a q - E(q - x)+ (Rockafellar and Uryasev, 2000).
namespace poise::metric {

/// I(low, high) of atoms in ascending order, where `cumulative` holds the mass up to and with each.
constexpr auto quantile_integral(row_of_reals auto sorted, row_of_reals auto cumulative, row_of_reals auto mass,
                                 auto low, auto high) {
    return sum(
        [=](auto x, auto until, auto m) {
            auto const inside = math::min(until, decltype(until)(high)) - math::max(until - m, decltype(until)(low));
            return x * math::max(inside, decltype(inside)(0));
        },
        sorted, cumulative, mass);
}

namespace detail {

/// The three values of atoms in ascending order.
constexpr void write_risk_values(row_of_reals auto sorted, row_of_reals auto cumulative, row_of_reals auto mass,
                                 auto alpha, auto beta, auto omega, writable_row auto cvar, writable_row auto rvar,
                                 writable_row auto mvar) {
    using T = value_of<decltype(mvar)>;
    using R = real_of<T>;
    auto const tail = T(quantile_integral(sorted, cumulative, mass, R(0), R(alpha)));
    auto const range = T(quantile_integral(sorted, cumulative, mass, R(alpha), R(beta)));
    cvar[0] = tail / T(R(alpha));
    rvar[0] = range / T(R(beta - alpha));
    mvar[0] = T(R(1 + omega)) * tail + range;
}

/// What every member of the family asks of its levels.
constexpr void check_risk_levels(char const* name, double alpha, double beta) {
    require_domain(alpha > 0, name, "alpha", "a level above 0", alpha);
    require_domain(beta < 1, name, "beta", "a level below 1", beta);
    require_domain(alpha < beta, name, "alpha", "a level below beta", alpha);
}

} // namespace detail

/// Kernel: cvar, rvar and mvar of n equally likely samples; with n = 1 all quantiles are that sample. Throws for an
/// empty row and NaN, for levels other than 0 < alpha < beta < 1 and omega < 0.
struct risk_values {
    double alpha = 0.2; ///< level of the lower tail
    double beta = 0.8;  ///< level above which rewards do not count
    double omega = 0.5; ///< what the lower tail counts more

    static constexpr std::array argument_names{"samples", "cvar", "rvar", "mvar"};
    static constexpr std::size_t scratch_rows = estimator::order_statistic_scratch;

    constexpr void operator()(row_of_reals auto samples, writable_row auto cvar, writable_row auto rvar,
                              writable_row auto mvar, auto const& scratch) const {
        using R = real_of<value_of<decltype(samples)>>;
        auto const sorted = estimator::detail::in_order(samples, scratch);
        auto const cumulative = scratch[0], mass = scratch[1];
        auto const n = R(samples.size());
        map(cumulative, [=](auto i) { return (i + decltype(i)(1)) / decltype(i)(n); }, indices_of(samples));
        fill(mass, R(1) / n);
        detail::write_risk_values(sorted, cumulative, mass, alpha, beta, omega, cvar, rvar, mvar);
    }
    constexpr void check_hyperparameters() const {
        detail::check_risk_levels("risk_values", alpha, beta);
        require_domain(omega >= 0, "risk_values", "omega", "a number not below 0", omega);
    }
    constexpr void check(auto const& samples, auto const&... values) const {
        constexpr auto name = "risk_values";
        check_hyperparameters();
        poise::detail::check_not_empty(name, "samples", samples);
        poise::detail::check_not_nan(name, "samples", samples);
        auto index = std::size_t{0};
        (poise::detail::check_length(name, argument_names[++index], values, 1), ...);
    }
};

/// Kernel: the same of a distribution, atoms with probabilities that sum to 1, such as a policy's actions by reward.
/// Throws also for negative probabilities.
struct distribution_risk_values {
    double alpha = 0.2;
    double beta = 0.8;
    double omega = 0.5;

    static constexpr std::array argument_names{"values", "probabilities", "cvar", "rvar", "mvar"};
    static constexpr std::size_t scratch_rows = estimator::order_statistic_scratch;

    constexpr void operator()(row_of_reals auto values, row_of_reals auto probabilities, writable_row auto cvar,
                              writable_row auto rvar, writable_row auto mvar, auto const& scratch) const {
        auto const sorted = estimator::detail::in_order(values, scratch);
        auto const cumulative = scratch[0], mass = scratch[1];
        gather(mass, probabilities, scratch[argsort_scratch]);
        cumulative_sum(cumulative, mass);
        detail::write_risk_values(sorted, cumulative, mass, alpha, beta, omega, cvar, rvar, mvar);
    }
    constexpr void check_hyperparameters() const { risk_values{alpha, beta, omega}.check_hyperparameters(); }
    constexpr void check(auto const& values, auto const& probabilities, auto const&... results) const {
        constexpr auto name = "distribution_risk_values";
        check_hyperparameters();
        poise::detail::check_not_empty(name, "values", values);
        poise::detail::check_not_nan(name, "values", values);
        require_length_of(name, "probabilities", probabilities, values);
        poise::detail::for_each_element(probabilities, [&](auto p) {
            require_domain(p >= decltype(p)(0), name, "probabilities", "numbers not below 0", p);
        });
        auto index = std::size_t{1};
        (poise::detail::check_length(name, argument_names[++index], results, 1), ...);
    }
};

} // namespace poise::metric
