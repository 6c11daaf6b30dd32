#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/verbs.hpp"
#include "poise/objective/quantile_levels.hpp"

#include <array>

namespace poise::field {

POISE_FIELD(outcome, replaced);         ///< reward by a rule for the answer, usually in [0, 1]
POISE_FIELD(thinking_reward, replaced); ///< a model's score of the reasoning, in [0, 1]
POISE_FIELD(mean_correct, replaced);    ///< of the thinking rewards of responses that are right; 0 without any
POISE_FIELD(mean_wrong, replaced);
POISE_FIELD(trust, replaced); ///< in a group's thinking rewards, in (0, 1]

} // namespace poise::field

namespace poise::weighting {

/// How far the thinking rewards of a group of responses are to be trusted (slug trust-grpo: Fan et al., "SophiaVL-R1:
/// Reinforcing MLLMs Reasoning with Thinking Reward", 2025, arXiv 2505.17018): with the means mu_c and mu_w of the
/// thinking rewards of right (outcome >= threshold) and wrong responses,
///     trust = e^{min(mu_c - mu_w, 0)},   1 where all responses are right or all are wrong.
/// A scorer that likes wrong answers better loses weight, at most the factor 1/e for scores in [0, 1]. Responses that
/// do not count (sample_mask) are left out. As a kernel throws for an empty group and NaN.
struct trust {
    double threshold = 0.5;

    using reads = fields<field::outcome, field::thinking_reward>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<>;
    using writes_per_row = fields<field::mean_correct, field::mean_wrong, field::trust>;
    static constexpr std::array argument_names{"outcome",    "thinking_reward", "mean_correct",
                                               "mean_wrong", "trust",           "sample_mask"};

    constexpr void operator()(row_of_reals auto outcome, row_of_reals auto thinking, writable_row auto mean_correct,
                              writable_row auto mean_wrong, writable_row auto gamma, row_of_reals auto... mask) const {
        using T = value_of<decltype(gamma)>;
        auto const total = [&](bool right, auto const& value) {
            auto const of_side = [=, bound = real_of<T>(threshold)](auto o, auto h, auto... m) {
                using V = decltype(h);
                auto const correct = o >= V(bound);
                auto const one = right ? math::select(correct, value(h), V(0)) : math::select(correct, V(0), value(h));
                if constexpr (sizeof...(m) == 0)
                    return one;
                else
                    return counted(m..., one);
            };
            return T(sum(of_side, outcome, thinking, mask...));
        };
        auto const count = [](auto h) { return decltype(h)(1); };
        auto const score = [](auto h) { return h; };
        auto const correct = total(true, count), wrong = total(false, count);
        mean_correct[0] = total(true, score) / math::max(correct, T(1));
        mean_wrong[0] = total(false, score) / math::max(wrong, T(1));
        auto const difference = T(mean_correct[0]) - T(mean_wrong[0]);
        gamma[0] = math::select((correct > T(0)) & (wrong > T(0)), math::exp(math::min(difference, T(0))), T(1));
    }
    constexpr void check_hyperparameters() const {
        require_domain(threshold == threshold, "trust", "threshold", "a number, not NaN", threshold);
    }
    constexpr void check(auto const& outcome, auto const& thinking, auto const& mean_correct, auto const& mean_wrong,
                         auto const& gamma, auto const&... mask) const {
        check_hyperparameters();
        poise::detail::check_not_empty("trust", "outcome", outcome);
        require_length_of("trust", "thinking_reward", thinking, outcome);
        require_length("trust", "mean_correct", mean_correct, 1);
        require_length("trust", "mean_wrong", mean_wrong, 1);
        require_length("trust", "trust", gamma, 1);
        (require_length_of("trust", "sample_mask", mask, outcome), ...);
        if constexpr (sizeof...(mask) == 0) { // padding may hold anything
            poise::detail::check_not_nan("trust", "outcome", outcome);
            poise::detail::check_not_nan("trust", "thinking_reward", thinking);
        }
    }
};

} // namespace poise::weighting
