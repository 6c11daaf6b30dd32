#pragma once

#include "poise/core/error.hpp"
#include "poise/reward/preference_matrix.hpp"

#include <Eigen/LU>

#include <algorithm>
#include <cmath>

/// The Nash equilibrium of the KL-regularised preference game to machine precision (slug nash-md): the reference
/// against which iterates are measured. Host only.
namespace poise::solver {

namespace detail {

/// F(z) = C (z - log mu - P p / tau), p = softmax(z), C = I - 11^T/n: its zero is the equilibrium's centred logits.
class regularized_nash_newton {
public:
    regularized_nash_newton(Eigen::MatrixXd preferences, Eigen::VectorXd const& reference)
        : preferences_(std::move(preferences)), log_reference_(reference.array().log()), z_(log_reference_) {}

    Eigen::VectorXd policy() const { return softmax(z_); }

    /// Damped Newton steps at this tau from the present z; the Jacobian is I - C P (diag(p) - p p^T) / tau.
    void solve(double tau) {
        auto const tolerance = 1e-14 * std::max(1.0, 1 / tau);
        auto f = residual(z_, tau);
        while (greatest(f) >= tolerance) {
            auto const p = softmax(z_);
            Eigen::MatrixXd slope = preferences_ * p.asDiagonal();
            slope -= (preferences_ * p) * p.transpose();
            slope.rowwise() -= slope.colwise().mean().eval();
            Eigen::MatrixXd const jacobian = Eigen::MatrixXd::Identity(p.size(), p.size()) - slope / tau;
            Eigen::VectorXd const direction = jacobian.partialPivLu().solve(f);
            auto fraction = 1.0;
            for (; fraction >= 1e-6; fraction /= 2) {
                Eigen::VectorXd const z = z_ - fraction * direction;
                Eigen::VectorXd const next = residual(z, tau);
                if (greatest(next) <= (1 - fraction / 4) * greatest(f)) {
                    z_ = z;
                    f = next;
                    break;
                }
            }
            if (fraction < 1e-6) return; // rounding: no step helps any more
        }
    }

private:
    static Eigen::VectorXd softmax(Eigen::VectorXd const& z) {
        Eigen::VectorXd const e = (z.array() - z.maxCoeff()).exp();
        return e / e.sum();
    }
    static double greatest(Eigen::VectorXd const& f) { return f.cwiseAbs().maxCoeff(); }
    Eigen::VectorXd residual(Eigen::VectorXd const& z, double tau) const {
        Eigen::VectorXd const f = z - log_reference_ - preferences_ * softmax(z) / tau;
        return f.array() - f.mean();
    }

    Eigen::MatrixXd preferences_;
    Eigen::VectorXd log_reference_;
    Eigen::VectorXd z_;
};

} // namespace detail

/// pi*_tau = argmax_p min_q P_tau(p > q), unique for tau > 0, by damped Newton on centred logits, followed from tau' =
/// max(tau, 1) down by halves to tau; at most about 70 steps of cost n^3. An action outside the support of mu has
/// probability 0. Throws for P that is no preference matrix, mu that is no distribution, or tau <= 0.
template <class Preferences, class Reference>
auto regularized_nash(Eigen::MatrixBase<Preferences> const& preferences, Eigen::MatrixBase<Reference> const& reference,
                      double regularization) {
    using Real = typename Preferences::Scalar;
    constexpr auto name = "regularized_nash";
    auto const n = reference.size();
    auto const size = static_cast<std::size_t>(n);
    require(preferences.rows() == preferences.cols(), name, "preferences", "a square matrix", preferences.cols());
    reward::check_preferences(name, static_cast<std::size_t>(preferences.size()), size, [&](std::size_t k) {
        auto const index = static_cast<Eigen::Index>(k);
        return preferences(index / n, index % n);
    });
    reward::check_distribution(name, "reference", size, size,
                               [&](std::size_t k) { return reference(static_cast<Eigen::Index>(k)); });
    require_domain(regularization > 0 && std::isfinite(regularization), name, "regularization", "tau > 0",
                   regularization);

    auto support = Eigen::VectorX<Eigen::Index>((reference.array() > 0).count());
    for (Eigen::Index k = 0, next = 0; k < n; ++k)
        if (reference(k) > 0) support(next++) = k;
    auto newton = detail::regularized_nash_newton(preferences(support, support).template cast<double>(),
                                                  reference(support).template cast<double>());
    auto tau = std::max(regularization, 1.0);
    for (newton.solve(tau); tau > regularization; newton.solve(tau)) tau = std::max(tau / 2, regularization);

    Eigen::Vector<Real, Eigen::Dynamic> policy = Eigen::Vector<Real, Eigen::Dynamic>::Zero(n);
    policy(support) = newton.policy().template cast<Real>();
    return policy;
}

} // namespace poise::solver
