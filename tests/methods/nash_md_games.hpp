#pragma once

#include "poise/execution/sequential.hpp"
#include "poise/metric/duality_gap.hpp"
#include "poise/policy/best_response.hpp"
#include "poise/policy/geometric_mixture.hpp"
#include "poise/solver/nash_md.hpp"
#include "poise/solver/regularized_nash.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <vector>

/// Random games for the tests of Nash-MD, and its functions on one game.
namespace nash_md_test {

using namespace poise;
using vector = std::vector<double>;

struct game {
    std::size_t n;
    vector preferences;
    vector reference;
    double tau;

    auto solver_game() const { return reward::preference_game<double>{preferences, reference, tau}; }
};

inline vector random_distribution(std::size_t n) {
    auto values = vector(n);
    for (auto& v : values) v = *rc::gen::inRange(1, 1000);
    auto const total = sum(row(values));
    for (auto& v : values) v /= total;
    return values;
}

/// Up to 6 actions, P in [0, 1] with ties and certainties, tau from 0.02 to 1.
inline game random_game() {
    auto g = game{};
    g.n = *rc::gen::inRange<std::size_t>(1, 7);
    g.preferences.assign(g.n * g.n, 0.5);
    for (std::size_t i = 0; i < g.n; ++i)
        for (std::size_t j = 0; j < i; ++j) {
            g.preferences[i * g.n + j] = *rc::gen::inRange(0, 129) / 128.0;
            g.preferences[j * g.n + i] = 1 - g.preferences[i * g.n + j];
        }
    g.reference = random_distribution(g.n);
    g.tau = *rc::gen::inRange(2, 101) / 100.0;
    return g;
}

inline double kl(vector const& p, vector const& q) { return kl_divergence(row(p), row(q)); }

inline vector mix(vector const& p, vector const& q, double weight) {
    auto mixture = p;
    for_each_row(execution::sequential{}, policy::geometric_mixture{weight}, rows_of(p.data(), 1, p.size()),
                 rows_of(q.data(), 1, q.size()), rows_of(mixture.data(), 1, mixture.size()));
    return mixture;
}

inline double win(game const& g, vector const& p, vector const& q) {
    return reward::win_probability(row(g.preferences), row(p), row(q));
}
inline double preference(game const& g, vector const& p, vector const& q) {
    return metric::regularized_win_probability(row(g.preferences), row(p), row(q), row(g.reference), g.tau);
}
inline double gap(game const& g, vector const& p) { return g.solver_game().gap(p); }

inline vector best_response(game const& g, vector const& opponent) {
    auto policy = opponent;
    auto value = vector(1);
    for_each_row(execution::sequential{}, policy::regularized_best_response{g.tau},
                 rows_of(g.preferences.data(), 1, g.n * g.n), rows_of(opponent.data(), 1, g.n),
                 rows_of(g.reference.data(), 1, g.n), rows_of(policy.data(), 1, g.n), value);
    return policy;
}

/// One step from p at step size eta; `opponent` is the type of the opponent.
template <class Opponent>
vector step(game const& g, vector const& p, double eta, Opponent = {}) {
    auto solver = solver::mirror_descent_solver<double, dynamic, Opponent, solver::constant_step<>>(
        g.solver_game(), solver::constant_step{eta}, p);
    solver.step();
    return solver.policy();
}

inline vector nash(game const& g) {
    using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    auto const n = static_cast<Eigen::Index>(g.n);
    auto const policy = solver::regularized_nash(Eigen::Map<matrix const>(g.preferences.data(), n, n),
                                                 Eigen::Map<Eigen::VectorXd const>(g.reference.data(), n), g.tau);
    return {policy.begin(), policy.end()};
}

inline double greatest_difference(vector const& a, vector const& b) {
    auto greatest = 0.0;
    for (std::size_t k = 0; k < a.size(); ++k) greatest = std::max(greatest, std::abs(a[k] - b[k]));
    return greatest;
}

} // namespace nash_md_test
