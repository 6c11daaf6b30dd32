#pragma once

#include "poise/metric/duality_gap.hpp"

/// Best responses to an opponent in a preference game (slug nash-md).
namespace poise::policy {

/// Kernel: the KL-regularised best response BR_tau(nu)_i = mu_i exp(u_i(nu) / tau) / Z with u_i(nu) = P(i > nu), and
/// its value max_q P_tau(q > nu) = tau log Z + tau KL(nu || mu). tau > 0: without regularisation it is a set, see
/// `tied_best_response`.
struct regularized_best_response {
    double regularization = 0.1; ///< tau

    static constexpr std::size_t scratch_rows = 1;
    static constexpr std::array<char const*, 5> argument_names = {"preferences", "opponent", "reference", "policy",
                                                                  "value"};

    constexpr void operator()(row_of_reals auto preferences, row_of_reals auto opponent, row_of_reals auto reference,
                              writable_row auto policy, writable_row auto value, auto const& scratch) const {
        using T = value_of<decltype(opponent)>;
        auto const tau = T(real_of<T>(regularization));
        auto const payoffs = matrix_row(scratch[0], 0, opponent);
        reward::win_probabilities(payoffs, preferences, opponent);
        value[0] = metric::best_response_value(payoffs, opponent, reference, tau);
        map(policy, [=](auto u, auto mu) { return math::log(mu) + u / tau; }, payoffs, reference);
        softmax(policy, policy);
    }

    constexpr void check(auto const& preferences, auto const& opponent, auto const& reference, auto const& policy,
                         auto const& value) const {
        constexpr auto name = "regularized_best_response";
        require_domain(regularization > 0, name, "regularization",
                       "tau > 0 (at tau = 0 the best response is a set: see tied_best_response)", regularization);
        reward::check_preference_batch(name, preferences);
        reward::check_distribution_batch(name, "opponent", opponent, preferences);
        reward::check_distribution_batch(name, "reference", reference, preferences);
        reward::check_length_batch(name, "policy", policy, preferences);
        reward::check_number_batch(name, "value", value);
    }
};

/// Kernel: the best response without regularisation that breaks ties evenly: uniform on argmax_i u_i(nu).
struct tied_best_response {
    static constexpr std::size_t scratch_rows = 1;
    static constexpr std::array<char const*, 3> argument_names = {"preferences", "opponent", "policy"};

    constexpr void operator()(row_of_reals auto preferences, row_of_reals auto opponent, writable_row auto policy,
                              auto const& scratch) const {
        auto const payoffs = matrix_row(scratch[0], 0, opponent);
        reward::win_probabilities(payoffs, preferences, opponent);
        auto const greatest = maximum(payoffs);
        map(
            policy,
            [=](auto u) {
                using U = decltype(u);
                return math::select(u == greatest, U(1), math::select(u < greatest, U(0), u)); // NaN stays NaN
            },
            payoffs);
        auto const ties = sum(policy);
        map(policy, [=](auto p) { return p / ties; }, policy);
    }

    constexpr void check(auto const& preferences, auto const& opponent, auto const& policy) const {
        reward::check_preference_batch("tied_best_response", preferences);
        reward::check_distribution_batch("tied_best_response", "opponent", opponent, preferences);
        reward::check_length_batch("tied_best_response", "policy", policy, preferences);
    }
};

} // namespace poise::policy
