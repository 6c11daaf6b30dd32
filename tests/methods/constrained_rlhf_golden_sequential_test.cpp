#include "constrained_rlhf_golden.hpp"

#include "poise/execution/sequential.hpp"

TEST_CASE("constrained-rlhf: golden vectors, sequential") {
    constrained_rlhf_test::check_golden<poise::execution::sequential>("sequential");
}
