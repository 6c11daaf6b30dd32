#pragma once

#include "poise/policy/exponential_tilt.hpp"

namespace poise::objective {

/// Kernel: the dual of maximising -beta KL(pi || pi_0) under constraints on the expected rewards v_i(pi), i = 1 … N,
/// with thresholds theta, as a function of the tilt m (Moskovitz et al., 2023, arXiv 2310.04373; slug
/// constrained-rlhf):
///     D(m) = beta log Z(m) - m.theta,   grad D = v(pi_m) - theta,   Hess D = Cov_{pi_m}(r) / beta,
/// convex, with pi_m the `policy::exponential_tilt`. For every policy q, -beta KL(q || pi_0) + m.(v(q) - theta) <=
/// D(m). A row of rewards holds reward after reward, N K elements; the Hessian is a row of N N.
struct kl_lagrangian_dual {
    double beta = 1;

    static constexpr std::array argument_names{"reference", "rewards", "tilt",     "thresholds",
                                               "policy",    "dual",    "gradient", "hessian"};

    constexpr void operator()(row_of_reals auto reference, row_of_reals auto rewards, row_of_reals auto tilt,
                              row_of_reals auto thresholds, writable_row auto policy, writable_row auto dual,
                              writable_row auto gradient, writable_row auto hessian) const {
        using T = value_of<decltype(policy)>;
        auto const b = T(real_of<T>(beta));
        auto const n = tilt.size();
        auto const log_z = policy::detail::tilt_policy(reference, rewards, tilt, beta, policy);
        dual[0] = b * log_z - T(weighted_sum(tilt, thresholds));
        for (std::size_t i = 0; i < n; ++i) {
            auto const r = matrix_row(rewards, i, policy);
            auto const v = T(weighted_sum(policy, r));
            gradient[i] = v - T(thresholds[i]);
            for (std::size_t j = 0; j <= i; ++j) {
                auto const s = matrix_row(rewards, j, policy);
                auto const w = T(gradient[j]) + T(thresholds[j]);
                auto const covariance =
                    sum([=](auto p, auto x, auto y) { return p * (x - v) * (y - w); }, policy, r, s);
                hessian[i * n + j] = covariance / b;
                hessian[j * n + i] = covariance / b;
            }
        }
    }
    constexpr void check(auto const& reference, auto const& rewards, auto const& tilt, auto const& thresholds,
                         auto const& policy, auto const& dual, auto const& gradient, auto const& hessian) const {
        constexpr auto name = "kl_lagrangian_dual";
        require_domain(beta > 0, name, "beta", "a positive number", beta);
        policy::detail::check_rewards(name, reference, rewards, tilt);
        require_length_of(name, "thresholds", thresholds, tilt);
        require_length_of(name, "policy", policy, reference);
        require_length(name, "dual", dual, 1);
        require_length_of(name, "gradient", gradient, tilt);
        for (std::size_t i = 0; i < hessian.rows(); ++i) {
            auto const n = length_of_row(tilt, i);
            require_elements(name, "hessian", hessian.length(i), n * n);
        }
    }
};

} // namespace poise::objective
