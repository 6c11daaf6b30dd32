#pragma once

#include "poise/objective/kl_lagrangian_dual.hpp"
#include "poise/solver/constraint.hpp"

#include <Eigen/Cholesky>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

namespace poise::solver {

/// The saddle point of a KL-regularised problem with constrained expected rewards.
template <class T>
struct saddle_point {
    std::vector<T> tilt = {};        ///< m of the exponential tilt
    std::vector<T> multipliers = {}; ///< m, or 1 - m for v <= theta
    std::vector<T> policy = {};
    std::vector<T> values = {}; ///< the policy's expected rewards
    bool converged =
        false; ///< false: no policy meets the constraints, or only at the border of what policies can reach
};

namespace detail {

/// The dual in the coordinates of the active constraints, bit i of `active`; the others keep their tilt.
template <class T>
struct restricted_dual {
    using vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;
    using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;

    std::span<T const> reference, rewards, thresholds;
    double beta;
    std::size_t active = 0;
    std::vector<T> policy = std::vector<T>(reference.size());
    vector gradient = vector(static_cast<Eigen::Index>(thresholds.size()));
    matrix hessian = matrix(gradient.size(), gradient.size());

    T operator()(vector const& tilt) {
        auto const n = thresholds.size();
        auto value = T(0);
        objective::kl_lagrangian_dual{beta}(
            row<T const>(reference), row<T const>(rewards), row<T const>(tilt.data(), n), row<T const>(thresholds),
            row<T>(policy), row<T>(&value, 1), row<T>(gradient.data(), n), row<T>(hessian.data(), n * n));
        return value;
    }
    vector slope() const {
        auto result = gradient;
        for_each_inactive([&](auto i) { result[i] = 0; });
        return result;
    }
    vector newton_direction(T damping) const {
        auto curvature = hessian;
        curvature.diagonal().array() += damping;
        for_each_inactive([&](auto i) {
            curvature.row(i).setZero();
            curvature.col(i).setZero();
            curvature(i, i) = 1;
        });
        return -curvature.llt().solve(slope());
    }

private:
    void for_each_inactive(auto const& visit) const {
        for (Eigen::Index i = 0; i < gradient.size(); ++i)
            if (!(active >> i & 1)) visit(i);
    }
};

/// Newton's method, damped as much as it must (Levenberg 1944, Marquardt 1963): the dual may have almost no curvature.
/// Rewards are at most `greatest`. Returns the largest slope that is left.
template <class T>
T minimize(restricted_dual<T>& dual, typename restricted_dual<T>::vector& tilt, T greatest) {
    constexpr auto eps = std::numeric_limits<T>::epsilon();
    auto const largest = [&] { return dual.slope().template lpNorm<Eigen::Infinity>(); };
    auto value = dual(tilt);
    auto left = largest();
    auto const most_curvature = greatest * greatest / T(dual.beta);
    auto damping = T(1e-3) * most_curvature;
    for (int attempt = 0; attempt < 500 && left > eps * greatest && std::isfinite(damping); ++attempt) {
        // Dependent rewards have many solutions: a little damping stays, and any will do.
        auto const direction = dual.newton_direction(std::max(damping, eps * dual.hessian.trace()));
        auto const trial = typename restricted_dual<T>::vector(tilt + direction);
        auto const found = dual(trial);
        // Close to the minimum the value is all rounding: there the slope decides.
        auto const level = std::abs(found - value) <= 8 * eps * std::max(std::abs(value), T(1));
        if (std::isfinite(found) && (level ? largest() < left : found < value)) {
            tilt = trial;
            value = found;
            left = largest();
            damping /= 10;
        } else {
            dual(tilt);
            damping *= 10;
            if (level && damping > most_curvature) break;
        }
    }
    dual(tilt);
    return left;
}

} // namespace detail

/// Solves, for K actions and N rewards, exactly one of
///     max -beta KL(pi || pi_0)             subject to v_i(pi) >= theta_i (`constraint::at_least`) or = (`equal_to`),
///     max sum_i v_i - beta KL(pi || pi_0)  subject to v_i(pi) <= theta_i (`at_most`)
/// by Newton's method on the dual for each set of active constraints, until one has the right signs to 1e-10 (2^N sets
/// at most). `rewards` holds reward after reward, N K elements. Moskovitz et al., 2023, arXiv 2310.04373; slug
/// constrained-rlhf. Throws for N = 0, NaN thresholds, beta not positive, rewards that do not fit.
template <class Sense, std::floating_point T>
saddle_point<T> kl_saddle_point(Sense, std::span<T const> reference, std::span<T const> rewards,
                                std::span<T const> thresholds, double beta) {
    constexpr auto name = "kl_saddle_point";
    auto const n = thresholds.size();
    require(n > 0 && n < 30, name, "thresholds", "1 to 29 thresholds", n);
    require(rewards.size() == n * reference.size(), name, "rewards", n * reference.size(), rewards.size());
    require_domain(beta > 0, name, "beta", "a positive number", beta);
    for (auto const t : thresholds) require_domain(t == t, name, "thresholds", "numbers, not NaN", t);

    auto greatest = std::numeric_limits<T>::min();
    for (auto const r : rewards) greatest = std::max(greatest, std::abs(r));
    auto const rounding = 2048 * std::numeric_limits<T>::epsilon() * greatest;
    auto const tolerance = std::max(T(1e-10), rounding);
    auto dual = detail::restricted_dual<T>{reference, rewards, thresholds, beta};
    auto tilt = typename detail::restricted_dual<T>::vector(static_cast<Eigen::Index>(n));
    auto const all = (std::size_t{1} << n) - 1;
    auto converged = false;
    for (auto active = Sense::inequality ? std::size_t{0} : all; active <= all && !converged; ++active) {
        dual.active = active;
        tilt.setConstant(Sense::tilt(T(0)));
        converged = detail::minimize(dual, tilt, greatest) <= rounding;
        if constexpr (Sense::inequality)
            for (std::size_t i = 0; i < n; ++i) {
                auto const at = static_cast<Eigen::Index>(i);
                auto const slack = Sense::slack(dual.gradient[at] + thresholds[i], thresholds[i]);
                converged = converged && Sense::tilt(tilt[at]) >= -tolerance && slack >= -tolerance;
            }
    }
    auto result = saddle_point<T>{.tilt = {tilt.begin(), tilt.end()}, .policy = dual.policy, .converged = converged};
    for (std::size_t i = 0; i < n; ++i) {
        result.multipliers.push_back(Sense::tilt(result.tilt[i]));
        result.values.push_back(dual.gradient[static_cast<Eigen::Index>(i)] + thresholds[i]);
    }
    return result;
}

} // namespace poise::solver
