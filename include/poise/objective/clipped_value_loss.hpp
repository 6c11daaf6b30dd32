#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/verbs.hpp"

#include <array>
#include <utility>

namespace poise::objective {

/// PPO's squared error of a value function that may move at most `clip` from what it was (Schulman et al., "High-
/// dimensional continuous control", 2016, as implemented; slug catalogue-policy-losses, section 8), per element:
///     loss = coefficient / 2 max((V - R)^2, (clip(V, V_old -+ clip) - R)^2),
///     d loss / d V = coefficient (V - R), but 0 where V is outside and the second square is the greater.
struct clipped_value_loss {
    double coefficient = 0.1;
    double clip = 0.2;

    using reads = fields<field::value, field::old_value, field::returns>;
    using writes = fields<field::loss, field::gradient<field::value>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"value", "old_value", "returns", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto value, row_of_reals auto old_value, row_of_reals auto returns,
                              writable_row auto loss, writable_row auto gradient) const {
        using R = real_of<value_of<decltype(loss)>>;
        map_pair(
            loss, gradient,
            [c = R(coefficient), half = R(coefficient / 2), most = R(clip)](auto v, auto old, auto r) {
                using V = decltype(v);
                auto const e = v - r, held = math::clamp(v, old - V(most), old + V(most)) - r;
                auto const is_held = held * held > e * e;
                return std::pair{half * math::select(is_held, held * held, e * e), c * math::select(is_held, V(0), e)};
            },
            value, old_value, returns);
    }
    constexpr void check_hyperparameters() const {
        constexpr auto name = "clipped_value_loss";
        require_domain(coefficient >= 0 && math::isfinite(coefficient), name, "coefficient",
                       "a finite number not below 0", coefficient);
        require_domain(clip >= 0, name, "clip", "a number not below 0", clip);
    }
    constexpr void check(auto const& value, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("clipped_value_loss", argument_names, value, others...);
    }
};

} // namespace poise::objective
