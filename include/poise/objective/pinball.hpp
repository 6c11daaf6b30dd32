#pragma once

#include "poise/core/verbs.hpp"
#include "poise/objective/quantile_levels.hpp"

/// The pinball loss, whose expectation the tau-quantile minimises (Koenker and Bassett, "Regression quantiles", 1978),
/// and its smooth relative. Slug quantile-aggregation.
namespace poise::objective {

/// psi_tau(e) = max(tau e, (tau - 1) e) of the error e = y - q.
constexpr auto pinball_loss(auto level, auto error) {
    using R = real_of<decltype(error)>;
    return math::max(level * error, (level - R(1)) * error);
}

/// d psi_tau(y - q) / dq: -tau below the target, 1 - tau above, and at q = y the middle 1/2 - tau of the subgradients.
constexpr auto pinball_slope(auto level, auto error) {
    using R = real_of<decltype(error)>;
    auto const tied = math::select(error == R(0), R(0.5), error); // NaN stays NaN
    return math::select(error > R(0), R(0), math::select(error < R(0), R(1), tied)) - level;
}

/// s h / alpha with s = tau for e >= 0, else 1 - tau, and h = e^2 / 2 for |e| < alpha, else alpha (|e| - alpha / 2)
/// (Huber pinball, Dabney et al. 2018, equation 10). alpha > 0.
constexpr auto huber_pinball_loss(auto level, auto error, auto alpha) {
    using R = real_of<decltype(error)>;
    auto const size = math::abs(error);
    auto const side = math::select(error < R(0), R(1) - level, level);
    auto const h = math::select(size < alpha, R(0.5) * error * error, alpha * (size - R(0.5) * alpha));
    return side * h / alpha;
}

/// d/dq of the Huber pinball loss: -s clip(e / alpha, -1, 1).
constexpr auto huber_pinball_slope(auto level, auto error, auto alpha) {
    using R = real_of<decltype(error)>;
    auto const side = math::select(error < R(0), R(1) - level, level);
    return -side * math::clamp(error / alpha, R(-1), R(1));
}

/// loss_k = psi_{tau_k}(y - q_k) and its derivative in q_k, for a target y, quantiles q and levels tau.
/// Throws for levels that are not strictly ascending in (0, 1), other lengths, NaN.
struct pinball {
    static constexpr std::array argument_names{"targets", "quantiles", "levels", "losses", "gradients"};

    constexpr void operator()(row_of_reals auto target, row_of_reals auto quantiles, row_of_reals auto levels,
                              writable_row auto losses, writable_row auto gradients) const {
        auto const y = value_of<decltype(target)>(target[0]);
        map(losses, [=](auto q, auto level) { return pinball_loss(level, y - q); }, quantiles, levels);
        map(gradients, [=](auto q, auto level) { return pinball_slope(level, y - q); }, quantiles, levels);
    }
    constexpr void check(auto const& targets, auto const& quantiles, auto const& levels, auto const& losses,
                         auto const& gradients) const {
        poise::detail::check_quantiles("pinball", targets, quantiles, levels);
        poise::detail::check_length("pinball", "losses", losses, poise::detail::length_of(levels));
        poise::detail::check_length("pinball", "gradients", gradients, poise::detail::length_of(levels));
    }
};

/// The same for the Huber pinball loss; alpha = 0 is the pinball loss. 0 <= pinball - Huber <= max(tau, 1 - tau) alpha
/// / 2.
struct huber_pinball {
    double alpha = 1; ///< the error up to which the loss is quadratic

    static constexpr std::array argument_names = pinball::argument_names;

    constexpr void operator()(row_of_reals auto target, row_of_reals auto quantiles, row_of_reals auto levels,
                              writable_row auto losses, writable_row auto gradients) const {
        if (alpha == 0) return pinball{}(target, quantiles, levels, losses, gradients);
        auto const y = value_of<decltype(target)>(target[0]);
        auto const a = real_of<decltype(y)>(alpha);
        map(losses, [=](auto q, auto level) { return huber_pinball_loss(level, y - q, a); }, quantiles, levels);
        map(gradients, [=](auto q, auto level) { return huber_pinball_slope(level, y - q, a); }, quantiles, levels);
    }
    constexpr void check(auto const& targets, auto const& quantiles, auto const& levels, auto const& losses,
                         auto const& gradients) const {
        require_domain(alpha >= 0, "huber_pinball", "alpha", "alpha >= 0", alpha);
        poise::detail::check_quantiles("huber_pinball", targets, quantiles, levels);
        poise::detail::check_length("huber_pinball", "losses", losses, poise::detail::length_of(levels));
        poise::detail::check_length("huber_pinball", "gradients", gradients, poise::detail::length_of(levels));
    }
};

/// (1/m) sum_k psi_{tau_k}(y - q_k), one number per row; its mean over the batch is the objective of quantile
/// regression.
struct mean_pinball {
    static constexpr std::array argument_names{"targets", "quantiles", "levels", "loss"};

    constexpr void operator()(row_of_reals auto target, row_of_reals auto quantiles, row_of_reals auto levels,
                              writable_row auto loss) const {
        auto const y = value_of<decltype(target)>(target[0]);
        using R = real_of<decltype(y)>;
        loss[0] = sum([=](auto q, auto level) { return pinball_loss(level, y - q); }, quantiles, levels) /
                  R(quantiles.size());
    }
    constexpr void check(auto const& targets, auto const& quantiles, auto const& levels, auto const& loss) const {
        poise::detail::check_quantiles("mean_pinball", targets, quantiles, levels);
        poise::detail::check_length("mean_pinball", "loss", loss, 1);
    }
};

} // namespace poise::objective
