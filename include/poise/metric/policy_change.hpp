#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/verbs.hpp"

#include <array>

namespace poise::detail {

/// The mean of f(a, b) over a row, or over what a mask lets count of it.
template <row_of_reals Row>
constexpr auto counted_mean(auto const& f, Row a, row_of_reals auto b, row_of_reals auto... mask) {
    using T = value_of<Row>;
    if constexpr (sizeof...(mask) == 0) {
        return sum(f, a, b) / T(real_of<T>(a.size()));
    } else {
        auto const total = sum([&](auto x, auto y, auto m) { return counted(m, f(x, y)); }, a, b, mask...);
        return total / math::max(T(sum(mask...)), T(1));
    }
}

} // namespace poise::detail

/// Diagnostics of an update, one number per row: means over the elements that count, 0 where none does.
namespace poise::metric {

/// The fraction of elements whose ratio pi / pi_old lies outside [1 - low, 1 + high].
struct clip_fraction {
    double low = 0.2;
    double high = 0.2;

    using reads = fields<field::log_probability, field::old_log_probability>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<>;
    using writes_per_row = fields<field::clip_fraction>;
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "clip_fraction", "mask"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              writable_row auto fraction, row_of_reals auto... mask) const {
        using R = real_of<value_of<decltype(fraction)>>;
        fraction[0] = poise::detail::counted_mean(
            [least = R(1 - low), most = R(1 + high)](auto log_p, auto old) {
                auto const ratio = math::exp(log_p - old);
                using V = decltype(ratio);
                return math::select(ratio < least, V(1), math::select(ratio > most, V(1), V(0)));
            },
            log_probability, old_log_probability, mask...);
    }
    constexpr void check(auto const& log_probability, auto const& old_log_probability, auto const& fraction,
                         auto const&... mask) const {
        require_length_of("clip_fraction", "old_log_probability", old_log_probability, log_probability);
        (require_length_of("clip_fraction", "mask", mask, log_probability), ...);
        require_length("clip_fraction", "clip_fraction", fraction, 1);
    }
};

/// The mean of k3 = pi / pi_old - 1 - log(pi / pi_old) over samples of pi_old: an estimate of KL(pi_old || pi), not
/// below 0.
struct sampled_kl_divergence {
    using reads = fields<field::log_probability, field::old_log_probability>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<>;
    using writes_per_row = fields<field::kl_divergence>;
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "kl_divergence", "mask"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              writable_row auto divergence, row_of_reals auto... mask) const {
        divergence[0] = poise::detail::counted_mean(
            [](auto log_p, auto old) {
                auto const d = log_p - old;
                return math::expm1(d) - d;
            },
            log_probability, old_log_probability, mask...);
    }
    constexpr void check(auto const& log_probability, auto const& old_log_probability, auto const& divergence,
                         auto const&... mask) const {
        require_length_of("sampled_kl_divergence", "old_log_probability", old_log_probability, log_probability);
        (require_length_of("sampled_kl_divergence", "mask", mask, log_probability), ...);
        require_length("sampled_kl_divergence", "kl_divergence", divergence, 1);
    }
};

} // namespace poise::metric
