#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/estimator/center.hpp"
#include "poise/estimator/deviation.hpp"

#include <array>

namespace poise::field {

POISE_FIELD(success_rate, replaced); ///< of a prompt's rollouts, in [0, 1]

} // namespace poise::field

namespace poise::estimator {

/// How often the rollouts of one prompt succeed, and by how much each is better than that (slug bnpo: Xiao et al.,
/// "BNPO: Beta Normalization Policy Optimization", 2025, arXiv 2506.02864):
///     s_k = (r_k - least) / (greatest - least),   p = mean(s),   A_k = s_k - p,
/// for rewards that are 0 or 1, or anywhere in [least, greatest]. Rollouts that do not count (sample_mask) are left out
/// of p and have A = 0. Where all rewards are equal A is exactly 0. Throws for an empty group; for a single rollout
/// unless `single_rollouts` accepts it (A = 0); as a kernel also for NaN and for p outside [0, 1].
struct success_rate {
    double least = 0;
    double greatest = 1;
    bool single_rollouts = false;

    using reads = fields<field::reward>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<field::advantage>;
    using writes_per_row = fields<field::success_rate>;
    static constexpr std::array argument_names{"reward", "advantage", "success_rate", "sample_mask"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage, writable_row auto rate,
                              row_of_reals auto... mask) const {
        using T = value_of<decltype(advantage)>;
        using R = real_of<T>;
        map(
            advantage,
            [low = R(least), width = R(greatest - least)](auto r, auto... m) {
                auto const s = (r - low) / width;
                if constexpr (sizeof...(m) == 0)
                    return s;
                else
                    return counted(m..., s);
            },
            reward, mask...);
        rate[0] = T(sum(advantage)) / counted_elements<T>(reward.size(), mask...);
        center(advantage, advantage, mask...);
    }
    constexpr void check_hyperparameters() const {
        require_domain(math::isfinite(least), "success_rate", "least", "a finite number", least);
        require_domain(greatest > least && math::isfinite(greatest), "success_rate", "greatest",
                       "a finite number above least", greatest);
    }
    constexpr void check_length(std::size_t rollouts) const {
        require(rollouts > (single_rollouts ? 0 : 1), "success_rate", "reward",
                single_rollouts ? "at least 1 element" : "at least 2 elements (or single_rollouts = true)", rollouts);
    }
    constexpr void check(auto const& reward, auto const& advantage, auto const& rate, auto const&... mask) const {
        check_hyperparameters();
        require_length_of("success_rate", "advantage", advantage, reward);
        require_length("success_rate", "success_rate", rate, 1);
        (require_length_of("success_rate", "sample_mask", mask, reward), ...);
        for (std::size_t i = 0; i < reward.rows(); ++i) {
            check_length(reward.length(i));
            using T = typename std::remove_cvref_t<decltype(reward)>::value_type;
            if constexpr (std::same_as<mask_of<T>, bool>) {
                auto total = T(0), count = T(0);
                for (std::size_t k = 0; k < reward.length(i); ++k)
                    if ((true && ... && (mask(i, k) != 0))) {
                        total += (reward(i, k) - T(least)) / T(greatest - least);
                        count += T(1);
                    }
                require(count > T(0), "success_rate", "sample_mask", "at least 1 rollout that counts", count);
                auto const p = total / count;
                require_domain(p >= T(0) && p <= T(1), "success_rate", "reward",
                               "rewards in [least, greatest]: a success rate in [0, 1]", p);
            }
        }
    }
};

} // namespace poise::estimator
