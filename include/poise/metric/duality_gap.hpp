#pragma once

#include "poise/reward/preference_matrix.hpp"

/// The KL-regularised preference game and how far a policy is from its Nash equilibrium (slug nash-md: Munos et al.,
/// "Nash Learning from Human Feedback", 2023, arXiv 2312.00886; the identities of the gap are proved in
/// docs/methods/nash-md.md). tau is the `regularization`, mu the `reference`; at tau = 0 the KL terms are left out
/// altogether, so that a policy outside the support of mu has a finite value.
namespace poise::metric {

/// tau KL(p || mu), and 0 at tau = 0 whatever the divergence.
template <row_of_reals Row>
constexpr auto regularized_divergence(Row policy, row_of_reals auto reference, auto regularization) {
    auto const tau = value_of<Row>(regularization);
    return math::select(tau == value_of<Row>(0), value_of<Row>(0), tau * kl_divergence(policy, reference));
}

/// P_tau(p > q) = p^T P q - tau KL(p || mu) + tau KL(q || mu). -inf for p outside the support of mu, +inf for q
/// outside, NaN for both.
constexpr auto regularized_win_probability(row_of_reals auto preferences, row_of_reals auto policy,
                                           row_of_reals auto opponent, row_of_reals auto reference,
                                           auto regularization) {
    return reward::win_probability(preferences, policy, opponent) -
           regularized_divergence(policy, reference, regularization) +
           regularized_divergence(opponent, reference, regularization);
}

/// max_q P_tau(q > p) = tau log sum_i mu_i exp(u_i(p) / tau) + tau KL(p || mu); at tau = 0 max_i u_i(p). +inf for p
/// outside the support of mu. `payoffs` holds u(p).
template <row_of_reals Row>
constexpr auto best_response_value(Row payoffs, row_of_reals auto policy, row_of_reals auto reference,
                                   auto regularization) {
    using T = value_of<Row>;
    auto const tau = T(regularization);
    auto const unregularized = tau == T(0);
    auto const divisor = math::select(unregularized, T(1), tau);
    auto const tilted = [=](auto u, auto mu) { return math::log(mu) + u / divisor; };
    auto const shift = poise::detail::exponent_shift(maximum(tilted, payoffs, reference));
    auto const soft_maximum =
        shift + math::log(sum([=](auto u, auto mu) { return math::exp(tilted(u, mu) - shift); }, payoffs, reference));
    return math::select(unregularized, maximum(payoffs), tau * soft_maximum) +
           regularized_divergence(policy, reference, regularization);
}

/// gap_tau(p) = max_q P_tau(q > p) - min_q P_tau(p > q) = 2 (max_q P_tau(q > p) - 1/2) = 2 tau KL(p || BR_tau(p)): 0 at
/// the equilibrium only. `payoffs` is working memory as long as `policy`.
template <row_of_reals Row>
constexpr auto gap_of_policy(row_of_reals auto preferences, Row policy, row_of_reals auto reference,
                             auto regularization, writable_row auto payoffs) {
    using T = value_of<Row>;
    reward::win_probabilities(payoffs, preferences, policy);
    map(payoffs, [](auto u) { return u - decltype(u)(0.5); }, payoffs); // what is left is of the gap's own size
    return T(2) * best_response_value(payoffs, policy, reference, regularization);
}

/// gap_tau(p, q) = max_a P_tau(a > q) - min_b P_tau(p > b) = max_a P_tau(a > q) - 1 + max_b P_tau(b > p), the mean of
/// the two players' own gaps.
template <row_of_reals Row>
constexpr auto gap_of_pair(row_of_reals auto preferences, Row policy, row_of_reals auto opponent,
                           row_of_reals auto reference, auto regularization, writable_row auto payoffs) {
    return (gap_of_policy(preferences, policy, reference, regularization, payoffs) +
            gap_of_policy(preferences, opponent, reference, regularization, payoffs)) /
           value_of<Row>(2);
}

/// Kernel: win = p^T P q and value = P_tau(p > q), one game per row.
struct regularized_preference {
    double regularization = 0; ///< tau >= 0

    static constexpr std::array<char const*, 6> argument_names = {"preferences", "policy", "opponent",
                                                                  "reference",   "win",    "value"};
    constexpr void operator()(row_of_reals auto preferences, row_of_reals auto policy, row_of_reals auto opponent,
                              row_of_reals auto reference, writable_row auto win, writable_row auto value) const {
        using real = real_of<value_of<decltype(policy)>>;
        win[0] = reward::win_probability(preferences, policy, opponent);
        value[0] = regularized_win_probability(preferences, policy, opponent, reference, real(regularization));
    }
    constexpr void check(auto const& preferences, auto const& policy, auto const& opponent, auto const& reference,
                         auto const& win, auto const& value) const {
        constexpr auto name = "regularized_preference";
        require_domain(regularization >= 0, name, "regularization", "tau >= 0", regularization);
        reward::check_preference_batch(name, preferences);
        reward::check_distribution_batch(name, "policy", policy, preferences);
        reward::check_distribution_batch(name, "opponent", opponent, preferences);
        reward::check_distribution_batch(name, "reference", reference, preferences);
        reward::check_number_batch(name, "win", win);
        reward::check_number_batch(name, "value", value);
    }
};

/// Kernel: gap = gap_tau(p), one game per row.
struct duality_gap {
    double regularization = 0; ///< tau >= 0

    static constexpr std::size_t scratch_rows = 1;
    static constexpr std::array<char const*, 4> argument_names = {"preferences", "policy", "reference", "gap"};
    constexpr void operator()(row_of_reals auto preferences, row_of_reals auto policy, row_of_reals auto reference,
                              writable_row auto gap, auto const& scratch) const {
        using real = real_of<value_of<decltype(policy)>>;
        gap[0] = gap_of_policy(preferences, policy, reference, real(regularization), matrix_row(scratch[0], 0, policy));
    }
    constexpr void check(auto const& preferences, auto const& policy, auto const& reference, auto const& gap) const {
        require_domain(regularization >= 0, "duality_gap", "regularization", "tau >= 0", regularization);
        reward::check_preference_batch("duality_gap", preferences);
        reward::check_distribution_batch("duality_gap", "policy", policy, preferences);
        reward::check_distribution_batch("duality_gap", "reference", reference, preferences);
        reward::check_number_batch("duality_gap", "gap", gap);
    }
};

} // namespace poise::metric
