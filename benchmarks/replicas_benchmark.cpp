/// 4,096 replicas of a learner on a bandit of 10 arms, one after another and in lanes: the same program, draws and
/// precision. `items_per_second` counts steps of one learner.

#include "poise/environment/bandit.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/execution/replicate.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/reward/one_step.hpp"
#include "poise/solver/learner.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace poise;

constexpr auto replicas = std::size_t{4'096}, arms = std::size_t{10}, steps = std::size_t{25};

/// REINFORCE with a leave-one-out baseline, 8 samples a step; the probability of the best arm at the end.
struct bandit_learner {
    static constexpr std::size_t results = 1;

    void operator()(row_of_reals auto learning_rate, random::generator replica, writable_row auto found) const {
        using T = value_of<decltype(found)>;
        auto means = std::vector<T>(arms);
        for (std::size_t a = 0; a < arms; ++a) means[a] = T(static_cast<real_of<T>>(a + 1)) / T(real_of<T>(arms + 1));
        auto learner = solver::learner(
            policy::tabular_softmax<T>(1, arms), reward::one_step{environment::bandit<T>(means)},
            estimator::leave_one_out{} | objective::policy_gradient{},
            solver::sgd<T>{.learning_rate = T(learning_rate[0])}, {.samples_per_context = 8, .random = replica});
        auto const contexts = std::array{std::size_t{0}};
        for (std::size_t t = 0; t < steps; ++t) learner.step(contexts);
        found[0] = math::exp(learner.policy().log_probability(0, arms - 1));
    }
};

template <class T, class Execution>
void replicas_of_bandit_learner(benchmark::State& state) {
    auto const rates = std::array{T(0.5)};
    auto mean = T(0);
    for (auto _ : state) {
        auto const found = replicate(bandit_learner{}, grid_of(rates, replicas, {.seed = 1}), Execution{});
        mean = found.mean(0, 0);
        benchmark::DoNotOptimize(mean);
    }
    state.counters["mean_probability"] = static_cast<double>(mean);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * replicas * steps));
}

BENCHMARK(replicas_of_bandit_learner<float, execution::sequential>)
    ->Name("replicas/one_after_another_float")
    ->Unit(benchmark::kMillisecond);
BENCHMARK(replicas_of_bandit_learner<float, execution::in_lanes>)
    ->Name("replicas/lanes_float")
    ->Unit(benchmark::kMillisecond);
BENCHMARK(replicas_of_bandit_learner<double, execution::sequential>)
    ->Name("replicas/one_after_another_double")
    ->Unit(benchmark::kMillisecond);
BENCHMARK(replicas_of_bandit_learner<double, execution::in_lanes>)
    ->Name("replicas/lanes_double")
    ->Unit(benchmark::kMillisecond);

} // namespace
