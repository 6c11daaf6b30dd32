#pragma once

#include "poise/reward/preference_game.hpp"
#include "poise/solver/game_opponent.hpp"
#include "poise/solver/mirror_step_schedule.hpp"

/// Mirror descent in the KL-regularised preference game (slug nash-md: Munos et al., "Nash Learning from Human
/// Feedback", 2023, arXiv 2312.00886, section 6).
namespace poise::solver {

/// One step: m = mix(pi, mu, w), nu = opponent, pi' = argmax_p eta win(p, nu) - KL(p || m), that is
///     log pi' = (1 - w) log pi + w log mu + eta P nu + constant,   w = eta tau.
/// `log_policy` is updated, up to a constant; `log_mixture` and `opponent_policy` are written and as long. An action of
/// probability 0 keeps it for w < 1; w = 1 forgets the policy altogether. One exp and n multiplications per action.
template <writable_row Row>
constexpr void mirror_step(Row log_policy, row_of_reals auto log_reference, row_of_reals auto preferences,
                           mirror_step_size<value_of<Row>> size, auto& opponent, writable_row auto log_mixture,
                           writable_row auto opponent_policy) {
    auto const [eta, weight] = size;
    map(log_mixture, [w = weight](auto p, auto mu) { return math::interpolate(p, mu, w); }, log_policy, log_reference);
    auto const greatest = maximum(log_mixture);
    map(log_mixture, [=](auto m) { return m - greatest; }, log_mixture);
    opponent(opponent_policy, log_policy, log_mixture, log_reference);
    for (std::size_t i = 0; i < log_policy.size(); ++i) {
        auto const payoff = weighted_sum(matrix_row(preferences, i, opponent_policy), opponent_policy);
        log_policy[i] = value_of<Row>(log_mixture[i]) + eta * payoff;
    }
}

/// Throws unless the start and the reference share an action, without which a mixture of both is nothing.
constexpr void check_support(std::string_view function, auto weight, std::size_t n, auto const& start,
                             auto const& reference) {
    auto shared_actions = std::size_t{0};
    for (std::size_t k = 0; k < n; ++k) shared_actions += start(k) > 0 && reference(k) > 0;
    require_domain(shared_actions > 0 || weight == 0 || weight == 1, function, "start",
                   "an action that has probability in the reference as well", "disjoint supports");
}

/// Throws unless the game, the step sizes and the start are in their domains, in every lane.
template <scalar T, std::size_t N, class Schedule>
constexpr void check_start(std::string_view function, std::string_view argument,
                           reward::preference_game<T, N> const& game, Schedule const& schedule,
                           reward::elements<T, N> const& start) {
    game.check(function);
    game.check_policy(function, argument, start);
    auto const first = check_step_size(function, schedule, game.regularization);
    reward::detail::for_each_lane<T>([&](auto lane) {
        check_support(
            function, lane(first.mixture_weight), start.size(), [&](std::size_t k) { return lane(start[k]); },
            [&](std::size_t k) { return lane(game.reference[k]); });
    });
}

/// Kernel: `steps` steps from the distribution `start`, one game per row:
///     mirror_descent{opponent::geometric_mixture{}, constant_step{0.2}, tau, steps}
/// gives the last iterate `policy`, and the opponent it last played against (for Nash-MD the mixture m; without steps
/// the start).
/// Not for an opponent that draws, as a row does not know which replica it is: see mirror_descent_solver.
template <class Opponent = opponent::geometric_mixture, class Schedule = decreasing_step>
    requires(!opponent::draws_actions<Opponent>)
struct mirror_descent {
    Opponent opponent{};
    Schedule schedule{};
    double regularization = 0.1; ///< tau
    std::size_t steps = 1;

    static constexpr std::size_t scratch_rows = 3;
    static constexpr std::array<char const*, 5> argument_names = {"preferences", "start", "reference", "last_opponent",
                                                                  "policy"};

    constexpr void operator()(row_of_reals auto preferences, row_of_reals auto start, row_of_reals auto reference,
                              writable_row auto last_opponent, writable_row auto policy, auto const& scratch) const {
        using T = value_of<decltype(start)>;
        auto const log_policy = matrix_row(scratch[0], 0, start), log_reference = matrix_row(scratch[1], 0, start),
                   log_mixture = matrix_row(scratch[2], 0, start);
        auto against = opponent; // it may have a memory
        map(log_policy, math::log, start);
        map(log_reference, math::log, reference);
        if (steps == 0) copy(last_opponent, start); // as `mirror_descent_solver` before its first step
        for (std::size_t t = 0; t < steps; ++t)
            mirror_step(log_policy, log_reference, preferences, schedule(t, T(real_of<T>(regularization))), against,
                        log_mixture, last_opponent);
        softmax(policy, log_policy);
    }

    constexpr void check(auto const& preferences, auto const& start, auto const& reference, auto const& last_opponent,
                         auto const& policy) const {
        constexpr auto name = "mirror_descent";
        reward::check_preference_batch(name, preferences);
        reward::check_distribution_batch(name, "start", start, preferences);
        reward::check_distribution_batch(name, "reference", reference, preferences);
        reward::check_length_batch(name, "last_opponent", last_opponent, preferences);
        reward::check_length_batch(name, "policy", policy, preferences);
        auto const weight = check_step_size(name, schedule, regularization).mixture_weight;
        auto const rows = poise::detail::checked_rows<mirror_descent>(start, reference); // one may be shared
        for (std::size_t i = 0; i < rows; ++i)
            check_support(
                name, weight, start.length(i), [&](std::size_t k) { return start(i, k); },
                [&](std::size_t k) { return reference(i, k); });
    }
};

/// The same as a state that moves one step at a time, on arrays of T = `double`, `float`, or a pack, for one game per
/// lane; N may be `dynamic`. A step allocates nothing, and runs in constant expressions. Throws for arguments outside
/// their domain (see preference_game::check).
template <scalar T, std::size_t N = dynamic, class Opponent = opponent::geometric_mixture,
          class Schedule = decreasing_step>
    requires mirror_step_schedule<Schedule, T>
class mirror_descent_solver {
public:
    using game_type = reward::preference_game<T, N>;
    using policy_type = reward::elements<T, N>;

    /// Starts at the reference.
    constexpr mirror_descent_solver(game_type game, Schedule schedule, Opponent against = {})
        : mirror_descent_solver(game, schedule, game.reference, against) {}
    constexpr mirror_descent_solver(game_type game, Schedule schedule, policy_type const& start, Opponent against = {})
        : opponent(against),
          game_(std::move(game)),
          schedule_(schedule),
          log_policy_(start),
          log_reference_(game_.reference),
          log_mixture_(start),
          opponent_policy_(start) {
        check_start("mirror_descent_solver", "start", game_, schedule_, start);
        map(row(log_policy_), math::log, row(log_policy_));
        map(row(log_reference_), math::log, row(log_reference_));
    }

    Opponent opponent; ///< with its memory, if it has one

    constexpr void step() {
        mirror_step(row(log_policy_), row(std::as_const(log_reference_)), game_.preference_row(),
                    schedule_(steps_, game_.regularization), opponent, row(log_mixture_), row(opponent_policy_));
        ++steps_;
    }
    constexpr void run(std::size_t steps) {
        for (std::size_t t = 0; t < steps; ++t) step();
    }

    constexpr std::size_t steps() const { return steps_; } ///< taken so far
    constexpr game_type const& game() const { return game_; }
    /// pi_t, the last iterate.
    constexpr policy_type policy() const {
        auto probabilities = log_policy_;
        softmax(row(probabilities), row(log_policy_));
        return probabilities;
    }
    /// log pi_t up to a constant.
    constexpr policy_type const& log_policy() const { return log_policy_; }
    /// Whom the last step played against; before the first step, the start.
    constexpr policy_type const& opponent_policy() const { return opponent_policy_; }
    /// gap_tau(pi_t): 0 at the equilibrium only.
    constexpr T gap() const { return game_.gap(policy()); }

private:
    game_type game_;
    Schedule schedule_;
    policy_type log_policy_;
    policy_type log_reference_;
    policy_type log_mixture_;
    policy_type opponent_policy_;
    std::size_t steps_ = 0;
};

} // namespace poise::solver
