#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/metric/risk_values.hpp"
#include "poise/weighting/selection.hpp"

#include <array>

namespace poise::field {

POISE_FIELD(lower_quantile, replaced); ///< of the rewards, at level alpha
POISE_FIELD(upper_quantile, replaced); ///< at level beta

} // namespace poise::field

/// Advantages whose policy gradients are those of values at risk (slug riskpo: Ren et al., 2025, arXiv 2510.00911):
/// with the quantiles q_a, q_b of the reward R at levels alpha < beta,
///     g(R) = (q_a - R)+ - (q_b - R)+,   grad I(alpha, beta) = E[g(R) grad log pi].
/// Tracked quantiles may cross for a while; the formulas stay defined.
namespace poise::estimator {

namespace detail {

constexpr auto positive_part(auto x) { return math::max(x, decltype(x)(0)); }

/// g: q_a - q_b below q_a, R - q_b between, 0 above q_b.
constexpr auto range_value(auto reward, auto low, auto high) {
    return positive_part(low - reward) - positive_part(high - reward);
}

/// Stages take their two quantiles as rows of one element, or repeated: the first counts.
template <class Quantile>
constexpr void check_quantile(char const* name, char const* argument, Quantile const& quantile) {
    poise::detail::check_not_empty(name, argument, quantile);
}

} // namespace detail

/// Kernel: quantiles of a distribution, the first atom in ascending order up to and with which the mass reaches the
/// level (the greatest atom where rounding leaves it short). Throws for levels outside [0, 1], negative probabilities,
/// NaN.
struct distribution_quantiles {
    static constexpr std::array argument_names{"values", "probabilities", "levels", "quantiles"};
    static constexpr std::size_t scratch_rows = order_statistic_scratch;

    constexpr void operator()(row_of_reals auto values, row_of_reals auto probabilities, row_of_reals auto levels,
                              writable_row auto quantiles, auto const& scratch) const {
        using T = value_of<decltype(quantiles)>;
        auto const work = scratch_of_length<order_statistic_scratch>(
            scratch, values.size()); // levels may be more than values
        auto const sorted = detail::in_order(values, work);
        auto const cumulative = work[0];
        gather(work[1], probabilities, work[argsort_scratch]);
        cumulative_sum(cumulative, work[1]);
        auto const greatest = T(maximum(values));
        for (std::size_t k = 0; k < levels.size(); ++k) {
            auto const reached = [=, level = T(levels[k])](auto x, auto until) {
                using X = decltype(x);
                return math::select(until < X(level), X(greatest), x);
            };
            quantiles[k] = T(reduce(operation::minimum{}, reached, sorted, cumulative));
        }
    }
    constexpr void check(auto const& values, auto const& probabilities, auto const& levels,
                         auto const& quantiles) const {
        constexpr auto name = "distribution_quantiles";
        poise::detail::check_not_empty(name, "values", values);
        poise::detail::check_not_nan(name, "values", values);
        require_length_of(name, "probabilities", probabilities, values);
        require_length_of(name, "quantiles", quantiles, levels);
        poise::detail::for_each_element(probabilities, [&](auto p) {
            require_domain(p >= decltype(p)(0), name, "probabilities", "numbers not below 0", p);
        });
        poise::detail::for_each_element(levels, [&](auto level) {
            require_domain(level >= decltype(level)(0) && level <= decltype(level)(1), name, "levels",
                           "numbers in [0, 1]", level);
        });
    }
};

/// A = g(R): range value at risk.
struct range_value_at_risk {
    using reads = fields<field::reward, field::lower_quantile, field::upper_quantile>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "lower_quantile", "upper_quantile", "advantage"};

    constexpr void operator()(row_of_reals auto reward, row_of_reals auto lower_quantile,
                              row_of_reals auto upper_quantile, writable_row auto advantage) const {
        using T = value_of<decltype(advantage)>;
        auto const low = T(lower_quantile[0]), high = T(upper_quantile[0]);
        map(advantage, [=](auto r) { return detail::range_value(r, low, high); }, reward);
    }
    constexpr void check(auto const& reward, auto const& lower_quantile, auto const& upper_quantile,
                         auto const& advantage) const {
        constexpr auto name = "range_value_at_risk";
        detail::check_quantile(name, "lower_quantile", lower_quantile);
        detail::check_quantile(name, "upper_quantile", upper_quantile);
        require_length_of(name, "advantage", advantage, reward);
    }
};

/// Mixed value at risk:
///     A = -(1 + omega) (q_a - R)+ + g(R) = -omega (q_a - R)+ - (q_b - R)+ <= 0,
/// concave in R, of slope 1 + omega below q_a, 1 between, 0 above q_b. omega = 0: the lower CVaR at beta.
struct mixed_value_at_risk {
    double omega = 0.5; ///< what the lower tail counts more; not below 0

    using reads = fields<field::reward, field::lower_quantile, field::upper_quantile>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "lower_quantile", "upper_quantile", "advantage"};

    constexpr void operator()(row_of_reals auto reward, row_of_reals auto lower_quantile,
                              row_of_reals auto upper_quantile, writable_row auto advantage) const {
        using T = value_of<decltype(advantage)>;
        auto const low = T(lower_quantile[0]), high = T(upper_quantile[0]);
        map(
            advantage,
            [=, w = real_of<T>(omega)](auto r) {
                return -(decltype(r)(w) * detail::positive_part(low - r)) - detail::positive_part(high - r);
            },
            reward);
    }
    constexpr void check_hyperparameters() const {
        require_domain(omega >= 0, "mixed_value_at_risk", "omega", "a number not below 0", omega);
    }
    constexpr void check(auto const& reward, auto const& lower_quantile, auto const& upper_quantile,
                         auto const& advantage) const {
        constexpr auto name = "mixed_value_at_risk";
        check_hyperparameters();
        detail::check_quantile(name, "lower_quantile", lower_quantile);
        detail::check_quantile(name, "upper_quantile", upper_quantile);
        require_length_of(name, "advantage", advantage, reward);
    }
};

/// What `normalized_value_at_risk` adds to the range, and how much of it.
namespace risk {

/// The lower tail, (w t + r) / (w + 1) with t = -(q_a - R)+ / (alpha + epsilon).
struct averse {
    static constexpr auto mix(auto reward, auto low, auto, auto range, auto weight, auto lower_mass, auto) {
        using T = decltype(range);
        return (T(weight) * (-detail::positive_part(low - reward) / T(lower_mass)) + range) / T(weight + 1);
    }
};

/// The upper tail, (w t + r) / (w + 1) with t = (R - q_b)+ / (1 - beta + epsilon).
struct seeking {
    static constexpr auto mix(auto reward, auto, auto high, auto range, auto weight, auto, auto upper_mass) {
        using T = decltype(range);
        return (T(weight) * (detail::positive_part(reward - high) / T(upper_mass)) + range) / T(weight + 1);
    }
};

/// Nothing.
struct range {
    static constexpr auto mix(auto, auto, auto, auto range, auto, auto, auto) { return range; }
};

} // namespace risk

/// The advantage of the paper's released code, each part divided by its mass: with r = g(R) / (beta - alpha + epsilon),
/// as `Risk` says. With epsilon = 0 and mixing_weight = (1 + omega) alpha / (beta - alpha) the averse one is that of
/// `mixed_value_at_risk` / ((mixing_weight + 1) (beta - alpha)): the released 1.5 is omega = 3.5, the paper's omega =
/// 0.5 is 0.5 here.
template <class Risk = risk::averse>
struct normalized_value_at_risk {
    double alpha = 0.2;
    double beta = 0.8;
    double mixing_weight = 1.5; ///< of the tail, beside 1 for the range
    double epsilon = 1e-6;

    using reads = fields<field::reward, field::lower_quantile, field::upper_quantile>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"reward", "lower_quantile", "upper_quantile", "advantage"};

    constexpr void operator()(row_of_reals auto reward, row_of_reals auto lower_quantile,
                              row_of_reals auto upper_quantile, writable_row auto advantage) const {
        using T = value_of<decltype(advantage)>;
        using R = real_of<T>;
        auto const low = T(lower_quantile[0]), high = T(upper_quantile[0]);
        map(
            advantage,
            [=, w = R(mixing_weight), lower_mass = R(alpha + epsilon), upper_mass = R(1 - beta + epsilon),
             range_mass = R(beta - alpha + epsilon)](auto r) {
                auto const range = detail::range_value(r, low, high) / decltype(r)(range_mass);
                return Risk::mix(r, low, high, range, w, lower_mass, upper_mass);
            },
            reward);
    }
    constexpr void check_hyperparameters() const {
        constexpr auto name = "normalized_value_at_risk";
        metric::detail::check_risk_levels(name, alpha, beta);
        require_domain(mixing_weight >= 0, name, "mixing_weight", "a number not below 0", mixing_weight);
        require_domain(epsilon >= 0, name, "epsilon", "a number not below 0", epsilon);
    }
    constexpr void check(auto const& reward, auto const& lower_quantile, auto const& upper_quantile,
                         auto const& advantage) const {
        constexpr auto name = "normalized_value_at_risk";
        check_hyperparameters();
        detail::check_quantile(name, "lower_quantile", lower_quantile);
        detail::check_quantile(name, "upper_quantile", upper_quantile);
        require_length_of(name, "advantage", advantage, reward);
    }
};

} // namespace poise::estimator
