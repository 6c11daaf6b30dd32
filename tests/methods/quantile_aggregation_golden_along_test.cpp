#include "quantile_aggregation_golden.hpp"

#include "poise/execution/simd.hpp"

TEST_CASE("quantile aggregation: golden vectors, packs along the row") {
    using namespace quantile_aggregation_golden;
    golden::check(method, "double, along", functions<double>(execution::along{}));
    golden::check(method, "float, along", functions<float>(execution::along{}), float_tolerance);
}
