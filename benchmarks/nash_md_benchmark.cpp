/// Nash-MD on games of 10 actions, in the cache: how many steps of how many games a second. `items_per_second` counts
/// one step of one game; the scalar of the solver is the only difference between the four.

#include "poise/core/lanes.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/mirror_descent.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace poise;

constexpr auto actions = std::size_t{10};

template <class T>
auto random_game() {
    auto game = reward::preference_game<T, actions>{};
    for (std::size_t i = 0; i < actions; ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            auto const p = random::uniform<T>(random::generator{}.at(i, j));
            game.preferences[i * actions + j] = p;
            game.preferences[j * actions + i] = T(1) - p;
        }
        game.preferences[i * actions + i] = T(0.5);
        game.reference[i] = T(1) / T(actions);
    }
    game.regularization = T(0.1);
    return game;
}

template <class T>
void nash_md(benchmark::State& state) {
    auto solver = solver::mirror_descent_solver(random_game<T>(), solver::constant_step{0.1});
    for (auto _ : state) {
        solver.step();
        benchmark::ClobberMemory();
    }
    benchmark::DoNotOptimize(solver.policy());
    auto games = std::size_t{1};
    if constexpr (!std::floating_point<T>) games = T::size;
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(games));
}

BENCHMARK(nash_md<double>)->Name("nash_md_10_actions/scalar_double");
BENCHMARK(nash_md<float>)->Name("nash_md_10_actions/scalar_float");
BENCHMARK(nash_md<lanes<double>>)->Name("nash_md_10_actions/lanes_double");
BENCHMARK(nash_md<lanes<float>>)->Name("nash_md_10_actions/lanes_float");

} // namespace
