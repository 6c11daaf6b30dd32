#pragma once

#include <cstddef>

/// Coefficients of stages that change from step to step: `schedule(step)`, where steps count from 0 as a learner's do.
namespace poise::solver {

/// A straight line from `first` at step 0 to `last` at step `steps`, and constant from there.
struct linear_between {
    double first = 0;
    double last = 1;
    std::size_t steps = 1;

    /// How much of the way is done: 0 at step 0, 1 from step `steps` on.
    constexpr double progress(std::size_t step) const {
        return step >= steps ? 1 : static_cast<double>(step) / static_cast<double>(steps);
    }
    constexpr double operator()(std::size_t step) const {
        auto const done = progress(step);
        return (1 - done) * first + done * last;
    }
};

/// The whole number nearest to a number that is not negative, halves up: of a schedule for counts.
constexpr std::size_t nearest_count(double x) { return static_cast<std::size_t>(x + 0.5); }

} // namespace poise::solver
