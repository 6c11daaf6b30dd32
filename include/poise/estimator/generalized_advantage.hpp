#pragma once

#include "poise/core/computed_row.hpp"
#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/scan.hpp"
#include "poise/core/segment.hpp"

#include <array>

/// Advantages and returns of one trajectory, from its end to its start. A row is a trajectory of T steps that may hold
/// several episodes: `terminal` is 1 at the last step of an episode, where nothing follows, else 0. The values at T, of
/// the state in which the trajectory breaks off, count where its last step is not terminal. Several channels of reward
/// are several rows, which may share `terminal`. A step behind a mask is as if it were not there, its results 0.
namespace poise::estimator {

namespace detail {

/// factor (1 - terminal): what a step takes over from the next one; behind a mask all.
template <class R>
struct carry {
    R factor;

    constexpr auto operator()(auto terminal) const { return factor * (R(1) - terminal); }
    constexpr auto operator()(auto terminal, auto mask) const {
        auto const share = (*this)(terminal);
        return counted(mask, share, decltype(share)(1));
    }
    template <row_of_reals Row, row_of_reals... Mask>
    constexpr auto at_every_step(Row terminal, Mask... mask) const {
        return computed_row(terminal.size(), [*this, terminal, mask...](std::size_t t) {
            return (*this)(value_of<Row>(terminal[t]), value_of<Mask>(mask[t])...);
        });
    }
};

/// out_t = V_t, behind a mask the value of the next step that counts, `last` where none follows.
template <writable_row Out, row_of_reals Mask>
constexpr void next_counted_value(Out out, row_of_reals auto values, value_of<Out> last, Mask mask) {
    using T = value_of<Out>;
    auto const end = out.size() - 1;
    map(out, [](auto v, auto m) { return counted(m, v); }, values, mask);
    out[end] = counted(T(mask[end]), T(values[end]), last);
    auto const skipped =
        computed_row(out.size(), [=](std::size_t t) { return counted(value_of<Mask>(mask[t]), T(0), T(1)); });
    linear_recurrence(reversed(out), reversed(skipped), reversed(out));
}

/// What counts of the results.
constexpr void blank(row_of_reals auto mask, writable_row auto... results) {
    (map(results, counted, mask, results), ...);
}

constexpr void check_discount(std::string_view function, double discount) {
    require_domain(discount >= 0 && discount <= 1, function, "discount", "a number in [0, 1]", discount);
}

constexpr void check_trajectory(std::string_view function, double discount, auto const& rewards, auto const& terminal,
                                auto const& last, auto const&... others) {
    check_discount(function, discount);
    require_length_of(function, "terminal", terminal, rewards);
    require_length(function, "value after the last step", last, 1);
    (require_length_of(function, "values, results and mask", others, rewards), ...);
}

// Sequences of a pipeline see a field without tokens as one number.
template <class Results, class... Rows>
inline constexpr bool one_number_per_step = Results::extent == 1 || ((Rows::extent != 1) && ...);

} // namespace detail

/// G_t = r_t + discount (1 - terminal_t) G_{t+1}, G_T given: the Monte-Carlo return, or with discount 1 the
/// undiscounted reward-to-go.
struct reward_to_go {
    double discount = 1;

    using reads = fields<field::step_reward, field::terminal, field::last_value>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<field::advantage>;
    using scope = per_sequence;
    static constexpr std::array argument_names{"rewards", "terminal", "last_reward_to_go", "reward_to_go", "mask"};

    constexpr void operator()(row_of_reals auto rewards, row_of_reals auto terminal, row_of_reals auto last,
                              writable_row auto sums, row_of_reals auto... mask) const {
        using T = value_of<decltype(sums)>;
        static_assert(detail::one_number_per_step<decltype(sums), decltype(rewards), decltype(terminal)>,
                      "reward_to_go: rewards and terminal have one number per step, not per sequence");
        if (sums.size() == 0) return;
        auto const end = sums.size() - 1;
        auto const discounted = detail::carry{real_of<T>(discount)};
        copy(sums, rewards);
        (detail::blank(mask, sums), ...);
        sums[end] = T(sums[end]) + discounted(T(terminal[end]), T(mask[end])...) * T(last[0]);
        linear_recurrence(reversed(sums), reversed(discounted.at_every_step(terminal, mask...)), reversed(sums));
        (detail::blank(mask, sums), ...);
    }
    constexpr void check_hyperparameters() const { detail::check_discount("reward_to_go", discount); }
    constexpr void check(auto const& rewards, auto const& terminal, auto const& last, auto const& sums,
                         auto const&... mask) const {
        detail::check_trajectory("reward_to_go", discount, rewards, terminal, last, sums, mask...);
    }
};

/// Generalised advantage estimation, GAE(lambda) (Schulman et al., "High-dimensional continuous control using
/// generalized advantage estimation", ICLR 2016, equation 16):
///     delta_t = r_t + discount (1 - terminal_t) V_{t+1} - V_t,
///     A_t = delta_t + discount lambda (1 - terminal_t) A_{t+1},   A_T = 0,   return_t = A_t + V_t,
/// with V_T = `last_value`. lambda = 0 is the one-step temporal difference, lambda = 1 the Monte-Carlo return less V.
/// A time limit is not an end: there add discount V(state reached) to the reward. Results must not lie where the values
/// do. Throws for a discount or lambda outside [0, 1] and rows of other lengths.
struct generalized_advantage {
    double discount = 0.99;
    double lambda = 0.95;

    using reads = fields<field::reward, field::value, field::terminal, field::last_value>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<field::advantage, field::returns>;
    using scope = per_sequence;
    static constexpr std::array argument_names{"rewards",    "values",  "terminal", "last_value",
                                               "advantages", "returns", "mask"};

    constexpr void operator()(row_of_reals auto rewards, row_of_reals auto values, row_of_reals auto terminal,
                              row_of_reals auto last_value, writable_row auto advantages, writable_row auto returns,
                              row_of_reals auto... mask) const {
        using T = value_of<decltype(advantages)>;
        static_assert(
            detail::one_number_per_step<decltype(advantages), decltype(rewards), decltype(values), decltype(terminal)>,
            "generalized_advantage: rewards, values and terminal have one number per step, not per sequence");
        if (advantages.size() == 0) return;
        auto const end = advantages.size() - 1;
        auto const error = [discounted = detail::carry{real_of<T>(discount)}](auto r, auto v, auto next, auto ends) {
            return r + discounted(ends) * next - v;
        };
        auto const next = [&] {
            if constexpr (sizeof...(mask) == 0) {
                return values;
            } else {
                detail::next_counted_value(returns, values, T(last_value[0]), mask...);
                return returns;
            }
        }();
        map(segment(advantages, 0, end), error, segment(rewards, 0, end), segment(values, 0, end),
            segment(next, 1, end), segment(terminal, 0, end));
        advantages[end] = error(T(rewards[end]), T(values[end]), T(last_value[0]), T(terminal[end]));
        (detail::blank(mask, advantages), ...);
        auto const trace = detail::carry{real_of<T>(discount * lambda)};
        linear_recurrence(reversed(advantages), reversed(trace.at_every_step(terminal, mask...)), reversed(advantages));
        map(returns, [](auto a, auto v) { return a + v; }, advantages, values);
        (detail::blank(mask, advantages, returns), ...);
    }
    constexpr void check_hyperparameters() const {
        constexpr auto name = "generalized_advantage";
        detail::check_discount(name, discount);
        require_domain(lambda >= 0 && lambda <= 1, name, "lambda", "a number in [0, 1]", lambda);
    }
    constexpr void check(auto const& rewards, auto const& values, auto const& terminal, auto const& last_value,
                         auto const& advantages, auto const& returns, auto const&... mask) const {
        check_hyperparameters();
        detail::check_trajectory("generalized_advantage", discount, rewards, terminal, last_value, values, advantages,
                                 returns, mask...);
    }
};

} // namespace poise::estimator
