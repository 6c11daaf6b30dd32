#include "poise/core/lanes.hpp"
#include "poise/objective/nash_md_policy_gradient.hpp"
#include "poise/policy/best_response.hpp"
#include "poise/policy/exponential_moving_average.hpp"
#include "poise/solver/nash_md.hpp"
#include "poise/solver/sampled_opponent.hpp"
#include "poise/solver/two_player_mirror_descent.hpp"

/// Nash-MD at compile time: the compiler evaluates the steps and refuses undefined behaviour.
namespace {

using namespace poise;
using policy3 = std::array<double, 3>;

constexpr auto rock_paper_scissors = std::array{.5, 0., 1., 1., .5, 0., 0., 1., .5};
constexpr auto uniform = policy3{1. / 3, 1. / 3, 1. / 3};
constexpr auto start = policy3{.6, .3, .1};

constexpr bool close(policy3 const& p, policy3 const& q, double tolerance) {
    return maximum([](auto a, auto b) { return math::abs(a - b); }, row(p), row(q)) <= tolerance;
}

constexpr auto game(double tau, policy3 reference = uniform) {
    return reward::preference_game<double, 3>{rock_paper_scissors, reference, tau};
}

// The gap falls from step to step.
constexpr bool gap_falls() {
    auto solver = solver::nash_md(game(0.5), solver::constant_step{0.2}, start);
    for (auto gap = solver.gap(); solver.steps() < 20;) {
        solver.step();
        if (!(solver.gap() < gap)) return false;
        gap = solver.gap();
    }
    return true;
}
static_assert(gap_falls());

// Rock, paper, scissors is answered uniformly.
constexpr auto answer = [](auto solver, std::size_t steps) {
    solver.run(steps);
    return solver.policy();
};
static_assert(close(answer(solver::nash_md(game(0.5), solver::constant_step{0.5}, start), 100), uniform, 1e-9));
static_assert(close(answer(solver::nash_md(game(0.5), solver::decreasing_step{}, start), 1), uniform, 1e-15));
static_assert(close(answer(solver::regularized_self_play(game(0.5), solver::constant_step{0.5}, start), 150), uniform,
                    1e-9));
static_assert(game(0.5).gap(uniform) <= 1e-15 && game(0.5).gap(uniform) >= -1e-15);
static_assert(game(0).gap({1, 0, 0}) == 1);

// P_tau(p > p) = 1/2, and two players that start alike stay alike.
static_assert(math::abs(metric::regularized_win_probability(row(rock_paper_scissors), row(start), row(start),
                                                            row(uniform), 0.3) -
                        0.5) < 1e-15);
constexpr auto alike = [] {
    auto solver = solver::two_player_nash_md(game(0.5), solver::constant_step{0.2}, solver::move_order::simultaneous{},
                                             start, start);
    solver.run(5);
    return solver.first() == solver.second();
};
static_assert(alike());

// The ends of the mixture and of the average are exact.
constexpr auto mixture = [](double weight) {
    auto out = policy3{};
    policy::geometric_mixture{weight}(row(start), row(uniform), row(out));
    return out;
};
static_assert(mixture(0) == start && mixture(1) == uniform);
static_assert(close(mixture(0.5), policy3{0.47270, 0.33425, 0.19298}, 1e-4));
constexpr auto average = [](double decay) {
    auto out = policy3{};
    policy::exponential_moving_average{decay}(row(start), row(uniform), row(out));
    return out;
};
static_assert(average(1) == start && average(0) == uniform);

// The gradient vanishes at the equilibrium.
constexpr auto gradient = [] {
    auto nu = policy3{}, out = policy3{}, memory = policy3{};
    auto const logits = policy3{0, 0, 0};
    objective::nash_md_policy_gradient{0.1, 0.125}(row(rock_paper_scissors), row(logits), row(uniform), row(nu),
                                                   row(out), std::array{row(memory)});
    return out;
};
static_assert(close(gradient(), {0, 0, 0}, 1e-15));

// A solver of known size owns no memory but itself: its steps have nothing to allocate.
template <class T>
using solver_of = decltype(solver::nash_md(reward::preference_game<T, 10>{}, solver::decreasing_step{}));
static_assert(std::is_trivially_copyable_v<solver_of<double>> && std::is_trivially_copyable_v<solver_of<lanes<float>>>);

// A row of a batch has no replica, so an opponent that draws would not draw the same in every execution.
template <class Opponent>
concept runs_on_rows = requires { typename solver::mirror_descent<Opponent>; };
static_assert(runs_on_rows<solver::opponent::self>);
static_assert(!runs_on_rows<solver::opponent::sampled<solver::opponent::self>>);

// What is asked of a schedule and of kernels.
static_assert(solver::mirror_step_schedule<solver::constant_step<>, lanes<double>>);
static_assert(solver::mirror_step_schedule<solver::decreasing_step, float>);
static_assert(!solver::mirror_step_schedule<double, double>);
static_assert(row_kernel<solver::nash_md_run<>, row<double const>, row<double const>, row<double const>, row<double>,
                         row<double>>);
static_assert(!row_kernel<solver::nash_md_run<>, row<double const>, row<double const>, row<double const>, row<double>,
                          row<double const>>);

} // namespace
