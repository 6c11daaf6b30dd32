#pragma once

#include "poise/policy/exponential_moving_average.hpp"
#include "poise/policy/frozen.hpp"

namespace poise::policy {

/// The policy at an exponential moving average of another's parameters, theta_bar <- decay theta_bar + (1 - decay)
/// theta, from theta_bar = theta: target networks, Polyak averaging, the opponent of Nash-EMA. Not trainable itself.
template <class Policy>
class averaged : public frozen<Policy> {
public:
    exponential_moving_average average;

    /// Throws `domain_violation` unless 0 <= decay <= 1.
    constexpr explicit averaged(Policy policy, double decay = 0.999)
        : frozen<Policy>(std::move(policy)), average{decay} {
        require_domain(decay >= 0 && decay <= 1, "averaged", "decay", "a number in [0, 1]", decay);
    }

    /// Moves towards the policy. Throws `argument_error` where it has another number of parameters.
    constexpr void update(Policy const& policy) {
        auto const theta_bar = this->frozen_policy().parameters();
        auto const theta = policy.parameters();
        require(theta.size() == theta_bar.size(), "averaged::update", "policy", theta_bar.size(), theta.size());
        average(theta_bar, theta, theta_bar);
    }
};

} // namespace poise::policy
