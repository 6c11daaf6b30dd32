#include "catalogue_policy_losses_golden.hpp"

#include "poise/execution/simd.hpp"

TEST_CASE("golden catalogue-policy-losses, lanes, float") {
    catalogue::check_golden<float, poise::execution::in_lanes>("lanes");
}
