#pragma once

#include "poise/core/batch.hpp"

#include <array>
#include <string>

/// Rows that are made of sequences: the tokens of a prompt's rollouts, one rollout after another. For stages of a
/// pipeline (pipeline.hpp) that look at one sequence at a time.
namespace poise {

/// A batch whose row i is `sequences()` sequences of one length, one after another.
template <class Batch>
class sequence_batch : public Batch {
public:
    static constexpr bool of_sequences = true;

    constexpr sequence_batch(Batch batch, std::size_t sequences) : Batch(batch), sequences_(sequences) {
        require(sequences > 0 && batch.length() % sequences == 0, "sequences_of", "sequences",
                "a number that divides " + std::to_string(batch.length()) + " elements", sequences);
    }
    constexpr std::size_t sequences() const { return sequences_; }
    constexpr Batch const& batch() const { return *this; }

private:
    std::size_t sequences_;
};

/// A batch whose rows are sequences of different lengths: sequence g of row i is data[offsets[i sequences + g]] up to
/// the next offset.
template <class T>
class ragged_sequence_batch {
public:
    using element_type = T;
    using value_type = std::remove_const_t<T>;
    using layout = row_contiguous;
    static constexpr std::size_t extent = dynamic;
    static constexpr bool in_memory = true;
    static constexpr bool is_input = std::is_const_v<T>;
    static constexpr bool is_shared = false;
    static constexpr bool of_sequences = true;

    constexpr ragged_sequence_batch(T* data, std::span<std::size_t const> offsets, std::size_t sequences)
        : data_(data), offsets_(offsets), sequences_(sequences) {
        require(!offsets.empty() && sequences > 0 && (offsets.size() - 1) % sequences == 0, "ragged_sequences_of",
                "offsets", "one more than a multiple of " + std::to_string(sequences) + " sequences", offsets.size());
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            require(offsets[i] <= offsets[i + 1], "ragged_sequences_of", "offsets", "offsets that never decrease",
                    offsets[i + 1]);
    }

    constexpr std::size_t sequences() const { return sequences_; }
    constexpr ragged_sequence_batch const& batch() const { return *this; }
    constexpr std::size_t rows() const { return (offsets_.size() - 1) / sequences_; }
    constexpr std::size_t length(std::size_t i) const { return start(i + 1) - start(i); }
    constexpr std::size_t element_stride() const { return 1; }
    constexpr T& operator()(std::size_t i, std::size_t k) const { return data_[start(i) + k]; }
    constexpr T* row_data(std::size_t i) const { return data_ + start(i); }
    constexpr auto as_input() const { return ragged_sequence_batch<value_type const>(data_, offsets_, sequences_); }
    constexpr ragged_sequence_batch rows(std::size_t first, std::size_t count) const {
        return {data_, offsets_.subspan(first * sequences_, count * sequences_ + 1), sequences_};
    }
    /// Where each sequence begins in its row: a batch of reals, `sequences()` to a row.
    constexpr auto starts() const {
        return generated_rows(rows(), sequences_,
                              [offsets = offsets_, sequences = sequences_](std::size_t i, std::size_t g) {
                                  return static_cast<value_type>(offsets[i * sequences + g] - offsets[i * sequences]);
                              });
    }

private:
    constexpr std::size_t start(std::size_t i) const { return offsets_[i * sequences_]; }

    T* data_;
    std::span<std::size_t const> offsets_;
    std::size_t sequences_;
};

/// Rows of sequences anywhere in memory: element t of sequence g of row i is data[i strides[0] + g strides[1] + t
/// strides[2]].
template <class T>
class nested_batch {
public:
    using element_type = T;
    using value_type = std::remove_const_t<T>;
    using layout = strided;
    static constexpr std::size_t extent = dynamic;
    static constexpr bool in_memory = false; // no row has one stride
    static constexpr bool is_input = std::is_const_v<T>;
    static constexpr bool is_shared = false;
    static constexpr bool of_sequences = true;

    constexpr nested_batch(T* data, std::array<std::size_t, 3> shape, std::array<std::size_t, 3> strides)
        : data_(data), shape_(shape), strides_(strides) {}

    constexpr std::size_t sequences() const { return shape_[1]; }
    constexpr nested_batch const& batch() const { return *this; }
    constexpr std::size_t rows() const { return shape_[0]; }
    constexpr std::size_t length() const { return shape_[1] * shape_[2]; }
    constexpr std::size_t length(std::size_t) const { return length(); }
    constexpr T& operator()(std::size_t i, std::size_t k) const {
        return data_[i * strides_[0] + k / shape_[2] * strides_[1] + k % shape_[2] * strides_[2]];
    }
    constexpr auto as_input() const { return nested_batch<value_type const>(data_, shape_, strides_); }
    constexpr nested_batch rows(std::size_t first, std::size_t count) const {
        return {data_ + first * strides_[0], {count, shape_[1], shape_[2]}, strides_};
    }

private:
    T* data_;
    std::array<std::size_t, 3> shape_, strides_;
};

/// The rows of a batch as `sequences` sequences each, one after another.
template <class Batch>
constexpr auto sequences_of(Batch batch, std::size_t sequences) {
    return sequence_batch<Batch>(batch, sequences);
}

/// Sequences of different lengths, `sequences` to a row; offsets has one more number than there are sequences.
template <class T>
constexpr auto ragged_sequences_of(T* data, std::span<std::size_t const> offsets, std::size_t sequences) {
    return ragged_sequence_batch<T>(data, offsets, sequences);
}

/// All numbers of a contiguous range as one row.
template <std::ranges::contiguous_range Range>
constexpr auto one_row(Range&& values) {
    return rows_of(std::ranges::data(values), 1, std::ranges::size(values));
}

template <class Batch>
concept batch_of_sequences = Batch::of_sequences;

/// How an object of three axes is seen as a batch of sequences; specialised in interop/.
template <class Object>
struct sequence_view;

/// The batch that an object is, or is seen as: of sequences if it has three axes.
template <class Object>
constexpr auto as_batch_of_sequences(Object& object) {
    using plain = std::remove_cv_t<Object>;
    if constexpr (batch_of_sequences<plain>)
        return object;
    else if constexpr (requires { sequence_view<plain>::view(object); })
        return sequence_view<plain>::view(object);
    else {
        static_assert(
            satisfied<seen_as_batch<Object>>,
            "a field takes an object that satisfies batch_of_rows: see rows_of, per_row, sequences_of, one_row, "
            "and poise/interop/ for Eigen, xtensor and Thrust");
        return as_batch(object);
    }
}

} // namespace poise
