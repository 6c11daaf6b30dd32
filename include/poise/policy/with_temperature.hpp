#pragma once

#include "poise/policy/reweighted_policy.hpp"

namespace poise::policy {

/// pi_tau(a | x) proportional to pi(a | x)^(1 / tau): sharper than pi for tau < 1, flatter for tau > 1.
///     auto const cool = policy::with_temperature(pi, 0.5);
template <class Policy>
class with_temperature : public reweighted_policy<with_temperature<Policy>, Policy> {
    using base = reweighted_policy<with_temperature<Policy>, Policy>;
    using T = typename Policy::value_type;

public:
    template <class U>
    using over = with_temperature<typename Policy::template over<U>>;

    double temperature = 1; ///< tau

    /// Throws `domain_violation` unless tau > 0.
    constexpr with_temperature(Policy policy, double tau) : base(std::move(policy)), temperature(tau) {
        require_domain(tau > 0, "with_temperature", "temperature", "tau > 0", tau);
    }
    template <class Other>
    constexpr explicit with_temperature(with_temperature<Other> const& other)
        : with_temperature(Policy(other.inner()), other.temperature) {}

    constexpr void reweight(auto const&, row<T> log_p) const {
        auto const inverse = T(real_of<T>(1 / temperature));
        map(log_p, [=](auto l) { return l * inverse; }, log_p);
        log_softmax(log_p, log_p);
    }
    /// (c_a - pi_tau_a sum_b c_b) / tau
    constexpr void pull_back(row<T>, row<T> own, row<T> cotangent) const {
        auto const inverse = T(real_of<T>(1 / temperature)), total = T(sum(cotangent));
        map(cotangent, [=](auto l, auto c) { return (c - math::exp(l) * total) * inverse; }, own, cotangent);
    }
};

} // namespace poise::policy
