#include "group_relative_reinforce_golden.hpp"

// Log-probabilities of a few units and ratios of up to 4 in float: 1e-7 of relative error in each of some five
// operations.
TEST_CASE("group-relative-reinforce: golden vectors in float") {
    group_relative_reinforce_test::check_in_every_execution<float>("float", 2e-6);
}
