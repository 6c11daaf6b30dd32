// Combines the quantile predictions of two models by weights fitted on the pinball loss.
#include "poise/execution/simd.hpp"
#include "poise/solver/quantile_fit.hpp"

#include <array>
#include <cstdio>
#include <vector>

int main() {
    using namespace poise;
    // Two models, three levels, four samples: one row per sample, model by model.
    auto const levels = std::vector{0.1, 0.5, 0.9};
    auto const targets = std::vector{0.3, 1.1, 1.9, 3.2};
    auto const predictions = std::vector{-1.0, 0.0, 1.0, 0.5, 1.5, 2.5,  0.0, 1.0, 2.0, 1.5, 2.5, 3.5,
                                         1.0,  2.0, 3.0, 2.5, 3.5, 4.5,  2.0, 3.0, 4.0, 3.5, 4.5, 5.5};
    auto const no_margin = std::array{0.0};
    auto const batch = rows_of(predictions.data(), 4, 6);
    auto const data = solver::quantile_data<decltype(batch), double>{batch, targets, levels, no_margin};

    auto objective = solver::quantile_objective(execution::in_lanes{}, data, weighting::granularity::coarse{});
    auto fit = solver::global_quantile_fit(objective, solver::adam{.learning_rate = 0.05});
    for (int step = 0; step < 200; ++step) fit.step();

    auto weights = std::array<double, 2>{};
    softmax(row(weights), row(fit.logits()));
    std::printf("mean pinball loss %.4f, weights %.3f and %.3f\n", fit.value(), weights[0], weights[1]);
}
