#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>

namespace poise::estimator {

/// A_k = (r_k - b) / (s + epsilon) with the weighted mean b = sum w r / sum w and s^2 = sum w (r - b)^2 / sum w of the
/// row; over a whole batch by `over_batch`. Exactly 0 where all rewards that have a weight are equal; all 0 where no
/// weight is positive.
struct weighted_standardization {
    double epsilon = 1e-6;

    using reads = fields<field::reward, field::weight>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "weight", "advantage"};

    constexpr void operator()(row_of_reals auto reward, row_of_reals auto weight, writable_row auto advantage) const {
        using T = value_of<decltype(advantage)>;
        using R = real_of<T>;
        if (reward.size() == 0) return;
        auto const origin = T(maximum(
            [](auto r, auto w) {
                using W = decltype(r);
                return math::select(w > decltype(w)(0), r, W(-math::infinity<W>));
            },
            reward, weight));
        auto const total = T(sum(weight));
        auto const none = total <= T(0);
        auto const mass = math::select(none, T(1), total);
        auto const base = math::select(none, T(0), origin);
        map(advantage, [=](auto r) { return r - base; }, reward);
        auto const shift = T(weighted_sum(weight, advantage)) / mass;
        map(advantage, [=](auto a) { return a - shift; }, advantage);
        auto const variance = T(sum([](auto w, auto a) { return w * a * a; }, weight, advantage)) / mass;
        auto const deviation = math::sqrt(variance) + T(R(epsilon));
        auto const scale = math::select(none, T(0), T(1) / math::select(deviation == T(0), T(1), deviation));
        map(advantage, [=](auto a) { return a * scale; }, advantage);
    }
    constexpr void check_hyperparameters() const {
        require_domain(epsilon >= 0, "weighted_standardization", "epsilon", "a number not below 0", epsilon);
    }
    constexpr void check(auto const& reward, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("weighted_standardization", argument_names, reward, others...);
    }
};

} // namespace poise::estimator
