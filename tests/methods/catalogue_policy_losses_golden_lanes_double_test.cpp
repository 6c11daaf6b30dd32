#include "catalogue_policy_losses_golden.hpp"

#include "poise/execution/simd.hpp"

TEST_CASE("golden catalogue-policy-losses, lanes, double") {
    catalogue::check_golden<double, poise::execution::in_lanes>("lanes");
}
