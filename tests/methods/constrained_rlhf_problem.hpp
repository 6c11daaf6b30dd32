#pragma once

#include "poise/execution/sequential.hpp"
#include "poise/solver/kl_saddle_point.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <span>
#include <vector>

/// Random problems of constrained RLHF.
namespace constrained_rlhf_test {

using namespace poise;
using reals = std::vector<double>;
using view = std::span<double const>;

/// n numbers in [low, high].
inline reals draw_reals(std::size_t n, double low, double high) {
    auto const steps = *rc::gen::container<std::vector<int>>(n, rc::gen::inRange(0, 1'000'001));
    auto values = reals(n);
    for (std::size_t k = 0; k < n; ++k) values[k] = low + (high - low) * steps[k] / 1e6;
    return values;
}
inline std::size_t draw_size(std::size_t least, std::size_t most) { return *rc::gen::inRange(least, most + 1); }

/// A distribution, no probability of which is tiny.
inline reals draw_distribution(std::size_t n) {
    auto p = draw_reals(n, -1.5, 1.5);
    softmax(row<double>(p), row<double const>(p));
    return p;
}

/// One context: a reference policy, rewards in [0, 1] of each action (reward after reward), thresholds within reach.
struct problem {
    reals reference, rewards, thresholds;
    double beta;

    std::size_t actions() const { return reference.size(); }
    std::size_t count() const { return thresholds.size(); }
    row<double const> reward(std::size_t i) const { return {rewards.data() + i * actions(), actions()}; }
    reals values(reals const& policy) const {
        auto v = reals(count());
        for (std::size_t i = 0; i < v.size(); ++i) v[i] = weighted_sum(row<double const>(policy), reward(i));
        return v;
    }
    double kl(reals const& policy) const {
        return kl_divergence(row<double const>(policy), row<double const>(reference));
    }
};

/// Thresholds are the expected rewards of some policy without small probabilities, so strictly within the hull.
inline problem draw_problem(std::size_t most_rewards = 3) {
    auto const n = draw_size(1, most_rewards), actions = draw_size(n + 2, n + 6);
    auto of =
        problem{draw_distribution(actions), draw_reals(n * actions, 0, 1), reals(n), 0.05 + draw_reals(1, 0, 1)[0]};
    of.thresholds = of.values(draw_distribution(actions));
    return of;
}

struct dual_solution {
    double value;
    reals policy, gradient, hessian;
};

inline dual_solution dual_at(problem const& of, reals const& tilt) {
    auto const n = of.count(), actions = of.actions();
    auto value = reals(1);
    auto result = dual_solution{0, reals(actions), reals(n), reals(n * n)};
    for_each_row(execution::sequential{}, objective::kl_lagrangian_dual{of.beta},
                 rows_of(of.reference.data(), 1, actions), rows_of(of.rewards.data(), 1, n * actions),
                 rows_of(tilt.data(), 1, n), rows_of(of.thresholds.data(), 1, n),
                 rows_of(result.policy.data(), 1, actions), value, rows_of(result.gradient.data(), 1, n),
                 rows_of(result.hessian.data(), 1, n * n));
    result.value = value[0];
    return result;
}

template <class Sense>
solver::saddle_point<double> solve(Sense sense, problem const& of) {
    return solver::kl_saddle_point<Sense, double>(sense, of.reference, of.rewards, of.thresholds, of.beta);
}

/// |a - b| <= tolerance (1 + |b|)
inline bool close(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }
inline bool close(reals const& a, reals const& b, double tolerance) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [=](auto x, auto y) { return close(x, y, tolerance); });
}

} // namespace constrained_rlhf_test
