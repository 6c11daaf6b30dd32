// expect: stage_reads_a_field_that_is_neither_given_nor_written_before
// expect: clipped_surrogate
// expect: old_log_probability
#include "poise/estimator/group_relative.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/clipped_surrogate.hpp"

int main() {
    using namespace poise;
    auto const numbers = std::vector<double>(8);
    auto objective = std::vector<double>(2);
    evaluate(
        execution::simd{}, estimator::group_relative{} | objective::clipped_surrogate{},
        inputs(field::reward = rows_of(numbers.data(), 2, 4), field::log_probability = rows_of(numbers.data(), 2, 4)),
        outputs(field::objective = objective));
}
