#include "catalogue_policy_losses_golden.hpp"

#include "poise/execution/parallel.hpp"
#include "poise/execution/simd.hpp"

TEST_CASE("golden catalogue-policy-losses, parallel, float") {
    catalogue::check_golden<float, poise::execution::parallel<poise::execution::along>>("parallel");
}
