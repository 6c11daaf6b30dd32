#pragma once

#include "poise/core/segment.hpp"
#include "poise/core/verbs.hpp"
#include "poise/execution/row_kernel.hpp"

#include <algorithm>
#include <array>
#include <string_view>

/// A pairwise preference model as a matrix P, P[i][j] = the probability that action i is preferred to action j, with
/// P[i][j] + P[j][i] = 1; transitive or not. As a row it is n^2 elements, row after row (slug nash-md).
namespace poise::reward {

/// How far P[i][j] + P[j][i], or the sum of a distribution, may be from 1: 1e-9, or some roundings in `float`.
template <class Real>
inline constexpr double unit_tolerance = std::max(1e-9, 16.0 * double(std::numeric_limits<Real>::epsilon()));

/// u_i = sum_j P[i][j] nu_j = P(i > nu): how likely each action wins against the policy nu.
template <row_of_reals Matrix, row_of_reals Row, writable_row Out>
constexpr void win_probabilities(Out out, Matrix preferences, Row opponent) {
    for (std::size_t i = 0; i < opponent.size(); ++i)
        out[i] = weighted_sum(matrix_row(preferences, i, opponent), opponent);
}

/// win(p, q) = p^T P q = P(p > q): the probability that an action of p is preferred to one of q.
template <row_of_reals Matrix, row_of_reals Row>
constexpr auto win_probability(Matrix preferences, Row policy, row_of_reals auto opponent) {
    auto total = value_of<Row>(0);
    for (std::size_t i = 0; i < policy.size(); ++i)
        total += value_of<Row>(policy[i]) * weighted_sum(matrix_row(preferences, i, opponent), opponent);
    return total;
}

/// Throws unless `preferences` holds n^2 probabilities with P[i][j] + P[j][i] = 1. `at(k)` is element k.
template <class At>
constexpr void check_preferences(std::string_view function, std::size_t elements, std::size_t n, At const& at) {
    require(elements == n * n, function, "preferences", "a square matrix, one row and one column per action", elements);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j <= i; ++j) {
            auto const p = at(i * n + j), q = at(j * n + i);
            using T = std::remove_cvref_t<decltype(p)>;
            constexpr auto tolerance = T(real_of<T>(unit_tolerance<real_of<T>>));
            require_domain(p >= T(0) && p <= T(1), function, "preferences", "probabilities in [0, 1]", p);
            require_domain(math::abs(p + q - T(1)) <= tolerance, function, "preferences",
                           "P[i][j] + P[j][i] = 1 for all i and j", p + q);
        }
}

/// Throws unless the n elements `at(k)` are a probability distribution.
template <class At>
constexpr void check_distribution(std::string_view function, std::string_view argument, std::size_t elements,
                                  std::size_t n, At const& at) {
    require(elements == n && n > 0, function, argument, n, elements);
    using T = std::remove_cvref_t<decltype(at(0))>;
    auto total = T(0);
    for (std::size_t k = 0; k < n; ++k) {
        auto const p = at(k);
        require_domain(p >= T(0), function, argument, "probabilities that are not negative", p);
        total += p;
    }
    require_domain(math::abs(total - T(1)) <= T(real_of<T>(unit_tolerance<real_of<T>>)), function, argument,
                   "probabilities that sum to 1", total);
}

/// The number of actions of game i of a batch of matrices.
template <class Matrices>
constexpr std::size_t actions_of(Matrices const& preferences, std::size_t i) {
    auto const elements = preferences.length(Matrices::is_shared ? 0 : i);
    auto n = std::size_t{0};
    while (n * n < elements) ++n;
    return n;
}

/// `check_preferences` for every row of a batch.
constexpr void check_preference_batch(std::string_view function, auto const& preferences) {
    for (std::size_t i = 0; i < preferences.rows(); ++i)
        check_preferences(function, preferences.length(i), actions_of(preferences, i),
                          [&](std::size_t k) { return preferences(i, k); });
}

/// Throws unless every row of the batch has one element per action of its game; either may be shared by all rows.
constexpr void check_length_batch(std::string_view function, std::string_view argument, auto const& batch,
                                  auto const& preferences) {
    auto const rows = poise::detail::checked_rows<void>(batch, preferences);
    for (std::size_t i = 0; i < rows; ++i)
        require(batch.length(i) == actions_of(preferences, i), function, argument, actions_of(preferences, i),
                batch.length(i));
}

/// Throws unless every row of the batch is one number.
constexpr void check_number_batch(std::string_view function, std::string_view argument, auto const& batch) {
    for (std::size_t i = 0; i < batch.rows(); ++i)
        require(batch.length(i) == 1, function, argument, "one number per row", batch.length(i));
}

/// `check_distribution` for every row of a batch.
constexpr void check_distribution_batch(std::string_view function, std::string_view argument, auto const& batch,
                                        auto const& preferences) {
    check_length_batch(function, argument, batch, preferences);
    for (std::size_t i = 0; i < batch.rows(); ++i)
        check_distribution(function, argument, batch.length(i), actions_of(preferences, i),
                           [&](std::size_t k) { return batch(i, k); });
}

/// Kernel: the payoff vector u_i = P(i > nu) of a row of P against a policy nu.
struct payoff {
    static constexpr std::array<char const*, 3> argument_names = {"preferences", "opponent", "payoffs"};

    constexpr void operator()(row_of_reals auto preferences, row_of_reals auto opponent,
                              writable_row auto payoffs) const {
        win_probabilities(payoffs, preferences, opponent);
    }
    constexpr void check(auto const& preferences, auto const& opponent, auto const& payoffs) const {
        check_preference_batch("payoff", preferences);
        check_distribution_batch("payoff", "opponent", opponent, preferences);
        check_length_batch("payoff", "payoffs", payoffs, preferences);
    }
};

} // namespace poise::reward
