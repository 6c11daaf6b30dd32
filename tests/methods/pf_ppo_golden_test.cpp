#include "pf_ppo_golden.hpp"

#include "poise/execution/simd.hpp"

using namespace poise::execution;

TEST_CASE("pf-ppo: golden vectors, sequential") { pf_ppo_test::check_golden<sequential>("sequential"); }
TEST_CASE("pf-ppo: golden vectors, in_lanes") { pf_ppo_test::check_golden<in_lanes>("in_lanes"); }
