#include "constrained_rlhf_golden.hpp"

#include "poise/execution/simd.hpp"

TEST_CASE("constrained-rlhf: golden vectors, along") {
    constrained_rlhf_test::check_golden<poise::execution::along>("along");
}
