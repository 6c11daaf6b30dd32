// expect: only_a_pipeline_stage_can_be_composed
// expect: table
#include "poise/estimator/group_relative.hpp"
#include "poise/pipeline.hpp"
#include "poise/reward/table.hpp"

int main() { (void)(poise::estimator::group_relative{} | poise::reward::table<double>({1.0, 0.0}, 2)); }
