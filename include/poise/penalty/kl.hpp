#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>
#include <utility>

/// Penalties on the distance from a reference policy, from samples of the policy: three estimates of KL(pi || ref),
/// with d = log pi - log ref of a sampled action (Schulman, "Approximating KL divergence", 2020). As losses they are
/// differentiated through log pi only: the gradient of k2 has the expectation of that of KL(pi || ref), k3 of KL(ref ||
/// pi), k1 none. Each gives its value and slope at d.
namespace poise::penalty {

/// d: unbiased, of either sign. As a loss its gradient has expectation 0: use it in the reward.
struct k1 {
    constexpr auto operator()(auto d) const { return std::pair{d, decltype(d)(1)}; }
};
/// d^2 / 2: biased, not below 0.
struct k2 {
    constexpr auto operator()(auto d) const { return std::pair{real_of<decltype(d)>(0.5) * d * d, d}; }
};
/// e^{-d} - 1 + d: unbiased, not below 0.
struct k3 {
    constexpr auto operator()(auto d) const {
        auto const slope = -math::expm1(-d);
        return std::pair{d - slope, slope};
    }
};

/// |d|, with slope 0 at 0: KL-Cov's (Cui et al., "The entropy mechanism of reinforcement learning for reasoning language
/// models", 2025, arXiv 2505.22617).
struct absolute {
    template <class V>
    constexpr auto operator()(V d) const {
        auto const sign = math::select(d > V(0), V(1), math::select(d < V(0), V(-1), d)); // 0 and NaN are themselves
        return std::pair{math::abs(d), sign};
    }
};
/// An estimate of d held within [-bound, bound], beyond which its slope is 0.
template <class Estimate>
struct clamped_exponent {
    double bound = 11;
    Estimate estimate{};

    template <class V>
    constexpr auto operator()(V d) const {
        auto const most = V(static_cast<real_of<V>>(bound));
        auto const [value, slope] = estimate(math::clamp(d, -most, most));
        return std::pair{value, math::select(math::abs(d) > most, V(0), slope)};
    }
    constexpr void check_hyperparameters() const {
        require_domain(bound > 0, "clamped_exponent", "bound", "a number above 0", bound);
    }
};
/// An estimate held within [-bound, bound], beyond which its slope is 0.
template <class Estimate>
struct clamped_value {
    double bound = 10;
    Estimate estimate{};

    template <class V>
    constexpr auto operator()(V d) const {
        auto const most = V(static_cast<real_of<V>>(bound));
        auto const [value, slope] = estimate(d);
        return std::pair{math::clamp(value, -most, most), math::select(math::abs(value) > most, V(0), slope)};
    }
    constexpr void check_hyperparameters() const {
        require_domain(bound > 0, "clamped_value", "bound", "a number above 0", bound);
    }
};

/// loss = coefficient k(log pi - log ref), per element, for one of the estimates above.
template <class Estimate>
struct kl {
    double coefficient = 0.1;
    Estimate estimate{};

    using reads = fields<field::log_probability, field::reference_log_probability>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"log_probability", "reference_log_probability", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto reference_log_probability,
                              writable_row auto loss, writable_row auto gradient) const {
        auto const c = real_of<value_of<decltype(loss)>>(coefficient);
        map_pair(
            loss, gradient,
            [c, k = estimate](auto log_p, auto log_q) {
                auto const [value, slope] = k(log_p - log_q);
                return std::pair{c * value, c * slope};
            },
            log_probability, reference_log_probability);
    }
    constexpr void check_hyperparameters() const {
        require_domain(coefficient >= 0 && math::isfinite(coefficient), "kl", "coefficient",
                       "a finite number not below 0", coefficient);
        if constexpr (requires { estimate.check_hyperparameters(); }) estimate.check_hyperparameters();
    }
    constexpr void check(auto const& log_probability, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("kl", argument_names, log_probability, others...);
    }
};

using kl_k1 = kl<k1>;
using kl_k2 = kl<k2>;
using kl_k3 = kl<k3>;

} // namespace poise::penalty
