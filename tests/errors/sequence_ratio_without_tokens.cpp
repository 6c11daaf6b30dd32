// expect: a_ratio_of_whole_sequences_needs_a_field_with_tokens
// expect: log_probability
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/objective/surrogate.hpp"

int main() {
    using namespace poise;
    auto const numbers = std::vector<double>(8);
    auto loss = numbers;
    auto const rows = rows_of(numbers.data(), 2, 4);
    evaluate(execution::sequential{}, objective::surrogate<ratio::sequence>{},
             inputs(field::log_probability = rows, field::old_log_probability = rows, field::advantage = rows),
             outputs(field::loss = rows_of(loss.data(), 2, 4)));
}
