#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/verbs.hpp"

#include <array>
#include <utility>

namespace poise::objective {

/// The surrogate of REINFORCE (Williams, "Simple statistical gradient-following algorithms for connectionist
/// reinforcement learning", Machine Learning 1992), per element: loss = -A log pi, d loss / d log pi = -A, with the
/// advantage A a constant. Its gradient is an unbiased estimate of that of -E[A] if A does not depend on the element's
/// own action other than through its return.
struct policy_gradient {
    using reads = fields<field::log_probability, field::advantage>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"log_probability", "advantage", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto advantage, writable_row auto loss,
                              writable_row auto gradient) const {
        map_pair(loss, gradient, [](auto log_p, auto a) { return std::pair{-a * log_p, -a}; }, log_probability,
                 advantage);
    }
};

/// The negative log-likelihood of the actions taken, the cross-entropy from samples, per element: loss = -log pi, d
/// loss / d log pi = -1. Imitation, supervised fine-tuning; weights come from weighting stages.
struct negative_log_likelihood {
    using reads = fields<field::log_probability>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"log_probability", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto log_probability, writable_row auto loss,
                              writable_row auto gradient) const {
        map_pair(loss, gradient, [](auto log_p) { return std::pair{-log_p, decltype(log_p)(-1)}; }, log_probability);
    }
};

} // namespace poise::objective
