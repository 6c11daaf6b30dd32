#include "catalogue_policy_losses_golden.hpp"

#include "poise/execution/sequential.hpp"

TEST_CASE("golden catalogue-policy-losses, sequential, double") {
    catalogue::check_golden<double, poise::execution::sequential>("sequential");
}
