#pragma once

#include "poise/policy/reweighted_policy.hpp"

namespace poise::policy {

/// (1 - epsilon) pi(a | x) + epsilon / A: with probability epsilon an action drawn uniformly from all A, which bounds
/// importance ratios. Over a greedy policy (one of temperature near 0) it is the epsilon-greedy one.
template <class Policy>
class epsilon_uniform : public reweighted_policy<epsilon_uniform<Policy>, Policy> {
    using base = reweighted_policy<epsilon_uniform<Policy>, Policy>;
    using T = typename Policy::value_type;

public:
    template <class U>
    using over = epsilon_uniform<typename Policy::template over<U>>;

    double epsilon = 0.1;

    /// Throws `domain_violation` unless 0 <= epsilon <= 1.
    constexpr epsilon_uniform(Policy policy, double probability_of_uniform)
        : base(std::move(policy)), epsilon(probability_of_uniform) {
        require_domain(epsilon >= 0 && epsilon <= 1, "epsilon_uniform", "epsilon", "a probability in [0, 1]", epsilon);
    }
    template <class Other>
    constexpr explicit epsilon_uniform(epsilon_uniform<Other> const& other)
        : epsilon_uniform(Policy(other.inner()), other.epsilon) {}

    constexpr void reweight(auto const&, row<T> log_p) const {
        auto const log_uniform = T(real_of<T>(math::log(epsilon / static_cast<double>(this->actions()))));
        auto const log_rest = log_of_rest();
        map(log_p, [=](auto l) { return math::log_add_exp(l + log_rest, log_uniform); }, log_p);
    }
    /// c_a (1 - epsilon) pi_a / pi'_a
    constexpr void pull_back(row<T> inner, row<T> own, row<T> cotangent) const {
        map(cotangent, detail::share_of_component<T>{log_of_rest()}, inner, own, cotangent);
    }

private:
    constexpr T log_of_rest() const { return T(real_of<T>(math::log1p(-epsilon))); }
};

} // namespace poise::policy
