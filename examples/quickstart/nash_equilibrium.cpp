// The Nash equilibrium of preferences that go in circles: rock, paper, scissors with a favourite.
#include <poise/solver/nash_md.hpp>

#include <cstdio>

int main() {
    using namespace poise;
    auto const game = reward::preference_game<double, 3>{
        .preferences = {.5, .9, .1,  // how often the row's action is preferred to the column's
                        .1, .5, .9,  //
                        .9, .1, .5}, //
        .reference = {.7, .2, .1},   // where the policy comes from
        .regularization = 0.05};     // what leaving it costs per unit of KL

    auto solver = solver::nash_md(game, solver::decreasing_step{});
    while (solver.gap() > 1e-6) solver.step();

    auto const policy = solver.policy();
    std::printf("after %zu steps: %.4f %.4f %.4f, duality gap %.1e\n", solver.steps(), policy[0], policy[1], policy[2],
                solver.gap());
}
