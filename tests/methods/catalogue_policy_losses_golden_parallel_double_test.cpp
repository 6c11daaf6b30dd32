#include "catalogue_policy_losses_golden.hpp"

#include "poise/execution/parallel.hpp"
#include "poise/execution/simd.hpp"

TEST_CASE("golden catalogue-policy-losses, parallel, double") {
    catalogue::check_golden<double, poise::execution::parallel<poise::execution::along>>("parallel");
}
