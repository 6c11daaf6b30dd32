#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/verbs.hpp"

#include <array>

/// Diagnostics of an update, one number per row. They count every element of it, padding behind a mask too.
namespace poise::metric {

/// The fraction of elements whose ratio pi / pi_old lies outside [1 - low, 1 + high].
struct clip_fraction {
    double low = 0.2;
    double high = 0.2;

    using reads = fields<field::log_probability, field::old_log_probability>;
    using writes = fields<>;
    using writes_per_row = fields<field::clip_fraction>;
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "clip_fraction"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              writable_row auto fraction) const {
        using T = value_of<decltype(fraction)>;
        using R = real_of<T>;
        auto const clipped = sum(
            [least = R(1 - low), most = R(1 + high)](auto log_p, auto old) {
                auto const ratio = math::exp(log_p - old);
                using V = decltype(ratio);
                return math::select(ratio < least, V(1), math::select(ratio > most, V(1), V(0)));
            },
            log_probability, old_log_probability);
        fraction[0] = clipped / T(R(log_probability.size()));
    }
    constexpr void check(auto const& log_probability, auto const& old_log_probability, auto const& fraction) const {
        require_length_of("clip_fraction", "old_log_probability", old_log_probability, log_probability);
        require_length("clip_fraction", "clip_fraction", fraction, 1);
    }
};

/// The mean of k3 = pi / pi_old - 1 - log(pi / pi_old) over samples of pi_old: an estimate of KL(pi_old || pi), not
/// below 0.
struct sampled_kl_divergence {
    using reads = fields<field::log_probability, field::old_log_probability>;
    using writes = fields<>;
    using writes_per_row = fields<field::kl_divergence>;
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "kl_divergence"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              writable_row auto divergence) const {
        using T = value_of<decltype(divergence)>;
        auto const total = sum(
            [](auto log_p, auto old) {
                auto const d = log_p - old;
                return math::expm1(d) - d;
            },
            log_probability, old_log_probability);
        divergence[0] = total / T(real_of<T>(log_probability.size()));
    }
    constexpr void check(auto const& log_probability, auto const& old_log_probability, auto const& divergence) const {
        require_length_of("sampled_kl_divergence", "old_log_probability", old_log_probability, log_probability);
        require_length("sampled_kl_divergence", "kl_divergence", divergence, 1);
    }
};

} // namespace poise::metric
