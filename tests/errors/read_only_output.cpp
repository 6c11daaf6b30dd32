// expect: row_kernel
// expect: what it takes as a writable_row is read-only
#include "poise/solver/simplex_step.hpp"

#include "poise/execution/sequential.hpp"

#include <vector>

int main() {
    auto const points = std::vector<double>(6, 0.5), projected = points; // const: nothing can be written to it
    poise::for_each_row(poise::execution::sequential{}, poise::solver::simplex_projection{},
                        poise::rows_of(points.data(), 2, 3), poise::rows_of(projected.data(), 2, 3));
}
