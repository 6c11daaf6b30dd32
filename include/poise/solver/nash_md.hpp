#pragma once

#include "poise/solver/mirror_descent.hpp"

/// Nash-MD and its relatives by their names (slug nash-md: Munos et al., "Nash Learning from Human Feedback", 2023,
/// arXiv 2312.00886). All are the one `mirror_step`; they differ in the opponent.
///
///     auto solver = solver::nash_md(game, solver::decreasing_step{});
///     while (solver.gap() > 1e-6) solver.step();
namespace poise::solver {

template <class Opponent>
struct mirror_descent_against {
    /// A solver that starts at the reference of the game, or at `start`.
    template <scalar T, std::size_t N, class Schedule, class... Start>
    constexpr auto operator()(reward::preference_game<T, N> const& game, Schedule schedule,
                              Start const&... start) const {
        return mirror_descent_solver<T, N, Opponent, Schedule>(game, schedule, start...);
    }
};

/// Nash-MD: pi' ∝ m exp(eta P m), m = mix(pi, mu, eta tau). The last iterate converges: KL(pi* || pi_T) <= 8 / (tau^2
/// (T+1)) with `decreasing_step`; a constant step leaves a bias of order eta^2.
inline constexpr mirror_descent_against<opponent::geometric_mixture> nash_md{};
/// Regularised self-play ("OMD"): pi' ∝ m exp(eta P pi). Its fixed point is pi* for every eta; at tau = 0
/// multiplicative weights, which spiral outward in cyclic games.
inline constexpr mirror_descent_against<opponent::self> regularized_self_play{};
/// pi' ∝ m exp(eta P mu): converges to BR_tau(mu).
inline constexpr mirror_descent_against<opponent::reference> best_response_dynamics{};

/// The iterations as row kernels, one game per row.
template <class Schedule = decreasing_step>
using nash_md_run = mirror_descent<opponent::geometric_mixture, Schedule>;
template <class Schedule = constant_step<>>
using regularized_self_play_run = mirror_descent<opponent::self, Schedule>;
template <class Schedule = constant_step<>>
using best_response_run = mirror_descent<opponent::reference, Schedule>;

} // namespace poise::solver
