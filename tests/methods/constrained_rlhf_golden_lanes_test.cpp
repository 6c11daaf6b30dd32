#include "constrained_rlhf_golden.hpp"

#include "poise/execution/simd.hpp"

TEST_CASE("constrained-rlhf: golden vectors, in_lanes") {
    constrained_rlhf_test::check_golden<poise::execution::in_lanes>("in_lanes");
}
