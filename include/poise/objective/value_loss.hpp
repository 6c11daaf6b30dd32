#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>
#include <utility>

namespace poise::objective {

/// The squared error of the value function, per element: loss = coefficient (V - R)^2 / 2 with the return R a
/// constant, d loss / d V = coefficient (V - R).
struct value_loss {
    double coefficient = 1;

    using reads = fields<field::value, field::returns>;
    using writes = fields<field::loss, field::gradient<field::value>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"value", "returns", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto value, row_of_reals auto returns, writable_row auto loss,
                              writable_row auto gradient) const {
        auto const c = real_of<value_of<decltype(loss)>>(coefficient);
        map_pair(
            loss, gradient,
            [=, half = c / 2](auto v, auto r) {
                auto const error = v - r;
                return std::pair{half * error * error, c * error};
            },
            value, returns);
    }
    constexpr void check_hyperparameters() const {
        require_domain(coefficient >= 0 && math::isfinite(coefficient), "value_loss", "coefficient",
                       "a finite number not below 0", coefficient);
    }
    constexpr void check(auto const& value, auto const& returns, auto const& loss, auto const& gradient) const {
        check_hyperparameters();
        require_equal_lengths("value_loss", argument_names, value, returns, loss, gradient);
    }
};

/// The bonus for entropy, per element: loss = -coefficient H, d loss / d H = -coefficient.
struct entropy_bonus {
    double coefficient = 0.01;

    using reads = fields<field::entropy>;
    using writes = fields<field::loss, field::gradient<field::entropy>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"entropy", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto entropy, writable_row auto loss, writable_row auto gradient) const {
        auto const c = real_of<value_of<decltype(loss)>>(coefficient);
        map_pair(loss, gradient, [=](auto h) { return std::pair{-c * h, decltype(h)(-c)}; }, entropy);
    }
    constexpr void check_hyperparameters() const {
        require_domain(coefficient >= 0 && math::isfinite(coefficient), "entropy_bonus", "coefficient",
                       "a finite number not below 0", coefficient);
    }
    constexpr void check(auto const& entropy, auto const& loss, auto const& gradient) const {
        check_hyperparameters();
        require_equal_lengths("entropy_bonus", argument_names, entropy, loss, gradient);
    }
};

} // namespace poise::objective
