#include "group_relative_reinforce_golden.hpp"

TEST_CASE("group-relative-reinforce: golden vectors in double") {
    group_relative_reinforce_test::check_in_every_execution<double>("double", 0);
}
