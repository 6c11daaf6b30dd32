#pragma once

#include "poise/policy/diagonal_gaussian.hpp"

namespace poise::policy {

/// An action in (-1, 1)^N that remembers u = artanh(action), which rounding would lose near -1 and 1.
template <scalar T, std::size_t N>
struct squashed_action {
    std::array<T, N> before{}; ///< u

    static constexpr std::size_t size() { return N; }
    /// The action itself, tanh(u_k).
    constexpr T operator[](std::size_t k) const { return math::tanh(before[k]); }

    friend constexpr bool operator==(squashed_action const&, squashed_action const&) = default;
};

/// a = tanh(u) (Haarnoja, Zhou, Abbeel and Levine, "Soft actor-critic", ICML 2018, appendix C).
struct tanh_squash {
    static constexpr bool changes_volume = true;
    template <scalar T, std::size_t N>
    using action = squashed_action<T, N>;

    template <class Action>
    static constexpr auto const& before(Action const& a) {
        return a.before;
    }

    /// log |da / du| = log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)), accurate for all u.
    template <class T>
    static constexpr T log_slope(T u) {
        return T(2) * (T(0.693147180559945309) - u - math::softplus(T(-2) * u));
    }

    /// E[log |da / du|] over u ~ N(mean, deviation^2), and its derivatives in the mean and in the log-deviation, by the
    /// trapezoidal rule in (u - mean) / deviation with step 1/4 on [-8, 8]: its error falls like
    /// e^(-4 pi^2 / deviation), below 1e-8 up to a deviation of 2 and 1e-3 at 5.
    template <class T>
    static constexpr std::array<T, 3> expected_log_slope(T mean, T deviation) {
        auto value = T(0), in_mean = T(0), in_log_deviation = T(0);
        for (std::size_t j = 0; j < weights.size(); ++j) {
            auto const x = T(node(j)), weight = T(weights[j]), u = mean + deviation * x;
            auto const slope = T(-2) * math::tanh(u); // of log_slope
            value += weight * log_slope(u);
            in_mean += weight * slope;
            in_log_deviation += weight * slope * deviation * x;
        }
        return {value, in_mean, in_log_deviation};
    }

private:
    static constexpr double node(std::size_t j) { return 0.25 * static_cast<double>(j) - 8; }
    // The normal density at the nodes, scaled to sum to 1.
    static constexpr auto weights = [] {
        auto values = std::array<double, 65>{};
        for (std::size_t j = 0; j < values.size(); ++j) {
            auto const x = 0.25 * static_cast<double>(j) - 8;
            values[j] = math::exp(-0.5 * x * x);
        }
        auto const total = sum(row(values));
        for (auto& value : values) value /= total;
        return values;
    }();
};

/// A normal distribution squashed into (-1, 1): action[k] = tanh(u_k), u_k ~ N(mu_k(x), sigma_k^2).
template <scalar T, layer... Layers>
using tanh_gaussian = gaussian_policy<tanh_squash, T, Layers...>;

} // namespace poise::policy
