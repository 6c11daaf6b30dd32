#pragma once

#include "poise/core/row.hpp"

namespace poise {

/// The virtual row of one number again and again.
template <scalar T>
class constant_row {
public:
    using value_type = T;
    static constexpr std::size_t extent = dynamic;

    constexpr constant_row(T value, std::size_t size) : value_(value), size_(size) {}
    constexpr std::size_t size() const { return size_; }
    constexpr T operator[](std::size_t) const { return value_; }

private:
    T value_;
    std::size_t size_;
};

/// A row as one of `size` elements: a row whose static length is 1 stands for its number, repeated.
template <row_of_reals Row>
constexpr auto repeated(Row row, std::size_t size) {
    if constexpr (Row::extent == 1)
        return constant_row<value_of<Row>>(row[0], size);
    else
        return row;
}

} // namespace poise
