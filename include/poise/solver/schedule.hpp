#pragma once

#include "poise/core/math.hpp"
#include "poise/core/row.hpp"

#include <algorithm>
#include <concepts>
#include <cstddef>

/// Learning rates that change with the step: `schedule(step)`, where steps count from 1. `scheduled{rule, schedule}` is
/// the update rule that takes its learning rate from there. `Real` may be a SIMD pack, for a schedule per replica.
namespace poise::solver {

template <class S>
concept learning_rate_schedule = requires(S const& schedule, std::size_t step) {
    { schedule(step) } -> scalar;
};

namespace detail {

/// How much of `steps` lies behind step 1, 2, …: 0 at the first step, 1 from step `steps` + 1 on.
template <scalar Real>
constexpr Real progress(std::size_t step, std::size_t steps) {
    auto const taken = std::min(step - 1, steps);
    return steps == 0 ? Real(1) : Real(real_of<Real>(taken) / real_of<Real>(steps));
}

} // namespace detail

/// rate
template <scalar Real = double>
struct constant_rate {
    Real rate = Real(1e-3);

    constexpr Real operator()(std::size_t) const { return rate; }
};

/// A straight line from `rate` at step 1 to `last` at step steps + 1, and constant from there.
template <scalar Real = double>
struct linear_rate {
    Real rate = Real(1e-3);
    std::size_t steps = 1;
    Real last = Real(0);

    constexpr Real operator()(std::size_t step) const {
        return rate + detail::progress<Real>(step, steps) * (last - rate);
    }
};

/// last + (rate - last) (1 + cos(pi x)) / 2, where x goes from 0 at step 1 to 1 at step steps + 1, and `last` from
/// there (Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5, without restarts).
template <scalar Real = double>
struct cosine_rate {
    Real rate = Real(1e-3);
    std::size_t steps = 1;
    Real last = Real(0);

    constexpr Real operator()(std::size_t step) const {
        auto const angle = Real(3.14159265358979323846) * detail::progress<Real>(step, steps);
        return last + (rate - last) * Real(0.5) * (Real(1) + math::cos(angle));
    }
};

/// rate sqrt(hold / max(step, hold)): constant for `hold` steps, then falling with the root of the step.
/// warm_up{inverse_square_root_rate{rate, n}, n} is the schedule of Vaswani et al., "Attention is all you need", 2017,
/// with its peak `rate` at step n.
template <scalar Real = double>
struct inverse_square_root_rate {
    Real rate = Real(1e-3);
    std::size_t hold = 1;

    constexpr Real operator()(std::size_t step) const {
        return rate * math::sqrt(Real(real_of<Real>(hold)) / Real(real_of<Real>(std::max(step, hold))));
    }
};

/// rate factor^((step - 1) / steps): times `factor` every `steps` steps, smoothly.
template <scalar Real = double>
struct exponential_rate {
    Real rate = Real(1e-3);
    Real factor = Real(0.99);
    std::size_t steps = 1;

    constexpr Real operator()(std::size_t step) const {
        return rate * math::pow(factor, Real(real_of<Real>(step - 1) / real_of<Real>(steps)));
    }
};

/// min(1, step / steps) schedule(step): another schedule, reached in a straight line.
template <learning_rate_schedule Schedule>
struct warm_up {
    Schedule schedule{};
    std::size_t steps = 1;

    constexpr auto operator()(std::size_t step) const {
        auto const rate = schedule(step);
        using Real = std::remove_const_t<decltype(rate)>;
        return step >= steps ? rate : Real(real_of<Real>(step) / real_of<Real>(steps)) * rate;
    }
};
template <class Schedule>
warm_up(Schedule, std::size_t) -> warm_up<Schedule>;

/// Sets the learning rate of an update rule, or of the rule inside it.
template <class Rule>
constexpr void set_learning_rate(Rule& rule, auto rate) {
    if constexpr (requires { rule.learning_rate; })
        rule.learning_rate = decltype(rule.learning_rate)(rate);
    else
        set_learning_rate(rule.rule, rate);
}

/// An update rule whose learning rate at step t is schedule(t); the rate that it holds itself is not used:
///     optimizer(scheduled{adam{}, cosine_rate{.rate = 3e-4, .steps = 10'000}}, parameters)
template <class Rule, learning_rate_schedule Schedule>
struct scheduled {
    Rule rule{};
    Schedule schedule{};

    static constexpr std::size_t state_rows = Rule::state_rows;

    constexpr auto operator()(writable_row auto parameters, row_of_reals auto gradient, auto const& state,
                              std::size_t step) const {
        auto now = rule;
        set_learning_rate(now, schedule(step));
        return now(parameters, gradient, state, step);
    }
};
template <class Rule, class Schedule>
scheduled(Rule, Schedule) -> scheduled<Rule, Schedule>;

} // namespace poise::solver
