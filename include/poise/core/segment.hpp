#pragma once

#include "poise/core/row.hpp"

namespace poise {

namespace detail {

// The same kind of row with another length.
template <class Row, std::size_t Extent>
struct with_extent;
template <template <class, std::size_t> class Row, class T, std::size_t Old, std::size_t Extent>
struct with_extent<Row<T, Old>, Extent> {
    using type = Row<T, Extent>;
};
template <template <class, std::size_t, std::size_t> class Row, class T, std::size_t Old, std::size_t Stride,
          std::size_t Extent>
struct with_extent<Row<T, Old, Stride>, Extent> {
    using type = Row<T, Extent, Stride>;
};

} // namespace detail

/// Elements first, …, first + count - 1 of a row that lies in memory, as a row of the same kind. `segment<N>(row,
/// first)` states the length in the type.
template <std::size_t Extent = dynamic, class Row>
constexpr auto segment(Row row, std::size_t first, std::size_t count = Extent) {
    return typename detail::with_extent<Row, Extent>::type(row.data() + first * row.stride(), count, row.stride());
}

/// Row i of a matrix that lies row after row in `matrix`, as long as the row `like` (whose static length it takes).
template <class Matrix, class Like>
constexpr auto matrix_row(Matrix matrix, std::size_t i, Like const& like) {
    return segment<Like::extent>(matrix, i * like.size(), like.size());
}

} // namespace poise
