#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>

/// Baselines: what an advantage is counted from. One that does not depend on the action leaves the policy gradient
/// unbiased (Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning",
/// 1992, theorem 1).
namespace poise::estimator {

/// A_k = r_k - baseline. `Real` may be a SIMD pack, for a baseline per replica.
template <scalar Real = double>
struct constant_baseline {
    Real baseline = Real(0);

    using reads = fields<field::reward>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "advantage"};

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage) const {
        using T = value_of<decltype(advantage)>;
        using B = std::conditional_t<std::floating_point<Real>, real_of<T>, Real>;
        map(advantage, [b = B(baseline)](auto r) { return r - b; }, reward);
    }
    constexpr void check(auto const& reward, auto const& advantage) const {
        require_equal_lengths("constant_baseline", argument_names, reward, advantage);
    }
};

/// The average of the rewards seen so far, newer ones counting more (reinforcement comparison: Sutton 1984): after
/// batches with mean rewards m_1, …, m_t
///     value() = sum_i decay^{t - i} m_i / sum_i decay^{t - i},   0 before the first.
/// Take the baseline before the update, so that it does not depend on the rewards that it is taken from:
///     for_each_row(execution, average.baseline(), rewards, advantages);
///     average.update(row(rewards));
template <scalar T = double>
struct moving_average_baseline {
    T decay = T(real_of<T>(0.9));
    T total = T(0);  ///< sum_i decay^{t - i} m_i
    T weight = T(0); ///< sum_i decay^{t - i}

    constexpr T value() const {
        return math::select(weight == T(0), T(0), total / math::select(weight == T(0), T(1), weight));
    }
    constexpr constant_baseline<T> baseline() const { return {value()}; }
    constexpr void update(row_of_reals auto rewards) {
        total = decay * total + T(mean(rewards));
        weight = decay * weight + T(1);
    }
};

} // namespace poise::estimator
