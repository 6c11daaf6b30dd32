#include "quantile_aggregation_golden.hpp"

#include "poise/execution/sequential.hpp"

TEST_CASE("quantile aggregation: golden vectors, one row after another") {
    using namespace quantile_aggregation_golden;
    golden::check(method, "double, sequential", functions<double>(execution::sequential{}));
    golden::check(method, "float, sequential", functions<float>(execution::sequential{}), float_tolerance);
}
