#pragma once

#include "poise/core/error.hpp"
#include "poise/core/math.hpp"
#include "poise/random/continuous.hpp"

#include <span>
#include <vector>

namespace poise::reward {

/// Two reward models that agree in part, as models of one notion of quality do: r_i(k) = sigmoid(slope z_i(k)) with
/// standard normal z whose correlation is `correlation`. Returns reward after reward, 2 K scores of K actions; action k
/// is drawn at address index + k. Throws for a correlation outside [-1, 1].
template <std::floating_point T>
std::vector<T> correlated_rewards(std::size_t actions, double correlation, random::address where, double slope = 1.2) {
    require_domain(correlation >= -1 && correlation <= 1, "correlated_rewards", "correlation", "a number in [-1, 1]",
                   correlation);
    auto rewards = std::vector<T>(2 * actions);
    auto const rest = math::sqrt(1 - correlation * correlation);
    for (std::size_t k = 0; k < actions; ++k, ++where.index) {
        auto const [common, own] = random::normal_pair<double>(where);
        rewards[k] = static_cast<T>(math::sigmoid(slope * common));
        rewards[actions + k] = static_cast<T>(math::sigmoid(slope * (correlation * common + rest * own)));
    }
    return rewards;
}

} // namespace poise::reward
