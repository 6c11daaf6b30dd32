// Two reward models, useful up to 0.5 and 0.6: xi-PPO learns how much of each to ask for.
#include <poise/estimator/group_relative.hpp>
#include <poise/policy/tabular_softmax.hpp>
#include <poise/solver/constrained_ppo.hpp>

#include <cstdio>

int main() {
    using namespace poise;
    auto const reference = std::vector(4, 0.25);          // of four responses
    auto const rewards = std::vector{0.1, 0.4, 0.6, 0.9,  // what the first model says of each,
                                     0.3, 0.2, 0.9, 0.8}; // and the second
    using policy_type = policy::tabular_softmax<double>;
    using training_program = solver::constrained_ppo<policy_type, solver::weighing::xi, estimator::centered>;

    auto training = training_program(policy_type(1, 4), reference, rewards, {0.5, 0.6}, {.seed = 1},
                                     {.rule = {.learning_rate = 0.02}});
    while (training.steps() < 2000) training.step();

    auto const v = training.values();
    std::printf("mean rewards %.3f and %.3f; largest distance from a threshold %.3f\n", v[0], v[1], training.gap());
}
