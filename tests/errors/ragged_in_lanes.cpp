// expect: execution::in_lanes needs rows of one common length
#include "poise/execution/simd.hpp"
#include "poise/solver/simplex_step.hpp"

#include <vector>

int main() {
    auto points = std::vector<double>(5, 0.5), projected = points;
    auto const offsets = std::vector<std::size_t>{0, 2, 5};
    poise::for_each_row(poise::execution::in_lanes{}, poise::solver::simplex_projection{},
                        poise::ragged_batch<double const>(points.data(), offsets),
                        poise::ragged_batch<double>(projected.data(), offsets));
}
