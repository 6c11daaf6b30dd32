// expect: row_kernel
// expect: does not take this number of arguments
#include "poise/solver/simplex_step.hpp"

#include "poise/execution/sequential.hpp"

#include <vector>

int main() {
    auto weights = std::vector<double>(6, 0.5), out = weights;
    poise::for_each_row(poise::execution::sequential{}, poise::solver::exponentiated_gradient{},
                        poise::rows_of(weights.data(), 2, 3),
                        poise::rows_of(out.data(), 2, 3)); // where is the gradient?
}
