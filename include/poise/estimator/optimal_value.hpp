#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

namespace poise::estimator {

/// The optimal value of a prompt under a KL penalty, from n rewards of the reference policy's responses (A*-PO:
/// Brantley et al., "Accelerating RL for LLM reasoning with optimal advantage regression", 2025, arXiv 2505.20686; slug
/// catalogue-policy-losses, section 9):
///     V* = temperature log((1/n) sum_j e^{r_j / temperature}),
/// between the mean (temperature -> infinity) and the maximum (-> 0). `keep` is 0 where the rewards sum to 0, so that a
/// prompt which nothing solves can be dropped, else 1.
struct optimal_value {
    double temperature = 0.5;

    using reads = fields<field::reward>;
    using writes = fields<>;
    using writes_per_row = fields<field::baseline, field::weight>;

    constexpr void operator()(row_of_reals auto reward, writable_row auto value, writable_row auto keep) const {
        using T = value_of<decltype(value)>;
        using R = real_of<T>;
        auto const greatest = T(maximum(reward));
        auto const shift = poise::detail::exponent_shift(greatest);
        auto const tau = R(temperature);
        auto const total = T(sum([=](auto r) { return math::exp((r - shift) / tau); }, reward));
        value[0] = shift + T(tau) * math::log(total / T(R(reward.size())));
        keep[0] = math::select(T(sum(reward)) == T(0), T(0), T(1));
    }
    constexpr void check_hyperparameters() const {
        require_domain(temperature > 0 && math::isfinite(temperature), "optimal_value", "temperature",
                       "a finite number above 0", temperature);
    }
    constexpr void check_length(std::size_t rewards) const {
        require(rewards > 0, "optimal_value", "reward", "at least 1 element", rewards);
    }
    constexpr void check(auto const& reward, auto const& value, auto const& keep) const {
        check_hyperparameters();
        for (std::size_t i = 0; i < reward.rows(); ++i) check_length(reward.length(i));
        require_length("optimal_value", "value", value, 1);
        require_length("optimal_value", "keep", keep, 1);
    }
};

} // namespace poise::estimator
