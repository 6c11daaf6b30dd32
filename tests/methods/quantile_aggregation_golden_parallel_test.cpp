#include "quantile_aggregation_golden.hpp"

#include "poise/execution/parallel.hpp"

TEST_CASE("quantile aggregation: golden vectors, all cores") {
    using namespace quantile_aggregation_golden;
    golden::check(method, "double, parallel", functions<double>(execution::parallel<>{}));
    golden::check(method, "float, parallel", functions<float>(execution::parallel<execution::in_lanes>{}),
                  float_tolerance);
}
