#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/verbs.hpp"
#include "poise/objective/importance_ratio.hpp"

#include <array>

namespace poise::field {

POISE_FIELD(low_clip_fraction, replaced);   ///< of elements that the lower bound keeps from pulling
POISE_FIELD(high_clip_fraction, replaced);  ///< of elements that the upper bound keeps from pulling
POISE_FIELD(value_clip_fraction, replaced); ///< of elements whose value was held

} // namespace poise::field

/// How often PPO's clip is active, per sequence (slug catalogue-policy-losses): means over what the mask lets count, 0
/// where nothing does.
namespace poise::metric {

/// The shares of a sequence's tokens with rho < 1 - low and A < 0, and with rho > 1 + high and A > 0; one excludes the
/// other, so their sum is the share of both. `ratio::sequence` makes them 0 or 1. Over a whole batch they are means
/// weighted by the tokens that count, and by sequence one takes the minimum and the maximum.
template <class Ratio = ratio::token>
struct clip_fractions {
    double low = 0.2;
    double high = 0.2;
    double dual = math::infinity<double>; ///< a cap on the ratio before all else

    using reads = fields<field::log_probability, field::old_log_probability, field::advantage, field::mask>;
    using writes = fields<>;
    using writes_per_sequence = fields<field::low_clip_fraction, field::high_clip_fraction>;
    using scope = per_sequence;
    static constexpr bool couples_tokens = Ratio::couples_tokens;
    static constexpr std::array argument_names{"log_probability",   "old_log_probability", "advantage", "mask",
                                               "low_clip_fraction", "high_clip_fraction"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto advantage, row_of_reals auto mask, writable_row auto low_fraction,
                              writable_row auto high_fraction) const {
        using T = value_of<decltype(low_fraction)>;
        auto const n = log_probability.size();
        auto const a = repeated(advantage, n), m = repeated(mask, n);
        auto const below = [=, *this](auto log_ratio, auto advantage_here) {
            using V = decltype(log_ratio);
            auto const ratio = capped(log_ratio);
            auto const is_low = math::select(ratio < V(real_of<V>(1 - low)), V(1), V(0));
            return math::select(V(advantage_here) < V(0), is_low, V(0));
        };
        auto const above = [=, *this](auto log_ratio, auto advantage_here) {
            using V = decltype(log_ratio);
            auto const ratio = capped(log_ratio);
            auto const is_high = math::select(ratio > V(real_of<V>(1 + high)), V(1), V(0));
            return math::select(V(advantage_here) > V(0), is_high, V(0));
        };
        if constexpr (couples_tokens) {
            auto const log_ratio = T(Ratio{}.log_ratio(log_probability, old_log_probability, a, m, m));
            low_fraction[0] = below(log_ratio, T(advantage[0]));
            high_fraction[0] = above(log_ratio, T(advantage[0]));
        } else {
            auto const share = [&](auto const& is_clipped) {
                return T(sum([=](auto l, auto o, auto b,
                                 auto counts) { return counted(counts, is_clipped(Ratio{}.log_ratio(l, o), b)); },
                             log_probability, old_log_probability, a, m)) /
                       math::max(T(sum(m)), T(1));
            };
            low_fraction[0] = share(below);
            high_fraction[0] = share(above);
        }
    }
    constexpr void check(auto const& log_probability, auto const& old, auto const&, auto const&,
                         auto const& low_fraction, auto const& high_fraction) const {
        constexpr auto name = "clip_fractions";
        require_length_of(name, "old_log_probability", old, log_probability);
        require_length(name, "low_clip_fraction", low_fraction, 1);
        require_length(name, "high_clip_fraction", high_fraction, 1);
    }

private:
    template <class V>
    constexpr V capped(V log_ratio) const {
        return math::min(math::exp(log_ratio), V(real_of<V>(dual)));
    }
};

/// The share of elements of which `objective::clipped_value_loss` takes the value as held.
struct value_clip_fraction {
    double clip = 0.2;

    using reads = fields<field::value, field::old_value, field::returns>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<>;
    using writes_per_row = fields<field::value_clip_fraction>;

    constexpr void operator()(row_of_reals auto value, row_of_reals auto old_value, row_of_reals auto returns,
                              writable_row auto fraction, row_of_reals auto... mask) const {
        using T = value_of<decltype(fraction)>;
        using R = real_of<T>;
        auto const total = sum(
            [most = R(clip)](auto v, auto old, auto r, auto... m) {
                using V = decltype(v);
                auto const e = v - r, held = math::clamp(v, old - V(most), old + V(most)) - r;
                auto const is_held = math::select(held * held > e * e, V(1), V(0));
                if constexpr (sizeof...(m) == 0)
                    return is_held;
                else
                    return counted(m..., is_held);
            },
            value, old_value, returns, mask...);
        if constexpr (sizeof...(mask) == 0)
            fraction[0] = T(total) / T(R(value.size()));
        else
            fraction[0] = T(total) / math::max(T(sum(mask...)), T(1));
    }
    constexpr void check(auto const& value, auto const& old_value, auto const& returns, auto const& fraction,
                         auto const&... mask) const {
        constexpr auto name = "value_clip_fraction";
        require_length_of(name, "old_value", old_value, value);
        require_length_of(name, "returns", returns, value);
        require_length(name, "fraction", fraction, 1);
        (require_length_of(name, "mask", mask, value), ...);
    }
};

} // namespace poise::metric
