#include "quantile_aggregation_golden.hpp"

#include "poise/execution/simd.hpp"

TEST_CASE("quantile aggregation: golden vectors, a row per lane") {
    using namespace quantile_aggregation_golden;
    golden::check(method, "double, in_lanes", functions<double>(execution::in_lanes{}));
    golden::check(method, "float, in_lanes", functions<float>(execution::in_lanes{}), float_tolerance);
}
