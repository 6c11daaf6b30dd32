// expect: output_is_a_field_that_no_stage_writes
// expect: kl_divergence
#include "poise/estimator/group_relative.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/policy_gradient.hpp"

int main() {
    using namespace poise;
    auto const numbers = std::vector<double>(8);
    auto divergence = std::vector<double>(2);
    evaluate(
        execution::simd{}, estimator::group_relative{} | objective::policy_gradient{},
        inputs(field::reward = rows_of(numbers.data(), 2, 4), field::log_probability = rows_of(numbers.data(), 2, 4)),
        outputs(field::kl_divergence = divergence));
}
