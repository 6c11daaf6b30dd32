// expect: stage_writes_a_field_that_an_earlier_stage_has_already_read
// expect: group_relative
// expect: advantage
#include "poise/estimator/group_relative.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/pipeline.hpp"

int main() { (void)(poise::objective::policy_gradient{} | poise::estimator::group_relative{}); }
