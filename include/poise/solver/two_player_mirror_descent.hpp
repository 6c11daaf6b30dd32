#pragma once

#include "poise/solver/mirror_descent.hpp"

/// Nash-MD with two policies (slug nash-md). These definitions are this library's; the paper has one policy.
namespace poise::solver {

namespace move_order {

struct simultaneous {}; ///< both play against the other's old policy
struct alternating {};  ///< the second plays against the first's new policy

} // namespace move_order

namespace opponent {

/// mix(other, mu, w), the other player's mixture.
template <class Row, class T>
struct mixture_of {
    Row log_other;
    T weight;

    constexpr void operator()(writable_row auto out, row_of_reals auto, row_of_reals auto,
                              row_of_reals auto log_reference) const {
        map(out, [w = weight](auto q, auto mu) { return math::interpolate(q, mu, w); }, log_other, log_reference);
        softmax(out, out);
    }
};
template <class Row, class T>
mixture_of(Row, T) -> mixture_of<Row, T>;

} // namespace opponent

/// One step of both players: own' ∝ mix(own, mu, eta tau) exp(eta P mix(other, mu, eta tau)). From equal starts
/// simultaneous moves stay equal and are Nash-MD. `scratch` is three rows as long as a policy.
template <writable_row Row, class Order>
constexpr void two_player_mirror_step(Row log_first, Row log_second, row_of_reals auto log_reference,
                                      row_of_reals auto preferences, mirror_step_size<value_of<Row>> size, Order,
                                      std::array<Row, 3> const& scratch) {
    auto const old_first = scratch[0];
    copy(old_first, log_first);
    auto second = opponent::mixture_of{log_second, size.mixture_weight};
    mirror_step(log_first, log_reference, preferences, size, second, scratch[1], scratch[2]);
    auto first = opponent::mixture_of{std::is_same_v<Order, move_order::alternating> ? log_first : old_first,
                                      size.mixture_weight};
    mirror_step(log_second, log_reference, preferences, size, first, scratch[1], scratch[2]);
}

/// Kernel: `steps` steps of both players, and gap_tau of the pair, one game per row.
template <class Order = move_order::alternating, class Schedule = constant_step<>>
struct two_player_mirror_descent {
    Order order{};
    Schedule schedule{};
    double regularization = 0.1; ///< tau
    std::size_t steps = 1;

    static constexpr std::size_t scratch_rows = 6;
    static constexpr std::array<char const*, 7> argument_names = {
        "preferences", "first_start", "second_start", "reference", "first", "second", "gap"};

    constexpr void operator()(row_of_reals auto preferences, row_of_reals auto first_start,
                              row_of_reals auto second_start, row_of_reals auto reference, writable_row auto first,
                              writable_row auto second, writable_row auto gap, auto const& scratch) const {
        using T = value_of<decltype(first_start)>;
        auto const tau = T(real_of<T>(regularization));
        auto const part = [&](std::size_t i) { return matrix_row(scratch[i], 0, first_start); };
        auto const log_first = part(0), log_second = part(1), log_reference = part(2);
        auto const working = std::array{part(3), part(4), part(5)};
        map(log_first, math::log, first_start);
        map(log_second, math::log, second_start);
        map(log_reference, math::log, reference);
        for (std::size_t t = 0; t < steps; ++t)
            two_player_mirror_step(log_first, log_second, log_reference, preferences, schedule(t, tau), order, working);
        softmax(first, log_first);
        softmax(second, log_second);
        gap[0] = metric::gap_of_pair(preferences, first, second, reference, tau, working[0]);
    }

    constexpr void check(auto const& preferences, auto const& first_start, auto const& second_start,
                         auto const& reference, auto const& first, auto const& second, auto const& gap) const {
        constexpr auto name = "two_player_mirror_descent";
        reward::check_preference_batch(name, preferences);
        reward::check_distribution_batch(name, "first_start", first_start, preferences);
        reward::check_distribution_batch(name, "second_start", second_start, preferences);
        reward::check_distribution_batch(name, "reference", reference, preferences);
        reward::check_length_batch(name, "first", first, preferences);
        reward::check_length_batch(name, "second", second, preferences);
        reward::check_number_batch(name, "gap", gap);
        auto const weight = check_step_size(name, schedule, regularization).mixture_weight;
        auto const rows = poise::detail::checked_rows<two_player_mirror_descent>(first_start, second_start, reference);
        for (std::size_t i = 0; i < rows; ++i) {
            auto const mu = [&](std::size_t k) { return reference(i, k); };
            check_support(name, weight, first_start.length(i), [&](std::size_t k) { return first_start(i, k); }, mu);
            check_support(name, weight, second_start.length(i), [&](std::size_t k) { return second_start(i, k); }, mu);
        }
    }
};

/// The same as a state that moves one step at a time, on arrays of T; see mirror_descent_solver.
template <scalar T, std::size_t N, class Order, class Schedule>
    requires mirror_step_schedule<Schedule, T>
class two_player_solver {
public:
    using game_type = reward::preference_game<T, N>;
    using policy_type = reward::elements<T, N>;

    constexpr two_player_solver(game_type game, Schedule schedule, Order, policy_type const& first_start,
                                policy_type const& second_start)
        : game_(std::move(game)),
          schedule_(schedule),
          log_policies_{logarithms(first_start), logarithms(second_start)},
          log_reference_(logarithms(game_.reference)),
          working_{first_start, first_start, first_start} {
        check_start("two_player_solver", "first_start", game_, schedule_, first_start);
        check_start("two_player_solver", "second_start", game_, schedule_, second_start);
    }

    constexpr void step() {
        two_player_mirror_step(row(log_policies_[0]), row(log_policies_[1]), row(std::as_const(log_reference_)),
                               game_.preference_row(), schedule_(steps_, game_.regularization), Order{},
                               std::array{row(working_[0]), row(working_[1]), row(working_[2])});
        ++steps_;
    }
    constexpr void run(std::size_t steps) {
        for (std::size_t t = 0; t < steps; ++t) step();
    }

    constexpr std::size_t steps() const { return steps_; } ///< taken so far
    constexpr policy_type first() const { return probabilities(log_policies_[0]); }
    constexpr policy_type second() const { return probabilities(log_policies_[1]); }
    constexpr T gap() const { return game_.gap(first(), second()); } ///< gap_tau of the pair

private:
    static constexpr policy_type logarithms(policy_type values) {
        map(row(values), math::log, row(values));
        return values;
    }
    static constexpr policy_type probabilities(policy_type values) {
        softmax(row(values), row(values));
        return values;
    }

    game_type game_;
    Schedule schedule_;
    std::array<policy_type, 2> log_policies_;
    policy_type log_reference_;
    std::array<policy_type, 3> working_;
    std::size_t steps_ = 0;
};

/// two_player_nash_md(game, schedule, move_order::alternating{}, p_0, q_0)
template <scalar T, std::size_t N, class Schedule, class Order>
constexpr auto two_player_nash_md(reward::preference_game<T, N> const& game, Schedule schedule, Order order,
                                  reward::elements<T, N> const& first_start,
                                  reward::elements<T, N> const& second_start) {
    return two_player_solver<T, N, Order, Schedule>(game, schedule, order, first_start, second_start);
}

} // namespace poise::solver
