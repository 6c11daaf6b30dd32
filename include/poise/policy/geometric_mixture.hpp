#pragma once

#include "poise/core/interpolate.hpp"
#include "poise/core/verbs.hpp"
#include "poise/execution/row_kernel.hpp"

#include <algorithm>
#include <array>
#include <span>

/// The normalised geometric mixture p^(1-w) q^w / Z: linear interpolation of logits. The opponent of Nash-MD and of its
/// policy-gradient form (slug nash-md: Munos et al., 2023, arXiv 2312.00886, sections 6 and 7); shared by distillation
/// and by decoding methods.
namespace poise::policy {

/// out_k = (1 - w) log p_k + w log q_k - log Z from two rows of logits (log-probabilities up to a constant), so that
/// sum_k e^{out_k} = 1. Exactly log_softmax of the one at w = 0 and of the other at w = 1, even where the other is
/// -inf.
template <writable_row Out, class Weight>
constexpr void log_geometric_mixture(Out out, row_of_reals auto logits, row_of_reals auto other_logits, Weight weight) {
    map(out, [=](auto a, auto b) { return math::interpolate(a, b, weight); }, logits, other_logits);
    log_softmax(out, out);
}

/// Kernel: mix(p, mu, w)_i = p_i^(1-w) mu_i^w / Z of two distributions; `weight` in [0, 1] is the weight of the
/// reference. Returns p itself at w = 0 and mu itself at w = 1. For 0 < w < 1 it is 0 where either is, and NaN if they
/// share no action.
struct geometric_mixture {
    double weight = 0.5;

    static constexpr std::array<char const*, 3> argument_names = {"policy", "reference", "mixture"};

    constexpr void operator()(row_of_reals auto policy, row_of_reals auto reference, writable_row auto mixture) const {
        using T = value_of<decltype(policy)>;
        auto const w = T(real_of<T>(weight));
        map(
            mixture, [=](auto p, auto q) { return math::interpolate(math::log(p), math::log(q), w); }, policy,
            reference);
        softmax(mixture, mixture);
        map(
            mixture, [=](auto p, auto q, auto m) { return math::select(w == T(0), p, math::select(w == T(1), q, m)); },
            policy, reference, mixture);
    }

    constexpr void check(auto const& policy, auto const& reference, auto const& mixture) const {
        require_domain(weight >= 0 && weight <= 1, "geometric_mixture", "weight", "a weight in [0, 1]", weight);
        auto const rows = poise::detail::checked_rows<geometric_mixture>(policy, reference); // one may be shared
        for (std::size_t i = 0; i < rows; ++i) {
            auto const n = policy.length(i);
            require(reference.length(i) == n, "geometric_mixture", "reference", n, reference.length(i));
            require(mixture.length(i) == n, "geometric_mixture", "mixture", n, mixture.length(i));
            auto shared_actions = std::size_t{0};
            for (std::size_t k = 0; k < n; ++k) shared_actions += policy(i, k) > 0 && reference(i, k) > 0;
            require_domain(shared_actions > 0 || weight == 0 || weight == 1, "geometric_mixture", "reference",
                           "an action that has probability in both distributions", "disjoint supports");
        }
    }
};

/// The weight of the reference in an epoch, counted from 0, from a list with one for each epoch, whose last repeats.
constexpr double mixture_weight_in_epoch(std::span<double const> weights, std::size_t epoch) {
    require(!weights.empty(), "mixture_weight_in_epoch", "weights", "at least one weight", 0);
    return weights[std::min(epoch, weights.size() - 1)];
}

/// Kernel: the mixture of two autoregressive policies one token at a time, from their next-token logits:
/// log softmax((1 - beta) logits + beta reference_logits), a row per position. Not the sequence-level mixture: the
/// normalisers depend on the prefix.
struct tokenwise_mixture {
    double weight = 0.5; ///< beta, of the reference; the common trainer's default

    static constexpr std::array<char const*, 3> argument_names = {"logits", "reference_logits", "log_probabilities"};

    constexpr void operator()(row_of_reals auto logits, row_of_reals auto reference_logits,
                              writable_row auto log_probabilities) const {
        log_geometric_mixture(log_probabilities, logits, reference_logits, real_of<value_of<decltype(logits)>>(weight));
    }

    constexpr void check(auto const& logits, auto const& reference_logits, auto const& log_probabilities) const {
        require_domain(weight >= 0 && weight <= 1, "tokenwise_mixture", "weight", "a weight in [0, 1]", weight);
        for (std::size_t i = 0; i < logits.rows(); ++i) {
            require(reference_logits.length(i) == logits.length(i), "tokenwise_mixture", "reference_logits",
                    logits.length(i), reference_logits.length(i));
            require(log_probabilities.length(i) == logits.length(i), "tokenwise_mixture", "log_probabilities",
                    logits.length(i), log_probabilities.length(i));
        }
    }
};

} // namespace poise::policy
