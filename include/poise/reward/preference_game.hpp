#pragma once

#include "poise/metric/duality_gap.hpp"

#include <string_view>
#include <vector>

namespace poise::reward {

/// N elements: an array where N is known, else a vector.
template <class T, std::size_t N>
using elements = std::conditional_t<N == dynamic, std::vector<T>, std::array<T, N>>;

namespace detail {

inline constexpr auto square_of = [](std::size_t n) { return n == dynamic ? dynamic : n * n; };

/// f(lane i of the scalar's packs, as a function) for every lane; once for a plain scalar.
template <class T, class F>
constexpr void for_each_lane(F const& f) {
    if constexpr (requires { T::size; }) {
        for (std::size_t i = 0; i < T::size; ++i) f([i](T const& pack) { return pack[i]; });
    } else {
        f([](T const& value) { return value; });
    }
}

} // namespace detail

/// The KL-regularised preference game of one context (slug nash-md): P, the reference mu and tau. Its players each
/// choose a distribution over N actions; p wins against q with P_tau(p > q) = p^T P q - tau KL(p || mu) + tau KL(q ||
/// mu). T may be a pack: one game per lane.
template <scalar T, std::size_t N = dynamic>
struct preference_game {
    using policy_type = elements<T, N>;

    elements<T, detail::square_of(N)> preferences{}; ///< P[i][j] at i N + j
    policy_type reference{};                         ///< mu
    T regularization = T(0);                         ///< tau >= 0

    constexpr std::size_t actions() const { return reference.size(); }
    constexpr auto preference_row() const { return row(preferences); }
    constexpr auto reference_row() const { return row(reference); }

    /// gap_tau(p); 0 at the equilibrium only.
    constexpr T gap(policy_type const& policy) const {
        auto payoffs = policy;
        return metric::gap_of_policy(preference_row(), row(policy), reference_row(), regularization, row(payoffs));
    }
    /// gap_tau(p, q)
    constexpr T gap(policy_type const& policy, policy_type const& opponent) const {
        auto payoffs = policy;
        return metric::gap_of_pair(preference_row(), row(policy), row(opponent), reference_row(), regularization,
                                   row(payoffs));
    }

    /// Throws unless P is a preference matrix, mu a distribution and tau >= 0.
    constexpr void check(std::string_view function) const {
        detail::for_each_lane<T>([&](auto lane) {
            check_preferences(function, preferences.size(), actions(),
                              [&](std::size_t k) { return lane(preferences[k]); });
            check_distribution(function, "reference", actions(), actions(),
                               [&](std::size_t k) { return lane(reference[k]); });
            auto const tau = lane(regularization);
            require_domain(tau >= decltype(tau)(0), function, "regularization", "tau >= 0", tau);
        });
    }
    /// Throws unless `policy` is a distribution over the game's actions.
    constexpr void check_policy(std::string_view function, std::string_view argument, policy_type const& policy) const {
        detail::for_each_lane<T>([&](auto lane) {
            check_distribution(function, argument, policy.size(), actions(),
                               [&](std::size_t k) { return lane(policy[k]); });
        });
    }
};

} // namespace poise::reward
