#pragma once

#include "poise/core/scan.hpp"
#include "poise/core/segment.hpp"
#include "poise/core/sort.hpp"
#include "poise/execution/row_kernel.hpp"

#include <array>
#include <vector>

/// The weighted negative log-likelihood of a ranking under the Plackett-Luce model (Plackett 1975, Luce 1959; the
/// weights as in slug pld: arXiv 2506.12542): items are chosen one after another, each with softmax probability among
/// those that are left. With scores x_k *in ranking order*, weights alpha_k >= 0 of the steps and L_k = log sum_{l>=k}
/// e^{x_l},
///     loss = sum_k alpha_k (L_k - x_k),    g_p = sum_{k<=p} alpha_k e^{x_p - L_k} - alpha_p,
///     H    = sum_k alpha_k (diag(p^k) - p^k p^k^T),    p^k = softmax over the items left at step k.
/// It is convex in the scores and does not change when all of them are shifted.
namespace poise::objective {

/// L_k = log sum_{l>=k} e^{x_l}, each suffix shifted by its own maximum. The last step's L - x is exactly 0.
constexpr void suffix_log_sum_exp(writable_row auto suffix, row_of_reals auto scores) {
    cumulative_log_sum_exp(reversed(suffix), reversed(scores));
}

namespace detail {

/// out_p = e^{L_p - L_{p-1}}, how much is left of the sum of exponentials after a step; out_0 = 0. In (0, 1].
template <writable_row Out, row_of_reals Suffix>
constexpr void remaining_share(Out out, Suffix suffix) {
    auto const n = suffix.size();
    fill(segment(out, 0, 1), real_of<value_of<Out>>(0));
    map(
        segment(out, 1, n - 1), [](auto now, auto before) { return math::exp(now - before); },
        segment(suffix, 1, n - 1), segment(suffix, 0, n - 1));
}

} // namespace detail

/// The loss, and its gradient, of scores and weights in ranking order. O(C), and finite however far the scores lie
/// apart:
///     g_p = e^{x_p - L_p} d_p - alpha_p,  d_p = sum_{k<=p} alpha_k e^{L_p - L_k} = e^{L_p - L_{p-1}} d_{p-1} +
///     alpha_p.
/// `scratch` holds two rows.
template <row_of_reals Scores, row_of_reals Weights, writable_row Gradient>
constexpr auto ranked_plackett_luce(Scores scores, Weights weights, Gradient gradient, auto const& scratch) {
    auto const suffix = scratch[0], share = scratch[1];
    suffix_log_sum_exp(suffix, scores);
    detail::remaining_share(share, suffix);
    linear_recurrence(gradient, share, weights);
    map(
        gradient, [](auto x, auto L, auto d, auto alpha) { return math::exp(x - L) * d - alpha; }, scores, suffix,
        gradient, weights);
    return sum([](auto alpha, auto L, auto x) { return alpha * (L - x); }, weights, suffix, scores);
}

namespace detail {

constexpr void check_permutation(char const* function, auto const& permutation) {
    for (std::size_t i = 0; i < permutation.rows(); ++i) {
        auto const n = permutation.length(i);
        auto seen = std::vector<char>(n, 0);
        for (std::size_t k = 0; k < n; ++k) {
            auto const value = permutation(i, k);
            auto const in_range = value >= 0 && value < static_cast<decltype(value)>(n);
            auto const index = in_range ? static_cast<std::size_t>(value) : 0;
            auto const once = in_range && static_cast<decltype(value)>(index) == value && !seen[index];
            require_domain(once, function, "permutation", "every index below its length exactly once", value);
            seen[index] = 1;
        }
    }
}

} // namespace detail

/// Kernel: weighted_plackett_luce(scores, permutation, weights) -> loss, gradient. `permutation` lists the items from
/// first to last, `weights` belong to the steps (ranking order, any numbers >= 0), scores and gradient to the items.
/// NaN scores give NaN.
struct plackett_luce {
    static constexpr std::size_t scratch_rows = 4;
    static constexpr std::array<char const*, 5> argument_names = {"scores", "permutation", "weights", "loss",
                                                                  "gradient"};

    constexpr void operator()(row_of_reals auto scores, row_of_reals auto permutation, row_of_reals auto weights,
                              writable_row auto loss, writable_row auto gradient, auto const& scratch) const {
        auto const ranked = scratch[2], ranked_gradient = scratch[3];
        gather(ranked, scores, permutation);
        loss[0] = ranked_plackett_luce(ranked, weights, ranked_gradient, scratch);
        scatter(gradient, ranked_gradient, permutation);
    }

    constexpr void check(auto const& scores, auto const& permutation, auto const& weights, auto const& loss,
                         auto const& gradient) const {
        check_ranking("plackett_luce", scores, permutation, weights);
        for (std::size_t i = 0; i < scores.rows(); ++i) {
            require(loss.length(i) == 1, "plackett_luce", "loss", 1, loss.length(i));
            require(gradient.length(i) == scores.length(i), "plackett_luce", "gradient", scores.length(i),
                    gradient.length(i));
        }
    }

    static constexpr void check_ranking(char const* function, auto const& scores, auto const& permutation,
                                        auto const& weights) {
        auto const rows = poise::detail::checked_rows<void>(scores, permutation, weights); // some may be shared
        for (std::size_t i = 0; i < rows; ++i) {
            auto const n = scores.length(i);
            require(n > 0, function, "scores", "at least one item", n);
            require(permutation.length(i) == n, function, "permutation", n, permutation.length(i));
            require(weights.length(i) == n, function, "weights", n, weights.length(i));
            for (std::size_t k = 0; k < n; ++k)
                require_domain(weights(i, k) >= 0, function, "weights", "numbers not below 0", weights(i, k));
        }
        detail::check_permutation(function, permutation);
    }
};

/// Kernel: the Hessian of `plackett_luce` in the scores, (scores, permutation, weights) -> C x C elements row after
/// row, in the order of the items. Two items at positions p <= q are both left at the steps k <= p, so
///     H_ij = [i = j] (g_i + alpha) - e^{s_i + s_j + min(c_i, c_j)},    c_p = log sum_{k<=p} alpha_k e^{-2 L_k},
/// where c grows with the position. Positive semidefinite; H 1 = 0.
struct plackett_luce_hessian {
    static constexpr std::size_t scratch_rows = 6;
    static constexpr std::array<char const*, 4> argument_names = {"scores", "permutation", "weights", "hessian"};

    constexpr void operator()(row_of_reals auto scores, row_of_reals auto permutation, row_of_reals auto weights,
                              writable_row auto hessian, auto const& scratch) const {
        using T = value_of<decltype(scores)>;
        auto const work = [&](std::size_t i) { return matrix_row(scratch[i], 0, scores); };
        auto const suffix = work(0), share = work(1), ranked = work(2), sums = work(3), chosen = work(4),
                   both = work(5);
        gather(ranked, scores, permutation);
        suffix_log_sum_exp(suffix, ranked);
        detail::remaining_share(share, suffix);
        linear_recurrence(sums, share, weights);
        map(sums, [](auto x, auto L, auto d) { return math::exp(x - L) * d; }, ranked, suffix, sums);
        scatter(chosen, sums, permutation);
        map(share, [](auto r) { return r * r; }, share);
        linear_recurrence(sums, share, weights);
        map(sums, [](auto L, auto d) { return math::log(d) - T(2) * L; }, suffix, sums);
        scatter(both, sums, permutation);
        for (std::size_t i = 0; i < scores.size(); ++i) {
            auto const score = T(scores[i]), probability = T(chosen[i]), c = T(both[i]);
            auto const diagonal = real_of<T>(i);
            map(
                matrix_row(hessian, i, scores),
                [=](auto s, auto other, auto j) {
                    return math::select(j == diagonal, probability, T(0)) - math::exp(score + s + math::min(c, other));
                },
                scores, both, indices_of(scores));
        }
    }

    constexpr void check(auto const& scores, auto const& permutation, auto const& weights, auto const& hessian) const {
        plackett_luce::check_ranking("plackett_luce_hessian", scores, permutation, weights);
        for (std::size_t i = 0; i < scores.rows(); ++i)
            require(hessian.length(i) == scores.length(i) * scores.length(i), "plackett_luce_hessian", "hessian",
                    scores.length(i) * scores.length(i), hessian.length(i));
    }
};

} // namespace poise::objective
