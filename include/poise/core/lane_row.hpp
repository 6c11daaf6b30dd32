#pragma once

#include "poise/core/lanes.hpp"
#include "poise/core/row.hpp"
#include "poise/core/sort.hpp"

namespace poise {

/// One row per SIMD lane: element k is a pack that holds element k of `lanes<T>::size` neighbouring rows, `stride`
/// elements of memory after element k - 1. A kernel written for a row of scalars runs on it unchanged.
template <class T, std::size_t Extent = dynamic>
class lane_row {
    using real = std::remove_const_t<T>;

public:
    using value_type = lanes<real>;
    static constexpr std::size_t extent = Extent;

    /// Reads as a pack; an assignment stores one.
    class reference {
    public:
        explicit reference(T* at) : at_(at) {}
        operator value_type() const { return value_type::load(at_); }
        reference const& operator=(value_type value) const
            requires(!std::is_const_v<T>)
        {
            value.store(at_);
            return *this;
        }

    private:
        T* at_;
    };

    lane_row(T* data, std::size_t size, std::size_t stride) : data_(data), size_(size), stride_(stride) {}

    std::size_t size() const { return size_; }
    std::size_t stride() const { return stride_; }
    T* data() const { return data_; }
    auto operator[](std::size_t k) const {
        if constexpr (std::is_const_v<T>)
            return value_type::load(data_ + k * stride_);
        else
            return reference(data_ + k * stride_);
    }

private:
    T* data_;
    [[no_unique_address]] detail::static_or_dynamic<Extent, 0> size_;
    std::size_t stride_;
};

/// A row each of whose elements is a pack.
template <class Row>
concept row_of_lanes = requires { value_of<Row>::size; };

namespace detail {

// Each lane has an order of its own: a network sorts all of them at once; moves by index go lane by lane.
template <class... Rows>
    requires(row_of_lanes<Rows> || ...)
struct row_sorts<Rows...> {
    template <class Direction, class Order, class Keys, class Scratch>
    static void argsort(Order order, Keys keys, Direction, Scratch const& scratch) {
        using value = value_of<Keys>;
        auto const n = common_size(order, keys);
        auto const sorted = scratch[0];
        copy(sorted, keys);
        for (std::size_t k = 0; k < n; ++k) order[k] = value(k);
        odd_even_merge_sort(n, exchange_ranked<Direction, std::remove_cvref_t<decltype(sorted)>, Order>{sorted, order});
    }

    template <class Direction, class Row>
    static void sort(Row values, Direction direction) {
        row_sorts<>::sort(values, direction);
    }

    template <class Out, class In, class Order>
    static void gather(Out out, In in, Order order) {
        auto const n = common_size(out, order);
        for (std::size_t k = 0; k < n; ++k) {
            auto const from = value_of<Out>(order[k]).to_array();
            auto values = from;
            for (std::size_t lane = 0; lane < from.size(); ++lane)
                values[lane] = element(in, to_index(from[lane]), lane);
            out[k] = value_of<Out>::load(values.data());
        }
    }

    template <class Out, class In, class Order>
    static void scatter(Out out, In in, Order order) {
        auto const n = common_size(in, order);
        for (std::size_t k = 0; k < n; ++k) {
            auto const to = value_of<Out>(order[k]).to_array();
            for (std::size_t lane = 0; lane < to.size(); ++lane)
                out.data()[to_index(to[lane]) * out.stride() + lane] = element(in, k, lane);
        }
    }

private:
    template <class Row>
    static auto element(Row row, std::size_t k, std::size_t lane) {
        if constexpr (row_of_lanes<Row>)
            return row.data()[k * row.stride() + lane];
        else
            return row[k]; // the same for every lane
    }
};

} // namespace detail

} // namespace poise
