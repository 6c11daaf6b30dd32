#pragma once

#include "poise/core/error.hpp"
#include "poise/core/fields.hpp"
#include "poise/core/math.hpp"

/// How a pipeline makes one number of the losses of a row's elements: factor x sum of weight x mask x loss. The mask is
/// 1 for elements that count.
namespace poise::aggregation {

/// How many elements there are: of what one factor is for, a sequence or a row, and of all.
template <class T>
struct counts {
    T elements;            ///< that count in the sequence, for aggregations by sequence, else in the row
    std::size_t sequences; ///< of the row
    std::size_t rows;
    T batch_elements; ///< that count in all rows, for aggregations that state `counts_batch`
};

namespace detail {

template <class T>
constexpr T one_over(T count) {
    return math::select(count == T(0), T(0), T(1) / math::select(count == T(0), T(1), count));
}

} // namespace detail

/// The mean over all elements of the row that count; 0 where none does. The default. Over the tokens of a group it is
/// DAPO's (Yu et al., 2025, arXiv 2503.14476).
struct mean {
    using reads = fields<>;
    using writes = fields<>;
    template <class T>
    constexpr T factor(counts<T> const& of) const {
        return detail::one_over(of.elements);
    }
};

/// The mean over the elements of each sequence, then over the sequences, as in GRPO (Shao et al., 2024, arXiv
/// 2402.03300).
struct mean_of_sequences {
    using reads = fields<>;
    using writes = fields<>;
    using scope = per_sequence;
    template <class T>
    constexpr T factor(counts<T> const& of) const {
        return detail::one_over(of.elements) / T(of.sequences);
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
    constexpr T factor(counts<T> const& of) const {
        return T(real_of<T>(1 / length)) / T(of.sequences);
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
    constexpr T factor(counts<T> const&) const {
        return T(1);
    }
};

/// The mean over all elements that count in the whole batch, whatever their row: DAPO's, CISPO's. Each row's number is
/// its share times the number of rows, so that their mean is the batch's. The elements are counted in one more pass,
/// over the mask; not on a device, where `constant_count` takes the number that the caller knows.
struct mean_over_batch {
    using reads = fields<>;
    using writes = fields<>;
    static constexpr bool counts_batch = true;
    template <class T>
    constexpr T factor(counts<T> const& of) const {
        return T(real_of<T>(of.rows)) * detail::one_over(of.batch_elements);
    }
};

/// The sum over all elements of the whole batch divided by a number that is given, such as the tokens of all batches of
/// an accumulated step.
struct constant_count {
    double count = 1;

    using reads = fields<>;
    using writes = fields<>;
    template <class T>
    constexpr T factor(counts<T> const& of) const {
        return T(real_of<T>(static_cast<double>(of.rows) / count));
    }
    constexpr void check_hyperparameters() const {
        require_domain(count > 0, "constant_count", "count", "a number above 0", count);
    }
};

/// The sum over the elements of each sequence, then the mean over the sequences: what LUSPO wants, for every sequence
/// as often as it is long.
struct sum_of_sequences {
    using reads = fields<>;
    using writes = fields<>;
    using scope = per_sequence;
    template <class T>
    constexpr T factor(counts<T> const& of) const {
        return T(1) / T(of.sequences);
    }
};

} // namespace poise::aggregation
