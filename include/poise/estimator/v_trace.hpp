#pragma once

#include "poise/estimator/generalized_advantage.hpp"

namespace poise::estimator {

/// V-trace (Espeholt et al., "IMPALA", 2018, arXiv 1802.01561, equation 1 and section 4.2): values and advantages of a
/// policy pi from a trajectory of another, mu. With the ratios w_t = pi(a_t | s_t) / mu(a_t | s_t),
/// rho_t = min(rho_bar, w_t), c_t = lambda min(c_bar, w_t) and d_t = discount (1 - terminal_t),
///     delta_t = rho_t (r_t + d_t V_{t+1} - V_t),
///     v_t = V_t + delta_t + d_t c_t (v_{t+1} - V_{t+1}),   v_T = V_T = `last_value`,
///     A_t = min(rho_bar_gradient, w_t) (r_t + d_t v_{t+1} - V_t).
/// `returns` is v, the target of the value function; `advantages` is A, which multiplies the gradient of log pi(a_t |
/// s_t) itself. On-policy, with lambda = 1, v is the Monte-Carlo return and A that less V. rho_bar decides which
/// policy's values are learned (infinite: those of pi), c_bar how far corrections travel. Results must not lie where
/// the inputs do. Throws for a discount or lambda outside [0, 1], bounds that are not positive and rows of other
/// lengths.
struct v_trace {
    double discount = 0.99;
    double lambda = 1;
    double rho_bar = 1;
    double c_bar = 1;
    double rho_bar_gradient = 1;

    using reads = fields<field::log_probability, field::old_log_probability, field::reward, field::value,
                         field::terminal, field::last_value>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<field::advantage, field::returns>;
    using scope = per_sequence;
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "rewards",    "values",
                                               "terminal",        "last_value",          "advantages", "returns",
                                               "mask"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto rewards, row_of_reals auto values, row_of_reals auto terminal,
                              row_of_reals auto last_value, writable_row auto advantages, writable_row auto returns,
                              row_of_reals auto... mask) const {
        using T = value_of<decltype(advantages)>;
        using R = real_of<T>;
        static_assert(
            detail::one_number_per_step<decltype(advantages), decltype(log_probability), decltype(old_log_probability),
                                        decltype(rewards), decltype(values), decltype(terminal)>,
            "v_trace: all but last_value have one number per step, not per sequence");
        if (advantages.size() == 0) return;
        auto const end = advantages.size() - 1;
        auto const discounted = detail::carry{R(discount)};
        auto const but_last = [=](auto row) { return segment(row, 0, end); };
        auto const but_first = [=](auto row) { return segment(row, 1, end); };

        // r_t + d_t next_{t+1} - V_t, for every t
        auto const errors = [&](auto out, auto next) {
            auto const error = [=](auto r, auto v, auto after, auto ends) { return r + discounted(ends) * after - v; };
            map(but_last(out), error, but_last(rewards), but_last(values), but_first(next), but_last(terminal));
            out[end] = error(T(rewards[end]), T(values[end]), T(last_value[0]), T(terminal[end]));
        };
        auto const clipped_ratio = [](auto bound) {
            return [=](auto now, auto old) { return math::min(math::exp(now - old), bound); };
        };

        // in the memory of the advantages until there are any
        auto const next_values = [&] {
            if constexpr (sizeof...(mask) == 0) {
                return values;
            } else {
                detail::next_counted_value(advantages, values, T(last_value[0]), mask...);
                return advantages;
            }
        };
        errors(returns, next_values());
        map(
            returns,
            [rho = clipped_ratio(R(rho_bar))](auto delta, auto now, auto old) { return rho(now, old) * delta; },
            returns, log_probability, old_log_probability);
        (detail::blank(mask, returns), ...);
        auto const traces = advantages;
        map(
            traces,
            [=, c = clipped_ratio(R(c_bar)), l = R(lambda)](auto ends, auto now, auto old, auto... m) {
                auto const trace = discounted(ends) * l * c(now, old);
                if constexpr (sizeof...(m) == 0)
                    return trace;
                else
                    return counted(m..., trace, decltype(trace)(1));
            },
            terminal, log_probability, old_log_probability, mask...);
        linear_recurrence(reversed(returns), reversed(traces), reversed(returns));
        map(returns, [](auto correction, auto v) { return v + correction; }, returns, next_values());

        errors(advantages, returns);
        map(
            advantages,
            [rho = clipped_ratio(R(rho_bar_gradient))](auto a, auto now, auto old) { return rho(now, old) * a; },
            advantages, log_probability, old_log_probability);
        (detail::blank(mask, advantages, returns), ...);
    }
    constexpr void check_hyperparameters() const {
        constexpr auto name = "v_trace";
        require_domain(discount >= 0 && discount <= 1, name, "discount", "a number in [0, 1]", discount);
        require_domain(lambda >= 0 && lambda <= 1, name, "lambda", "a number in [0, 1]", lambda);
        require_domain(rho_bar > 0, name, "rho_bar", "a number above 0", rho_bar);
        require_domain(c_bar > 0, name, "c_bar", "a number above 0", c_bar);
        require_domain(rho_bar_gradient > 0, name, "rho_bar_gradient", "a number above 0", rho_bar_gradient);
    }
    constexpr void check(auto const& log_probability, auto const& old_log_probability, auto const& rewards,
                         auto const& values, auto const& terminal, auto const& last_value, auto const& advantages,
                         auto const& returns, auto const&... mask) const {
        check_hyperparameters();
        detail::check_trajectory("v_trace", discount, rewards, terminal, last_value, log_probability,
                                 old_log_probability, values, advantages, returns, mask...);
    }
};

} // namespace poise::estimator
