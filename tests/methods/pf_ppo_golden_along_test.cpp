#include "pf_ppo_golden.hpp"

#include "poise/execution/parallel.hpp"
#include "poise/execution/simd.hpp"

using namespace poise::execution;

TEST_CASE("pf-ppo: golden vectors, along") { pf_ppo_test::check_golden<along>("along"); }
TEST_CASE("pf-ppo: golden vectors, parallel") { pf_ppo_test::check_golden<parallel<>>("parallel"); }
