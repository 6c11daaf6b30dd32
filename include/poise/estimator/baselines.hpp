#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/estimator/center.hpp"
#include "poise/estimator/deviation.hpp"

#include <array>

/// Baselines made of the rewards of a prompt's rollouts (slug group-relative-reinforce: Yao et al., "Group-Relative
/// REINFORCE Is Secretly an Off-Policy Algorithm", 2025, arXiv 2509.24203), beside `centered`. A rollout that is alone
/// in its group has no baseline: A = r. Rollouts that do not count (sample_mask) have A = 0 and do not enter baselines.
namespace poise::estimator {

namespace detail {

/// What a rollout has that is the only one that counts: `advantage`, unless it is alone.
constexpr void keep_lone_reward(row_of_reals auto reward, writable_row auto advantage, row_of_reals auto... mask) {
    using T = value_of<decltype(advantage)>;
    auto const alone = counted_elements<T>(reward.size(), mask...) == T(1);
    map(
        advantage,
        [count = math::select(alone, T(1), T(0))](auto a, auto r, auto... m) {
            using V = decltype(a);
            auto const kept = math::select(V(count) == V(1), V(r), a);
            if constexpr (sizeof...(m) == 0)
                return kept;
            else
                return counted(m..., kept);
        },
        advantage, reward, mask...);
}

} // namespace detail

/// A_k = r_k: REINFORCE without a baseline.
struct uncentered {
    using reads = fields<field::reward>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "advantage", "sample_mask"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage) const { copy(advantage, reward); }
    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage, row_of_reals auto mask) const {
        map(advantage, [](auto r, auto m) { return counted(m, r); }, reward, mask);
    }
    constexpr void check(auto const& reward, auto const&... others) const {
        require_equal_lengths("uncentered", argument_names, reward, others...);
    }
};

/// A_k = r_k - (mean(r) + shift). A shift below 0 is AsymRE's (Arnal et al., "Asymmetric REINFORCE for off-policy
/// reinforcement learning", 2025): the more a response is below average the less it is pushed away, which is REINFORCE
/// plus -shift times the log-likelihood of what was sampled.
struct shifted_mean {
    double shift = -0.1;

    using reads = fields<field::reward>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "advantage", "sample_mask"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage, row_of_reals auto... mask) const {
        using R = real_of<value_of<decltype(advantage)>>;
        center(advantage, reward, mask...);
        map(advantage, [by = R(shift)](auto a) { return a - by; }, advantage);
        detail::keep_lone_reward(reward, advantage, mask...);
    }
    constexpr void check_hyperparameters() const {
        require_domain(math::isfinite(shift), "shifted_mean", "shift", "a finite number", shift);
    }
    constexpr void check(auto const& reward, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("shifted_mean", argument_names, reward, others...);
    }
};

/// A_k = r_k - temperature log mean_j e^{r_j / temperature}: the baseline of OPMD (Kimi k1.5, 2025), the value of the
/// policy that maximises reward less temperature times KL. It lies between the mean (temperature -> infinity) and the
/// maximum (-> 0).
struct log_mean_exp_baseline {
    double temperature = 1;

    using reads = fields<field::reward>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "advantage", "sample_mask"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage, row_of_reals auto... mask) const {
        using T = value_of<decltype(advantage)>;
        using R = real_of<T>;
        auto const tau = R(temperature);
        auto const only_counted = [](auto otherwise) {
            return [=](auto x, auto... m) {
                if constexpr (sizeof...(m) == 0)
                    return x;
                else
                    return counted(m..., x, decltype(x)(otherwise));
            };
        };
        auto const greatest = T(maximum(only_counted(-math::infinity<R>), reward, mask...));
        auto const total =
            T(sum([=](auto r, auto... m) { return only_counted(R(0))(math::exp((r - greatest) / tau), m...); }, reward,
                  mask...));
        auto const excess = tau * math::log(total / counted_elements<T>(reward.size(), mask...));
        map(advantage, [=](auto r) { return r - greatest - excess; }, reward);
        detail::keep_lone_reward(reward, advantage, mask...);
    }
    constexpr void check_hyperparameters() const {
        require_domain(temperature > 0 && math::isfinite(temperature), "log_mean_exp_baseline", "temperature",
                       "a finite number above 0", temperature);
    }
    constexpr void check(auto const& reward, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("log_mean_exp_baseline", argument_names, reward, others...);
    }
};

} // namespace poise::estimator
