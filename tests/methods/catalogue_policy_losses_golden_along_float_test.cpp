#include "catalogue_policy_losses_golden.hpp"

#include "poise/execution/simd.hpp"

TEST_CASE("golden catalogue-policy-losses, along, float") {
    catalogue::check_golden<float, poise::execution::along>("along");
}
