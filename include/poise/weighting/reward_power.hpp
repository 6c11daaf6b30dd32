#pragma once

#include "poise/core/fields.hpp"
#include "poise/objective/quantile_levels.hpp"

#include <array>

namespace poise::weighting {

/// Stage: w_i = |r_i|^power / sum_j |r_j|^power, an alternative to ranks in the released code of PF-PPO (slug pf-ppo,
/// arXiv 2409.06957): rewards far from 0 count more. Uniform where all rewards are 0. Throws for no responses, NaN, a
/// negative power.
struct reward_power {
    double power = 2;

    using reads = fields<field::reward>;
    using writes = fields<field::weight>;
    static constexpr std::array argument_names{"reward", "weight"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto weight) const {
        using T = value_of<decltype(weight)>;
        using R = real_of<T>;
        auto const greatest = T(maximum([](auto r) { return math::abs(r); }, reward));
        auto const scale = math::select(greatest == T(0), T(1), greatest); // so that no power overflows
        auto const nothing = math::select(greatest == T(0), T(1), T(0));
        map(
            weight, [=, p = R(power)](auto r) { return math::pow(math::abs(r) / scale, decltype(r)(p)) + nothing; },
            reward);
        auto const total = T(sum(weight));
        map(weight, [=](auto w) { return w / total; }, weight);
    }
    constexpr void check_hyperparameters() const {
        require_domain(power >= 0, "reward_power", "power", "a number not below 0", power);
    }
    constexpr void check(auto const& reward, auto const& weight) const {
        constexpr auto name = "reward_power";
        check_hyperparameters();
        poise::detail::check_not_empty(name, "reward", reward);
        poise::detail::check_not_nan(name, "reward", reward);
        poise::detail::check_length(name, "weight", weight, poise::detail::length_of(reward));
    }
};

} // namespace poise::weighting
