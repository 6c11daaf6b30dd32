#pragma once

#include "poise/core/error.hpp"
#include "poise/core/row.hpp"

#include <cmath>
#include <concepts>
#include <cstddef>

namespace poise::solver {

/// -score of a constrained training program after it has gone on with the given thresholds, as a function of them for
/// `nelder_mead` (NM-PPO: Moskovitz et al., 2023, arXiv 2310.04373; slug constrained-rlhf): one training run searches
/// the thresholds. A call trains in blocks, each with fresh optimisers, until all values v_i are within 5% of their
/// thresholds, or for `blocks` of them. The program moves on from call to call, so a value belongs to the moment of its
/// evaluation. Throws for NaN thresholds.
template <class Program, std::invocable<Program const&> Score>
struct score_at_thresholds {
    Program* program;
    Score score;
    std::size_t block = 10; ///< iterations
    std::size_t blocks = 6; ///< at most, a call
    double band = 0.05;     ///< relative to |theta_i|

    template <class T>
    T operator()(row<T const> thresholds) const {
        for (std::size_t i = 0; i < thresholds.size(); ++i) {
            require_domain(thresholds[i] == thresholds[i], "score_at_thresholds", "thresholds", "numbers, not NaN",
                           thresholds[i]);
            program->thresholds[i] = thresholds[i];
        }
        for (std::size_t trained = 0; trained < blocks; ++trained) {
            program->restart_optimizers();
            for (std::size_t k = 0; k < block; ++k) program->step();
            if (reached()) break;
        }
        return -T(score(*program));
    }

    /// Whether all values are within the band.
    bool reached() const {
        for (std::size_t i = 0; i < program->thresholds.size(); ++i) {
            auto const threshold = program->thresholds[i];
            if (!(std::abs(program->values()[i] - threshold) <= band * std::abs(threshold))) return false;
        }
        return true;
    }
};

template <class Program, class Score>
score_at_thresholds(Program*, Score) -> score_at_thresholds<Program, Score>;

} // namespace poise::solver
