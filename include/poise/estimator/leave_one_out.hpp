#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"
#include "poise/estimator/center.hpp"

#include <array>

namespace poise::estimator {

/// A_k = r_k - mean of the others' rewards = n / (n - 1) (r_k - mean(r)), over the n rollouts of one prompt. Whatever a
/// rollout is compared with is independent of it, so the policy gradient stays unbiased (Kool, van Hoof and Welling,
/// "Buy 4 REINFORCE samples, get a baseline for free!", 2019; RLOO: Ahmadian et al., 2024, arXiv 2402.14740). Throws
/// for fewer than two rollouts; of a single one the kernel makes NaN. Rollouts that do not count (sample_mask) have the
/// advantage 0, as has the only one that does.
struct leave_one_out {
    using reads = fields<field::reward>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "advantage", "sample_mask"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage) const {
        using R = real_of<value_of<decltype(advantage)>>;
        auto const n = static_cast<R>(reward.size());
        auto const scale = n > R(1) ? n / (n - R(1)) : math::quiet_nan<R>;
        auto const centre = mean(reward);
        map(advantage, [=](auto r) { return (r - centre) * scale; }, reward);
    }
    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage, row_of_reals auto mask) const {
        using T = value_of<decltype(advantage)>;
        center(advantage, reward, mask);
        auto const n = T(sum(mask));
        auto const scale = n / math::max(n - T(1), T(1));
        map(advantage, [=](auto a) { return a * decltype(a)(scale); }, advantage);
    }
    constexpr void check_length(std::size_t rollouts) const {
        require(rollouts > 1, "leave_one_out", "reward", "at least 2 elements", rollouts);
    }
    constexpr void check(auto const& reward, auto const&... others) const {
        for (std::size_t i = 0; i < reward.rows(); ++i) check_length(reward.length(i));
        require_equal_lengths("leave_one_out", argument_names, reward, others...);
    }
};

} // namespace poise::estimator
