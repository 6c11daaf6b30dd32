// expect: batch_of_rows
#include "poise/solver/simplex_step.hpp"

#include "poise/execution/sequential.hpp"

#include <list>
#include <vector>

int main() {
    auto const points = std::list<double>(3, 0.5);
    auto projected = std::vector<double>(3);
    poise::for_each_row(poise::execution::sequential{}, poise::solver::simplex_projection{}, points,
                        poise::rows_of(projected.data(), 1, 3));
}
