#pragma once

#include "poise/core/row.hpp"

namespace poise {

/// Column c of a matrix that lies row after row in `base`: elements c, c + columns, c + 2 columns, ….
template <class Row>
class column_row {
public:
    using value_type = typename Row::value_type;
    static constexpr std::size_t extent = dynamic;

    constexpr column_row(Row base, std::size_t column, std::size_t columns)
        : base_(base), column_(column), columns_(columns) {}
    constexpr std::size_t size() const { return base_.size() / columns_; }
    constexpr decltype(auto) operator[](std::size_t k) const { return base_[k * columns_ + column_]; }

private:
    Row base_;
    std::size_t column_;
    std::size_t columns_;
};

template <class Row>
constexpr column_row<Row> matrix_column(Row matrix, std::size_t column, std::size_t columns) {
    return column_row<Row>(matrix, column, columns);
}

} // namespace poise
