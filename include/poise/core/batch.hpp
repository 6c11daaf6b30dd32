#pragma once

#include "poise/core/error.hpp"
#include "poise/core/row.hpp"

#include <cstdint>
#include <span>

/// Batches: views of many independent rows. Where the rows lie is part of the type.
namespace poise {

/// Elements of a row are consecutive; rows follow each other (`row_stride` apart).
struct row_contiguous {};
/// Element k of all rows is consecutive: what one row per SIMD lane, or per GPU thread, wants.
struct interleaved {};
/// Any strides.
struct strided {};
/// One row of consecutive elements that every row of the batch sees.
struct shared {};

/// A view of `rows()` rows of `length()` elements; of `T const` where they are only read.
template <class T, std::size_t Extent = dynamic, class Layout = row_contiguous>
class batch {
public:
    using element_type = T;
    using value_type = std::remove_const_t<T>;
    using layout = Layout;
    static constexpr std::size_t extent = Extent;
    static constexpr bool in_memory = true;
    static constexpr bool is_input = std::is_const_v<T>;
    static constexpr bool is_shared = std::is_same_v<Layout, shared>;

    constexpr batch(T* data, std::size_t rows, std::size_t length, std::size_t row_stride, std::size_t element_stride)
        : data_(data), rows_(rows), length_(length), row_stride_(row_stride), element_stride_(element_stride) {}

    template <class Mutable>
        requires(!std::is_const_v<Mutable> && std::is_same_v<Mutable const, T>)
    constexpr batch(batch<Mutable, Extent, Layout> const& other)
        : batch(other.data(), other.rows(), other.length(), other.row_stride(), other.element_stride()) {}

    constexpr T* data() const { return data_; }
    constexpr std::size_t rows() const { return rows_; }
    constexpr std::size_t length() const {
        if constexpr (Extent != dynamic)
            return Extent;
        else
            return length_;
    }
    constexpr std::size_t length(std::size_t) const { return length(); }
    constexpr std::size_t row_stride() const {
        if constexpr (std::is_same_v<Layout, interleaved>)
            return 1;
        else if constexpr (is_shared)
            return 0;
        else
            return row_stride_;
    }
    constexpr std::size_t element_stride() const {
        if constexpr (std::is_same_v<Layout, row_contiguous> || is_shared)
            return 1;
        else
            return element_stride_;
    }
    constexpr T& operator()(std::size_t i, std::size_t k) const {
        return data_[i * row_stride() + k * element_stride()];
    }
    /// Where row i begins; rows without elements may lie in no memory.
    constexpr T* row_data(std::size_t i) const { return length() == 0 ? data_ : data_ + i * row_stride(); }
    /// The same rows, read only.
    constexpr auto as_input() const {
        return batch<value_type const, Extent, Layout>(data_, rows_, length_, row_stride_, element_stride_);
    }
    /// Rows first … first + count - 1.
    constexpr batch rows(std::size_t first, std::size_t count) const {
        return {row_data(first), count, length_, row_stride_, element_stride_};
    }

private:
    T* data_;
    std::size_t rows_;
    std::size_t length_;
    std::size_t row_stride_;
    std::size_t element_stride_;
};

/// Rows of different lengths, one after another: row i is data[offsets[i]] … data[offsets[i + 1] - 1].
template <class T>
class ragged_batch {
public:
    using element_type = T;
    using value_type = std::remove_const_t<T>;
    using layout = row_contiguous;
    static constexpr std::size_t extent = dynamic;
    static constexpr bool in_memory = true;
    static constexpr bool is_input = std::is_const_v<T>;
    static constexpr bool is_shared = false;

    constexpr ragged_batch(T* data, std::span<std::size_t const> offsets) : data_(data), offsets_(offsets) {
        require(!offsets.empty(), "ragged_batch", "offsets", "one offset more than rows, so at least one", 0);
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            require(offsets[i] <= offsets[i + 1], "ragged_batch", "offsets", "offsets that never decrease",
                    offsets[i + 1]);
    }

    constexpr T* data() const { return data_; }
    constexpr std::size_t rows() const { return offsets_.size() - 1; }
    constexpr std::size_t length(std::size_t i) const { return offsets_[i + 1] - offsets_[i]; }
    constexpr std::size_t element_stride() const { return 1; }
    constexpr T& operator()(std::size_t i, std::size_t k) const { return data_[offsets_[i] + k]; }
    /// Where row i begins.
    constexpr T* row_data(std::size_t i) const { return data_ + offsets_[i]; }
    constexpr auto as_input() const { return ragged_batch<value_type const>(data_, offsets_); }
    constexpr ragged_batch rows(std::size_t first, std::size_t count) const {
        return {data_, offsets_.subspan(first, count + 1)};
    }

private:
    T* data_;
    std::span<std::size_t const> offsets_;
};

/// A batch whose element (i, k) is f(i, k): inputs that are computed, or lie in no memory of their own (expressions of
/// other libraries).
template <class F>
class generated_batch {
public:
    using value_type = std::remove_cvref_t<std::invoke_result_t<F const&, std::size_t, std::size_t>>;
    using element_type = value_type const;
    using layout = strided;
    static constexpr std::size_t extent = dynamic;
    static constexpr bool in_memory = false;
    static constexpr bool is_input = true;
    static constexpr bool is_shared = false;

    constexpr generated_batch(F f, std::size_t rows, std::size_t length, std::size_t first = 0)
        : f_(f), rows_(rows), length_(length), first_(first) {}

    constexpr std::size_t rows() const { return rows_; }
    constexpr std::size_t length() const { return length_; }
    constexpr std::size_t length(std::size_t) const { return length_; }
    constexpr value_type operator()(std::size_t i, std::size_t k) const { return f_(first_ + i, k); }
    constexpr generated_batch rows(std::size_t first, std::size_t count) const {
        return {f_, count, length_, first_ + first};
    }

private:
    F f_;
    std::size_t rows_;
    std::size_t length_;
    std::size_t first_;
};

/// What `for_each_row` takes for an argument.
template <class B>
concept batch_of_rows = requires(B const& b, std::size_t i) {
    typename B::value_type;
    typename B::layout;
    { b.rows() } -> std::convertible_to<std::size_t>;
    { b.length(i) } -> std::convertible_to<std::size_t>;
    { b(i, i) } -> std::convertible_to<typename B::value_type>;
};

namespace detail {

constexpr void check_extent(std::string_view function, std::size_t extent, std::size_t length) {
    require(extent == dynamic || length == extent, function, "length", extent, length);
}

} // namespace detail

/// Consecutive rows of consecutive elements: data[i * length + k].
template <std::size_t Extent = dynamic, class T>
constexpr auto rows_of(T* data, std::size_t rows, std::size_t length) {
    detail::check_extent("rows_of", Extent, length);
    return batch<T, Extent, row_contiguous>(data, rows, length, length, 1);
}

/// Element k of all rows consecutive: data[k * rows + i].
template <std::size_t Extent = dynamic, class T>
constexpr auto interleaved_rows_of(T* data, std::size_t rows, std::size_t length) {
    detail::check_extent("interleaved_rows_of", Extent, length);
    return batch<T, Extent, interleaved>(data, rows, length, 1, rows);
}

/// Rows anywhere: data[i * row_stride + k * element_stride].
template <std::size_t Extent = dynamic, class T>
constexpr auto strided_rows_of(T* data, std::size_t rows, std::size_t length, std::size_t row_stride,
                               std::size_t element_stride) {
    detail::check_extent("strided_rows_of", Extent, length);
    return batch<T, Extent, strided>(data, rows, length, row_stride, element_stride);
}

/// One value per row, such as a label or a loss: kernels see a row of length 1.
template <std::ranges::contiguous_range Range>
constexpr auto per_row(Range&& values) {
    using T = std::remove_reference_t<std::ranges::range_reference_t<Range>>;
    return batch<T, 1, row_contiguous>(std::ranges::data(values), std::ranges::size(values), 1, 1, 1);
}

/// One row that every row of the batch sees, such as quantile levels.
template <std::ranges::contiguous_range Range>
constexpr auto shared_row(Range&& values) {
    using T = std::remove_reference_t<std::ranges::range_reference_t<Range>> const;
    using view = decltype(row(values));
    return batch<T, view::extent, shared>(std::ranges::data(values), 1, std::ranges::size(values), 0, 1);
}

/// The batch f(i, k).
template <class F>
constexpr auto generated_rows(std::size_t rows, std::size_t length, F f) {
    return generated_batch<F>(f, rows, length);
}

/// How an object is seen as a batch: a batch as it is, a contiguous range (std::span, std::vector, std::array) as one
/// value per row. Specialised in interop/ for other libraries' objects.
template <class Object>
struct batch_view {
    static constexpr decltype(auto) view(auto& object)
        requires(std::ranges::contiguous_range<Object> || batch_of_rows<Object>)
    {
        if constexpr (batch_of_rows<Object>)
            return (object);
        else
            return per_row(object);
    }
};

/// What for_each_row takes.
template <class Object>
concept seen_as_batch = requires(Object& object) { batch_view<std::remove_cvref_t<Object>>::view(object); };

/// The batch that an object is, or is seen as.
template <class Object>
constexpr decltype(auto) as_batch(Object& object) {
    return batch_view<std::remove_const_t<Object>>::view(object);
}

} // namespace poise
