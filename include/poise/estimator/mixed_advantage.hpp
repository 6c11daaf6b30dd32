#pragma once

#include "poise/core/lengths.hpp"
#include "poise/core/segment.hpp"
#include "poise/core/verbs.hpp"

#include <array>

/// One advantage from those of several channels: N reward models and the KL reward -beta log(pi / pi_ref) (Moskovitz et
/// al., 2023, arXiv 2310.04373; slug constrained-rlhf).
namespace poise::estimator {

/// What the constrained problem maximises; hence how weights w_i of the reward models and the base weight c enter.
namespace base {

/// max KL reward:  c A_KL + sum_i w_i A_i
struct kl {
    static constexpr bool rewards_contain_kl = false;
    static constexpr auto kl_coefficient(auto c) { return c; }
    static constexpr auto reward_coefficient(auto, auto w) { return w; }
};

/// max sum of rewards, each of which contains the KL reward (the released All-PPO):  c sum_j A_j - sum_i w_i A_i.
/// With A_i = B_i + A_KL the coefficient of KL is N c - sum w, negative for sum w > N^2 / (N + 1), and the effective
/// tilts (c - w_i) / (N c - sum w) sum to 1: caps may shift weight between rewards but never lower all of them.
struct all {
    static constexpr bool rewards_contain_kl = true;
    static constexpr auto kl_coefficient(auto c) { return decltype(c)(0); }
    static constexpr auto reward_coefficient(auto c, auto w) { return c - w; }
};

/// max sum of rewards plus the KL reward, which is a channel of its own:  c A_KL + sum_i (c - w_i) A_i with c >= 0. The
/// effective tilts 1 - w_i / c are those of the exact problem.
struct all_and_kl {
    static constexpr bool rewards_contain_kl = false;
    static constexpr auto kl_coefficient(auto c) { return math::max(c, decltype(c)(0)); }
    static constexpr auto reward_coefficient(auto c, auto w) { return kl_coefficient(c) - w; }
};

} // namespace base

/// Kernel: the mixed advantage of a minibatch of B samples, by the weights of `weighting::lagrange_weights`. A row of
/// reward advantages holds channel after channel, N B elements.
template <class Base = base::kl>
struct mixed_advantage {
    static constexpr std::array argument_names{"kl_advantages", "reward_advantages", "base_weight", "weights", "mixed"};

    constexpr void operator()(row_of_reals auto kl_advantages, row_of_reals auto reward_advantages,
                              row_of_reals auto base_weight, row_of_reals auto weights, writable_row auto mixed) const {
        using T = value_of<decltype(mixed)>;
        auto const c = T(base_weight[0]);
        map(mixed, [k = Base::kl_coefficient(c)](auto a) { return k * a; }, kl_advantages);
        for (std::size_t i = 0; i < weights.size(); ++i) {
            auto const k = Base::reward_coefficient(c, T(weights[i]));
            map(mixed, [=](auto m, auto a) { return m + k * a; }, mixed, matrix_row(reward_advantages, i, mixed));
        }
    }
    constexpr void check(auto const& kl_advantages, auto const& reward_advantages, auto const& base_weight,
                         auto const& weights, auto const& mixed) const {
        constexpr auto name = "mixed_advantage";
        require_length(name, "base_weight", base_weight, 1);
        require_length_of(name, "mixed", mixed, kl_advantages);
        for (std::size_t i = 0; i < kl_advantages.rows(); ++i) {
            auto const channels = length_of_row(weights, i), expected = channels * length_of_row(kl_advantages, i);
            require(channels > 0, name, "weights", "at least one reward", channels);
            require_elements(name, "reward_advantages", length_of_row(reward_advantages, i), expected);
        }
    }
};

} // namespace poise::estimator
