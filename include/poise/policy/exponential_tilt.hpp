#pragma once

#include "poise/core/lengths.hpp"
#include "poise/core/segment.hpp"
#include "poise/core/verbs.hpp"

#include <array>

namespace poise::policy {

namespace detail {

/// K actions, N rewards of each: one row of K N elements.
constexpr void check_rewards(std::string_view function, auto const& reference, auto const& rewards, auto const& tilt) {
    for (std::size_t i = 0; i < rewards.rows(); ++i) {
        auto const expected = length_of_row(reference, i) * length_of_row(tilt, i);
        require_elements(function, "rewards", rewards.length(i), expected);
    }
    for (std::size_t i = 0; i < reference.rows(); ++i)
        for (std::size_t k = 0; k < reference.length(i); ++k)
            require_domain(reference(i, k) >= 0, function, "reference", "probabilities", reference(i, k));
}

/// Writes the tilted policy and returns log Z.
template <writable_row Policy>
constexpr auto tilt_policy(row_of_reals auto reference, row_of_reals auto rewards, row_of_reals auto tilt,
                           double temperature, Policy policy) {
    using T = value_of<Policy>;
    map(policy, [](auto p) { return math::log(p); }, reference);
    for (std::size_t i = 0; i < tilt.size(); ++i) {
        auto const m = T(tilt[i]) / T(real_of<T>(temperature));
        map(policy, [=](auto z, auto r) { return z + r * m; }, policy, matrix_row(rewards, i, policy));
    }
    auto const log_z = log_sum_exp(policy);
    map(policy, [=](auto z) { return math::exp(z - log_z); }, policy);
    return log_z;
}

} // namespace detail

/// Kernel: the exponential tilt pi_m(k) = pi_0(k) e^{m.r(k) / temperature} / Z, which maximises m.v(pi) - temperature
/// KL(pi || pi_0), v the expected rewards: the solution of every KL-regularised problem that is linear in the policy.
/// A row of rewards holds reward after reward, N K elements. Where pi_0 is 0 pi_m is 0.
struct exponential_tilt {
    double temperature = 1;

    static constexpr std::array argument_names{"reference", "rewards", "tilt", "policy"};

    constexpr void operator()(row_of_reals auto reference, row_of_reals auto rewards, row_of_reals auto tilt,
                              writable_row auto policy) const {
        detail::tilt_policy(reference, rewards, tilt, temperature, policy);
    }
    constexpr void check(auto const& reference, auto const& rewards, auto const& tilt, auto const& policy) const {
        constexpr auto name = "exponential_tilt";
        require_domain(temperature > 0, name, "temperature", "a positive number", temperature);
        detail::check_rewards(name, reference, rewards, tilt);
        require_length_of(name, "policy", policy, reference);
    }
};

} // namespace poise::policy
