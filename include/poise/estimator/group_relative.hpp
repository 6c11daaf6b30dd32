#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/estimator/center.hpp"
#include "poise/estimator/deviation.hpp"

#include <array>

/// Advantages of the rollouts of one prompt, relative to each other. Rollouts that do not count (sample_mask) are left
/// out of means and deviations and have the advantage 0.
namespace poise::estimator {

/// A_k = r_k - mean(r)
struct centered {
    using reads = fields<field::reward>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "advantage", "sample_mask"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage, row_of_reals auto... mask) const {
        center(advantage, reward, mask...);
    }
};

/// The advantage of a rollout that is alone in its group.
namespace singleton {

/// 0
struct zero {};
/// r / (1 + epsilon)
struct uncentered {};

} // namespace singleton

/// A_k = (r_k - mean(r)) / (standard deviation(r) + epsilon) (GRPO: Shao et al., "DeepSeekMath", 2024, arXiv
/// 2402.03300). Equal rewards give exactly 0.
template <class Deviation = deviation::population, class Singleton = singleton::zero>
struct group_relative {
    double epsilon = 1e-6;

    using reads = fields<field::reward>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "advantage", "sample_mask"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage, row_of_reals auto... mask) const {
        using T = value_of<decltype(advantage)>;
        center(advantage, reward, mask...);
        auto const scale =
            standard_deviation_of_centered<Deviation>(advantage, mask...) + T(static_cast<real_of<T>>(epsilon));
        auto const divisor = math::select(scale == T(0), T(1), scale);
        if constexpr (std::is_same_v<Singleton, singleton::uncentered>) {
            auto const alone = T(1) / (T(1) + T(static_cast<real_of<T>>(epsilon)));
            auto const count = counted_elements<T>(reward.size(), mask...);
            map(
                advantage,
                [=](auto a, auto r, auto... m) {
                    using V = decltype(a);
                    auto const itself = [&] {
                        if constexpr (sizeof...(m) == 0)
                            return r * V(alone);
                        else
                            return counted(m..., r * V(alone));
                    }();
                    return math::select(V(count) == V(1), itself, a / V(divisor));
                },
                advantage, reward, mask...);
        } else {
            map(advantage, [=](auto a) { return a / decltype(a)(divisor); }, advantage);
        }
    }
    constexpr void check_hyperparameters() const {
        require_domain(epsilon >= 0, "group_relative", "epsilon", "a number not below 0", epsilon);
    }
    constexpr void check(auto const& reward, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("group_relative", argument_names, reward, others...);
    }
};

/// A_k / (standard deviation(r) + epsilon), for advantages that another stage made of the rewards: a leave-one-out or
/// shifted baseline, or with `over_batch` the deviation of all rewards.
template <class Deviation = deviation::population>
struct deviation_scale {
    double epsilon = 1e-6;

    using reads = fields<field::reward, field::advantage>;
    using reads_if_given = fields<field::sample_mask>;
    using writes = fields<field::advantage>;
    static constexpr std::size_t scratch_rows = 1;
    static constexpr std::array argument_names{"reward", "advantage", "scaled", "sample_mask"};

    constexpr void operator()(row_of_reals auto reward, row_of_reals auto advantage, writable_row auto scaled,
                              auto const& scratch) const {
        scale(reward, advantage, scaled, scratch);
    }
    constexpr void operator()(row_of_reals auto reward, row_of_reals auto advantage, writable_row auto scaled,
                              row_of_reals auto mask, auto const& scratch) const {
        scale(reward, advantage, scaled, scratch, mask);
    }
    constexpr void check_hyperparameters() const {
        require_domain(epsilon >= 0, "deviation_scale", "epsilon", "a number not below 0", epsilon);
    }
    constexpr void check(auto const& reward, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("deviation_scale", argument_names, reward, others...);
    }

private:
    constexpr void scale(auto reward, auto advantage, auto scaled, auto const& scratch, auto... mask) const {
        using T = value_of<decltype(scaled)>;
        auto const centered = segment(scratch[0], 0, reward.size());
        center(centered, reward, mask...);
        auto const deviation =
            standard_deviation_of_centered<Deviation>(centered, mask...) + T(static_cast<real_of<T>>(epsilon));
        auto const divisor = math::select(deviation == T(0), T(1), deviation);
        map(scaled, [=](auto a) { return a / decltype(a)(divisor); }, advantage);
    }
};

} // namespace poise::estimator
