#pragma once

#include "poise/core/error.hpp"

#include <Eigen/Cholesky>
#include <Eigen/QR>

#include <limits>
#include <span>
#include <string>
#include <vector>

/// Proxy points: the value of a reward model beyond which more of it no longer means a better policy (Moskovitz et al.,
/// 2023, arXiv 2310.04373; slug constrained-rlhf).
namespace poise::metric {

/// The value at which the score peaked along a run that maximises one reward; the first of several. NaN scores are
/// passed over. Throws for empty rows, rows of different length and nothing but NaN.
template <std::floating_point T>
T proxy_point(std::span<T const> values, std::span<T const> scores) {
    require(values.size() == scores.size(), "proxy_point", "scores", values.size(), scores.size());
    auto best = scores.size();
    for (std::size_t k = 0; k < scores.size(); ++k)
        if (scores[k] == scores[k] && (best == scores.size() || scores[k] > scores[best])) best = k;
    require_domain(best < scores.size(), "proxy_point", "scores", "at least one number", "none");
    return values[best];
}

/// A quadratic surface and its peak.
template <class T>
struct quadratic_surface {
    std::vector<T> coefficients = {}; ///< of 1, x_1 … x_N, then x_i x_j for i <= j in row order
    std::vector<T> peak = {};         ///< NaN where there is none
    bool concave = false;
};

/// The joint proxy point of N rewards: the peak -H^{-1} b of the least-squares fit of a quadratic surface, with
/// gradient b at 0 and Hessian H, to n scores at n points (point after point, n N elements). Throws for fewer points
/// than coefficients.
template <std::floating_point T>
quadratic_surface<T> joint_proxy_point(std::span<T const> points, std::span<T const> scores) {
    constexpr auto name = "joint_proxy_point";
    auto const count = scores.size();
    require(count > 0 && points.size() % count == 0 && points.size() > 0, name, "points",
            "as many rows of numbers as scores", points.size());
    auto const n = static_cast<Eigen::Index>(points.size() / count);
    auto const terms = 1 + n + n * (n + 1) / 2;
    require(static_cast<Eigen::Index>(count) >= terms, name, "scores", "at least " + std::to_string(terms), count);

    using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
    using vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;
    auto const rows = static_cast<Eigen::Index>(count);
    auto const x = matrix(Eigen::Map<matrix const>(points.data(), n, rows).transpose());
    auto const y = Eigen::Map<vector const>(scores.data(), rows);
    auto basis = matrix(rows, terms);
    basis.col(0).setOnes();
    basis.middleCols(1, n) = x;
    for (Eigen::Index i = 0, k = 1 + n; i < n; ++i)
        for (Eigen::Index j = i; j < n; ++j, ++k) basis.col(k) = x.col(i).cwiseProduct(x.col(j));
    auto const fit = vector(basis.colPivHouseholderQr().solve(y));

    auto hessian = matrix(n, n);
    for (Eigen::Index i = 0, k = 1 + n; i < n; ++i)
        for (Eigen::Index j = i; j < n; ++j, ++k) hessian(i, j) = hessian(j, i) = (i == j ? T(2) : T(1)) * fit[k];
    auto const factored = matrix(-hessian).llt();
    auto result = quadratic_surface<T>{.coefficients = {fit.begin(), fit.end()},
                                       .concave = hessian.allFinite() && factored.info() == Eigen::Success};
    result.peak.assign(static_cast<std::size_t>(n), std::numeric_limits<T>::quiet_NaN());
    if (result.concave) Eigen::Map<vector>(result.peak.data(), n) = factored.solve(fit.segment(1, n));
    return result;
}

} // namespace poise::metric
