// expect: generalized_advantage: rewards, values and terminal have one number per step, not per sequence
#include "poise/estimator/generalized_advantage.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"

#include <vector>

using namespace poise;

int main() {
    auto const rewards = std::vector<double>(2), steps = std::vector<double>(6);
    auto advantages = steps, returns = steps;
    evaluate(execution::sequential{}, estimator::generalized_advantage{},
             inputs(field::reward = one_row(rewards), field::value = sequences_of(one_row(steps), 2),
                    field::terminal = sequences_of(one_row(steps), 2), field::last_value = one_row(rewards)),
             outputs(field::advantage = sequences_of(one_row(advantages), 2),
                     field::returns = sequences_of(one_row(returns), 2)));
}
