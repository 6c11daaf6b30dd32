#pragma once

#include "poise/core/row.hpp"

namespace poise {

namespace detail {

template <class Row>
struct pack_of {
    using type = void;
};
template <packed_row Row>
struct pack_of<Row> {
    using type = typename Row::pack;
};

} // namespace detail

/// A row that adds what is written to it: `out[k] = x` is row[k] = row[k] + x.
template <class Row>
class adding_row {
public:
    using value_type = value_of<Row>;
    static constexpr std::size_t extent = Row::extent;
    static constexpr bool packed = packed_row<Row>;
    using pack = typename detail::pack_of<Row>::type;

    class reference {
    public:
        constexpr reference(Row row, std::size_t k) : row_(row), k_(k) {}
        constexpr operator value_type() const { return row_[k_]; }
        constexpr reference const& operator=(value_type x) const {
            row_[k_] = value_type(row_[k_]) + x;
            return *this;
        }

    private:
        Row row_;
        std::size_t k_;
    };

    constexpr explicit adding_row(Row row) : row_(row) {}

    constexpr std::size_t size() const { return row_.size(); }
    constexpr reference operator[](std::size_t k) const { return {row_, k}; }

    void store(std::size_t k, auto x) const { row_.store(k, row_.load(k) + x); }
    void store_part(std::size_t k, std::size_t count, auto x) const {
        row_.store_part(k, count, row_.load_part(k, count) + x);
    }

private:
    Row row_;
};

template <class Row>
inline constexpr bool is_adding_row = false;
template <class Row>
inline constexpr bool is_adding_row<adding_row<Row>> = true;

} // namespace poise
