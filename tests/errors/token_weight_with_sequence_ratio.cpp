// expect: with_a_ratio_of_whole_sequences_tokens_are_weighted_by_surrogate_weight
// expect: weight
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/objective/surrogate.hpp"

int main() {
    using namespace poise;
    auto const numbers = std::vector<double>(8);
    auto loss = numbers;
    auto const tokens = sequences_of(rows_of(numbers.data(), 2, 4), 2);
    evaluate(execution::sequential{}, objective::surrogate<ratio::sequence>{},
             inputs(field::log_probability = tokens, field::old_log_probability = tokens, field::advantage = tokens,
                    field::weight = tokens),
             outputs(field::loss = sequences_of(rows_of(loss.data(), 2, 4), 2)));
}
