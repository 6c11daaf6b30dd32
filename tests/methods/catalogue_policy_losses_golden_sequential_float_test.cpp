#include "catalogue_policy_losses_golden.hpp"

#include "poise/execution/sequential.hpp"

TEST_CASE("golden catalogue-policy-losses, sequential, float") {
    catalogue::check_golden<float, poise::execution::sequential>("sequential");
}
