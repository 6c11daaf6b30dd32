#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/verbs.hpp"

namespace poise::field {

POISE_FIELD(sampling_divergence, replaced); ///< of a sequence, from the policy that sampled it

} // namespace poise::field

namespace poise::weighting {

/// A response that was worse than its group and that the policy has already moved away from pulls no more (slug
/// catalogue-policy-losses, section 4): with D = (1/n) sum_t (log pi_sampling,t - log pi_t) over its n tokens,
///     w = 1 where A >= 0 or D <= threshold, else 0.
/// Where nothing else is known of the policy that sampled, it is the old one: `with_fields` names it.
struct off_policy_sequence {
    double threshold = 0.1;

    using reads = fields<field::advantage, field::log_probability, field::sampling_log_probability>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<>;
    using writes_per_sequence = fields<field::surrogate_weight, field::sampling_divergence>;
    using scope = per_sequence;

    constexpr void operator()(row_of_reals auto advantage, row_of_reals auto log_probability,
                              row_of_reals auto sampling_log_probability, writable_row auto weight,
                              writable_row auto divergence, row_of_reals auto... mask) const {
        using T = value_of<decltype(weight)>;
        using R = real_of<T>;
        auto const mean_difference = [&] {
            if constexpr (sizeof...(mask) == 0)
                return T(sum([](auto q, auto l) { return q - l; }, sampling_log_probability, log_probability)) /
                       T(R(log_probability.size()));
            else
                return T(sum([](auto q, auto l, auto m) { return counted(m, q - l); }, sampling_log_probability,
                             log_probability, mask...)) /
                       math::max(T(sum(mask...)), T(1));
        }();
        divergence[0] = mean_difference;
        auto const close = math::select(mean_difference <= T(R(threshold)), T(1), T(0));
        weight[0] = math::select(T(advantage[0]) >= T(0), T(1), close);
    }
    constexpr void check_hyperparameters() const {
        require_domain(math::isfinite(threshold), "off_policy_sequence", "threshold", "a finite number", threshold);
    }
    constexpr void check(auto const& advantage, auto const& log_probability, auto const& sampling, auto const& weight,
                         auto const& divergence, auto const&... mask) const {
        constexpr auto name = "off_policy_sequence";
        check_hyperparameters();
        require_length(name, "advantage", advantage, 1);
        require_length_of(name, "sampling_log_probability", sampling, log_probability);
        require_length(name, "weight", weight, 1);
        require_length(name, "divergence", divergence, 1);
        (require_length_of(name, "mask", mask, log_probability), ...);
    }
};

} // namespace poise::weighting
