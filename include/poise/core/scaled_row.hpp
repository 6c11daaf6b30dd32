#pragma once

#include "poise/core/adding_row.hpp"

namespace poise {

/// A row that multiplies what is written to it by another's numbers: `out[k] = x` is row[k] = factors[k] x.
template <class Row, class Factors>
class scaled_row {
public:
    using value_type = value_of<Row>;
    static constexpr std::size_t extent = Row::extent;
    static constexpr bool packed = packed_row<Row> && packed_row<Factors>;
    using pack = typename detail::pack_of<Row>::type;

    class reference {
    public:
        constexpr reference(Row row, value_type factor, std::size_t k) : row_(row), factor_(factor), k_(k) {}
        constexpr operator value_type() const { return row_[k_]; }
        constexpr reference const& operator=(value_type x) const {
            row_[k_] = factor_ * x;
            return *this;
        }

    private:
        Row row_;
        value_type factor_;
        std::size_t k_;
    };

    constexpr scaled_row(Row row, Factors factors) : row_(row), factors_(factors) {}

    constexpr std::size_t size() const { return row_.size(); }
    constexpr reference operator[](std::size_t k) const { return {row_, value_type(factors_[k]), k}; }

    void store(std::size_t k, auto x) const { row_.store(k, factors_.load(k) * x); }
    void store_part(std::size_t k, std::size_t count, auto x) const {
        row_.store_part(k, count, factors_.load_part(k, count) * x);
    }

private:
    Row row_;
    Factors factors_;
};

} // namespace poise
