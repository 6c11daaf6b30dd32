#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/estimator/center.hpp"

#include <array>

/// Advantages of the rollouts of one prompt, relative to each other.
namespace poise::estimator {

/// A_k = r_k - mean(r)
struct centered {
    using reads = fields<field::reward>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "advantage"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage) const {
        center(advantage, reward);
    }
};

/// A_k = (r_k - mean(r)) / (standard deviation(r) + epsilon), with the population's standard deviation (GRPO: Shao et
/// al., "DeepSeekMath", 2024, arXiv 2402.03300). Equal rewards give exactly 0.
struct group_relative {
    double epsilon = 1e-6;

    using reads = fields<field::reward>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "advantage"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage) const {
        using T = value_of<decltype(advantage)>;
        center(advantage, reward);
        auto const variance = sum([](auto a) { return a * a; }, advantage) / T(real_of<T>(reward.size()));
        auto const deviation = math::sqrt(variance) + T(real_of<T>(epsilon));
        auto const scale = T(1) / math::select(deviation == T(0), T(1), deviation);
        map(advantage, [=](auto a) { return a * scale; }, advantage);
    }
    constexpr void check_hyperparameters() const {
        require_domain(epsilon >= 0, "group_relative", "epsilon", "a number not below 0", epsilon);
    }
    constexpr void check(auto const& reward, auto const& advantage) const {
        check_hyperparameters();
        require_equal_lengths("group_relative", argument_names, reward, advantage);
    }
};

} // namespace poise::estimator
