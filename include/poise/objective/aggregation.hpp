#pragma once

#include "poise/core/error.hpp"
#include "poise/core/fields.hpp"
#include "poise/core/math.hpp"

/// How a pipeline makes one number of the losses of a row's elements: factor x sum of weight x mask x loss. The mask is
/// 1 for elements that count.
namespace poise::aggregation {

namespace detail {

template <class T>
constexpr T one_over(T count) {
    return math::select(count == T(0), T(0), T(1) / math::select(count == T(0), T(1), count));
}

} // namespace detail

/// The mean over all elements that count; 0 where none does. The default. Over the tokens of a group it is DAPO's (Yu
/// et al., 2025, arXiv 2503.14476).
struct mean {
    using reads = fields<>;
    using writes = fields<>;
    template <class T>
    constexpr T factor(T count, std::size_t) const {
        return detail::one_over(count);
    }
};

/// The mean over the elements of each sequence, then over the sequences, as in GRPO (Shao et al., 2024, arXiv
/// 2402.03300).
struct mean_of_sequences {
    using reads = fields<>;
    using writes = fields<>;
    using scope = per_sequence;
    template <class T>
    constexpr T factor(T count, std::size_t sequences) const {
        return detail::one_over(count) / T(sequences);
    }
};

/// The sum over the elements of each sequence divided by a constant, then the mean over the sequences: long sequences
/// weigh more, as in Dr. GRPO (Liu et al., 2025, arXiv 2503.20783).
struct constant_length {
    double length = 1;

    using reads = fields<>;
    using writes = fields<>;
    using scope = per_sequence;
    template <class T>
    constexpr T factor(T, std::size_t sequences) const {
        return T(real_of<T>(1 / length)) / T(sequences);
    }
    constexpr void check_hyperparameters() const {
        require_domain(length > 0, "constant_length", "length", "a number above 0", length);
    }
};

/// The sum over all elements.
struct sum {
    using reads = fields<>;
    using writes = fields<>;
    template <class T>
    constexpr T factor(T, std::size_t) const {
        return T(1);
    }
};

} // namespace poise::aggregation
