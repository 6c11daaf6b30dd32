#include "constrained_rlhf_golden.hpp"

#include "poise/execution/parallel.hpp"

TEST_CASE("constrained-rlhf: golden vectors, parallel") {
    constrained_rlhf_test::check_golden<poise::execution::parallel<>>("parallel");
}
