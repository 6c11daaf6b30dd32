#pragma once

#include "poise/core/constant_row.hpp"
#include "poise/core/lengths.hpp"
#include "poise/objective/importance_ratio.hpp"
#include "poise/objective/trust_region.hpp"

#include <array>

namespace poise::objective {

namespace detail {

template <class Region>
concept keeps_score = requires { requires Region::keeps_score; };

/// Loss and slope of one element: in log rho, or where the region keeps the score in log pi.
template <class Region, class V>
constexpr auto surrogate_terms(Region const& region, V log_ratio, V advantage, V log_p) {
    if constexpr (keeps_score<Region>) {
        auto const slope = -region.weight(log_ratio, advantage) * advantage;
        return std::pair{slope * log_p, slope};
    } else {
        return region(log_ratio, advantage);
    }
}

} // namespace detail

/// The surrogate of policy optimisation, per element: of the importance ratio rho (objective/importance_ratio.hpp) and
/// the advantage A, a constant, the trust region (objective/trust_region.hpp) makes
///     loss = w g(rho, A) and its gradient in log pi,
/// with the surrogate weight w, 1 if nobody gives one. PPO's and GRPO's is `surrogate<>`, GSPO's
/// `surrogate<ratio::sequence>{.trust_region = {.low = 3e-4, .high = 4e-4}}`, SAPO's `surrogate<ratio::token,
/// trust_region::sigmoid>`.
///
/// A ratio of whole sequences stands at each of their tokens, so that the mean over a sequence's tokens is the
/// sequence's loss; the gradients are those of any aggregation by sequences. They couple the tokens: what weighs single
/// tokens must come in the surrogate weight, as pipelines say where they are composed. Alone such a kernel takes a row
/// for a sequence.
template <class Ratio = ratio::token, class TrustRegion = trust_region::clipped>
struct surrogate {
    Ratio ratio{};
    TrustRegion trust_region{};

    static constexpr bool couples_tokens = Ratio::couples_tokens;
    /// Whether a token's gradient depends on the weights of others.
    static constexpr bool couples_gradients = [] {
        if constexpr (couples_tokens)
            return Ratio::couples_gradients && !detail::keeps_score<TrustRegion>;
        else
            return false;
    }();
    using reads = typename Ratio::reads;
    using reads_if_given = std::conditional_t<couples_tokens, fields<>, fields<field::surrogate_weight>>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    using scope = std::conditional_t<couples_tokens, per_sequence, whole_row>;
    static constexpr bool writes_once = !couples_tokens;

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto advantage, writable_row auto loss, writable_row auto gradient,
                              row_of_reals auto... weight) const
        requires(reads::size == 3)
    {
        map_pair(
            loss, gradient,
            [rho = ratio, region = trust_region](auto log_p, auto old, auto a, auto... w) {
                auto const [value, slope] = detail::surrogate_terms(region, rho.log_ratio(log_p, old), a, log_p);
                return std::pair{(value * ... * w), (slope * ... * w)};
            },
            log_probability, old_log_probability, advantage, weight...);
    }

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto advantage, row_of_reals auto length, writable_row auto loss,
                              writable_row auto gradient, row_of_reals auto... weight) const
        requires(reads::size == 4)
    {
        map_pair(
            loss, gradient,
            [rho = ratio, region = trust_region](auto log_p, auto old, auto a, auto n, auto... w) {
                auto const terms = detail::surrogate_terms(region, rho.log_ratio(log_p, old) / n, a, log_p);
                auto const slope = detail::keeps_score<TrustRegion> ? terms.second : terms.second / n;
                return std::pair{(terms.first * ... * w), (slope * ... * w)};
            },
            log_probability, old_log_probability, advantage, length, weight...);
    }

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto advantage, row_of_reals auto mask, row_of_reals auto weight,
                              writable_row auto loss, writable_row auto gradient) const
        requires(reads::size == 5)
    {
        of_sequence(log_probability, old_log_probability, advantage, mask, weight, loss, gradient);
    }

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto advantage, row_of_reals auto mask, row_of_reals auto weight,
                              row_of_reals auto sampling_ratio, writable_row auto loss,
                              writable_row auto gradient) const
        requires(reads::size == 6)
    {
        of_sequence(log_probability, old_log_probability, advantage, mask, weight, loss, gradient,
                    repeated(sampling_ratio, loss.size()));
    }

    constexpr void check_hyperparameters() const {
        check_of(ratio);
        check_of(trust_region);
    }
    constexpr void check(auto const& log_probability, auto const&... others) const {
        check_hyperparameters();
        (check_length(log_probability, others), ...);
    }

private:
    constexpr void of_sequence(auto log_probability, auto old_log_probability, auto advantage, auto mask, auto weight,
                               auto loss, auto gradient, auto... more) const {
        static_assert(one_number_per_token<decltype(loss), decltype(log_probability), decltype(old_log_probability)>,
                      "surrogate: log-probabilities have one number per token, not per sequence");
        auto const n = loss.size();
        auto const a = repeated(advantage, n), m = repeated(mask, n), w = repeated(weight, n);
        auto const log_ratio = ratio.log_ratio(log_probability, old_log_probability, a, m, w, more...);
        map_pair(
            loss, gradient,
            [log_ratio, region = trust_region](auto log_p, auto advantage_here, auto counts, auto weight_here) {
                using V = decltype(log_p);
                auto const terms = detail::surrogate_terms(region, V(log_ratio), V(advantage_here), log_p);
                auto const factor = weighs_tokens ? V(1) : V(weight_here);
                return std::pair{counted(counts, factor * terms.first), counted(counts, factor * terms.second)};
            },
            log_probability, a, m, w);
        if constexpr (!detail::keeps_score<TrustRegion>)
            ratio.pull_back(gradient, log_probability, old_log_probability, a, m, w);
    }

    static constexpr bool weighs_tokens = requires { Ratio::weighs_tokens; };
    template <class Loss, class... Rows>
    static constexpr bool one_number_per_token = Loss::extent == 1 || ((Rows::extent != 1) && ...);

    static constexpr void check_of(auto const& part) {
        if constexpr (requires { part.check_hyperparameters(); }) part.check_hyperparameters();
    }
    template <class Like, class Batch>
    static constexpr void check_length(Like const& log_probability, Batch const& batch) {
        if constexpr (Batch::extent != 1 || Like::extent == 1)
            require_length_of("surrogate", "what belongs to log_probability", batch, log_probability);
    }
};

} // namespace poise::objective
