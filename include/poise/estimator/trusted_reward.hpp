#pragma once

#include "poise/weighting/trust.hpp"

#include <array>

namespace poise::field {

POISE_FIELD(thinking_weight, replaced); ///< of a group's thinking rewards beside the outcomes

} // namespace poise::field

namespace poise::estimator {

/// h_i = 0 where the outcome o_i is below a gate: bad answers get nothing for their reasoning. Before `trust` in the
/// released code of trust-grpo; not in the paper.
struct gated_thinking {
    double gate = 0.2;

    using reads = fields<field::outcome, field::thinking_reward>;
    using writes = fields<field::thinking_reward>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"outcome", "thinking_reward", "gated"};

    constexpr void operator()(row_of_reals auto outcome, row_of_reals auto thinking, writable_row auto gated) const {
        map(
            gated,
            [bound = real_of<value_of<decltype(gated)>>(gate)](auto o, auto h) {
                using V = decltype(h);
                return math::select(o < V(bound), V(0), h);
            },
            outcome, thinking);
    }
    constexpr void check_hyperparameters() const {
        require_domain(gate == gate, "gated_thinking", "gate", "a number, not NaN", gate);
    }
    constexpr void check(auto const& outcome, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("gated_thinking", argument_names, outcome, others...);
    }
};

/// The reward of trust-grpo (slug trust-grpo: Fan et al., 2025, arXiv 2505.17018): of the outcome o, the thinking
/// reward h and the trust gamma of the group (`weighting::trust`),
///     r_i = o_i + coefficient gamma h_i.
/// The paper anneals the coefficient, alpha e^{-step / T} (`solver::exponential_decay`). Of the trust, one number of
/// each row or repeated, the first of a row counts. In a group all of whose outcomes reach `saturated_high`, or none of
/// which exceeds `saturated_low`, the thinking reward is left out: 0.9 and 0.1 in the released code, never in the
/// paper. `thinking_weight` is coefficient gamma, or 0.
struct trusted_reward {
    double coefficient = 0.3;
    double saturated_low = -math::infinity<double>;
    double saturated_high = math::infinity<double>;

    using reads = fields<field::outcome, field::thinking_reward, field::trust>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<field::reward>;
    using writes_per_row = fields<field::thinking_weight>;
    static constexpr std::array argument_names{"outcome", "thinking_reward", "trust",
                                               "reward",  "thinking_weight", "sample_mask"};

    constexpr void operator()(row_of_reals auto outcome, row_of_reals auto thinking, row_of_reals auto trust,
                              writable_row auto reward, writable_row auto weight, row_of_reals auto... mask) const {
        using T = value_of<decltype(reward)>;
        using R = real_of<T>;
        auto const extreme = [](auto otherwise) {
            return [=](auto o, auto... m) {
                if constexpr (sizeof...(m) == 0)
                    return o;
                else
                    return counted(m..., o, decltype(o)(otherwise));
            };
        };
        auto const least = T(reduce(operation::minimum{}, extreme(math::infinity<R>), outcome, mask...));
        auto const greatest = T(maximum(extreme(-math::infinity<R>), outcome, mask...));
        auto const saturated = (least >= T(R(saturated_high))) | (greatest <= T(R(saturated_low)));
        auto const factor = math::select(saturated, T(0), T(R(coefficient)) * T(trust[0]));
        weight[0] = factor;
        map(
            reward,
            [=](auto o, auto h) {
                using V = decltype(h);
                return o + V(factor) * h;
            },
            outcome, thinking);
    }
    constexpr void check_hyperparameters() const {
        constexpr auto name = "trusted_reward";
        require_domain(coefficient >= 0 && math::isfinite(coefficient), name, "coefficient",
                       "a finite number not below 0", coefficient);
        require_domain(saturated_low < saturated_high, name, "saturated_low", "a number below saturated_high",
                       saturated_low);
    }
    constexpr void check(auto const& outcome, auto const& thinking, auto const& trust, auto const& reward,
                         auto const& weight, auto const&... mask) const {
        constexpr auto name = "trusted_reward";
        check_hyperparameters();
        poise::detail::check_not_empty(name, "outcome", outcome);
        poise::detail::check_not_empty(name, "trust", trust);
        require_length_of(name, "thinking_reward", thinking, outcome);
        require_length_of(name, "reward", reward, outcome);
        require_length(name, "thinking_weight", weight, 1);
        (require_length_of(name, "sample_mask", mask, outcome), ...);
        if constexpr (sizeof...(mask) == 0) {
            poise::detail::check_not_nan(name, "outcome", outcome);
            poise::detail::check_not_nan(name, "thinking_reward", thinking);
        }
    }
};

} // namespace poise::estimator
