#pragma once

#include "experiment.hpp"

#include "poise/core/lanes.hpp"
#include "poise/solver/nash_md.hpp"
#include "poise/solver/regularized_nash.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

/// What the experiments of Nash-MD share: games, their equilibria, slopes.
namespace nash_md_gallery {

using namespace poise;

inline gallery::method const method{.slug = "nash-md",
                                    .title = "Nash-MD",
                                    .paper =
                                        "Munos et al., 2023: Nash Learning from Human Feedback (arXiv 2312.00886)"};

/// Rock, paper, scissors in which the better move wins 9 times in 10: P = 1/2 + 0.4 [[0, 1, -1], [-1, 0, 1], [1, -1,
/// 0]].
template <class T>
constexpr reward::preference_game<T, 3> cyclic_game(double regularization) {
    return {{T(.5), T(.9), T(.1), T(.1), T(.5), T(.9), T(.9), T(.1), T(.5)}, {T(.7), T(.2), T(.1)}, T(regularization)};
}

/// pi* of a game, to machine precision.
template <std::size_t N>
std::array<double, N> equilibrium(reward::preference_game<double, N> const& game) {
    using matrix = Eigen::Matrix<double, N, N, Eigen::RowMajor>;
    auto const solution = solver::regularized_nash(Eigen::Map<matrix const>(game.preferences.data()),
                                                   Eigen::Map<Eigen::Vector<double, N> const>(game.reference.data()),
                                                   game.regularization);
    auto policy = std::array<double, N>{};
    std::copy(solution.begin(), solution.end(), policy.begin());
    return policy;
}

/// KL(p || q)
template <class T, std::size_t N>
T divergence(std::array<T, N> const& p, std::array<T, N> const& q) {
    return kl_divergence(row(p), row(q));
}

/// The least-squares slope of log y over log x.
inline double log_slope(std::span<double const> x, std::span<double const> y) {
    auto const n = static_cast<double>(x.size());
    auto mean_x = 0.0, mean_y = 0.0, covariance = 0.0, variance = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        mean_x += std::log(x[i]) / n;
        mean_y += std::log(y[i]) / n;
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
        covariance += (std::log(x[i]) - mean_x) * (std::log(y[i]) - mean_y);
        variance += (std::log(x[i]) - mean_x) * (std::log(x[i]) - mean_x);
    }
    return covariance / variance;
}

/// A deterministic number that the sheet gives, accepted within `margin`.
inline gallery::measurement within(std::string name, std::string paper, double expected, double measured,
                                   double margin) {
    return {.name = std::move(name),
            .paper = std::move(paper),
            .values = {measured},
            .accepted = {expected - margin, expected + margin}};
}

/// The same within a part in a thousand.
inline gallery::measurement stated(std::string name, std::string paper, double expected, double measured) {
    return within(std::move(name), std::move(paper), expected, measured, 1e-3 * std::abs(expected));
}

/// A deterministic number that must be below a bound.
inline gallery::measurement below(std::string name, std::string paper, double bound, double measured) {
    return {.name = std::move(name), .paper = std::move(paper), .values = {measured}, .accepted = {0, bound}};
}

} // namespace nash_md_gallery
