#pragma once

#include "poise/core/dual.hpp"
#include "poise/core/verbs.hpp"

/// The verb `sort`. NaN comes last, in both directions. A row of indices is a row of reals, so that it has one kind in every execution; `gather` and
/// `scatter` move values by it. Scratch rows come from the caller, who knows where memory is cheap.
namespace poise {

/// Smallest first; ties keep the order of their indices.
struct ascending {
    template <class T>
    static constexpr auto before(T a, T b) {
        return decltype(a < b)((a < b) | ((a == a) & (b != b)));
    }
};

/// Largest first; ties keep the order of their indices.
struct descending {
    template <class T>
    static constexpr auto before(T a, T b) {
        return decltype(a > b)((a > b) | ((a == a) & (b != b)));
    }
};

/// How many scratch rows of the keys' length `argsort` wants.
inline constexpr std::size_t argsort_scratch = 4;

namespace detail {

/// The compare-and-exchange steps of Batcher's odd-even merge sort for any length, as calls exchange(i, j), i < j.
template <class Exchange>
constexpr void odd_even_merge_sort(std::size_t n, Exchange const& exchange) {
    for (std::size_t p = 1; p < n; p *= 2)
        for (std::size_t k = p; k >= 1; k /= 2)
            for (std::size_t j = k % p; j + k < n; j += 2 * k)
                for (std::size_t i = j; i < j + k && i + k < n; ++i)
                    if (i / (2 * p) == (i + k) / (2 * p)) exchange(i, i + k);
}

/// Puts elements i < j of a row into order.
template <class Direction, class Row>
struct exchange_values {
    Row values;
    constexpr void operator()(std::size_t i, std::size_t j) const {
        auto const a = value_of<Row>(values[i]), b = value_of<Row>(values[j]);
        auto const swap = Direction::before(b, a);
        values[i] = math::select(swap, b, a);
        values[j] = math::select(swap, a, b);
    }
};

/// Puts keys i < j and their indices into order, ties by index.
template <class Direction, class Keys, class Order>
struct exchange_ranked {
    Keys keys;
    Order order;
    constexpr void operator()(std::size_t i, std::size_t j) const {
        auto const a = value_of<Keys>(keys[i]), b = value_of<Keys>(keys[j]);
        auto const at_a = value_of<Order>(order[i]), at_b = value_of<Order>(order[j]);
        auto const swap = Direction::before(b, a) | ((!Direction::before(a, b)) & (at_b < at_a));
        keys[i] = math::select(swap, b, a);
        keys[j] = math::select(swap, a, b);
        order[i] = math::select(swap, at_b, at_a);
        order[j] = math::select(swap, at_a, at_b);
    }
};

/// Stable bottom-up merge sort of order[0..n) by `before(a, b)` on indices.
template <class Order, class Scratch, class Before>
constexpr void merge_sort(Order order, Scratch scratch, std::size_t n, Before const& before) {
    for (std::size_t width = 1; width < n; width *= 2) {
        for (std::size_t low = 0; low < n; low += 2 * width) {
            auto const middle = low + width < n ? low + width : n;
            auto const high = middle + width < n ? middle + width : n;
            auto left = low, right = middle;
            for (auto k = low; k < high; ++k) {
                auto const take_right = left == middle || (right < high && before(order[right], order[left]));
                scratch[k] = take_right ? order[right++] : order[left++];
            }
        }
        for (std::size_t k = 0; k < n; ++k) order[k] = scratch[k];
    }
}

template <class Value>
constexpr std::size_t to_index(Value value) {
    return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(value)); // one instruction, unlike to unsigned
}
template <class Value>
constexpr std::size_t to_index(dual<Value> value) {
    return to_index(value.value);
}

template <class... Rows>
struct row_sorts {
    template <class Direction, class Order, class Keys, class Scratch>
    static constexpr void argsort(Order order, Keys keys, Direction, Scratch const& scratch) {
        auto const n = common_size(order, keys);
        for (std::size_t k = 0; k < n; ++k) order[k] = value_of<Order>(k);
        merge_sort(order, scratch[0], n, [&](auto a, auto b) {
            return Direction::before(value_of<Keys>(keys[to_index(a)]), value_of<Keys>(keys[to_index(b)]));
        });
    }

    template <class Direction, class Row>
    static constexpr void sort(Row values, Direction) {
        odd_even_merge_sort(values.size(), exchange_values<Direction, Row>{values});
    }

    template <class Out, class In, class Order>
    static constexpr void gather(Out out, In in, Order order) {
        auto const n = common_size(out, order);
        for (std::size_t k = 0; k < n; ++k) out[k] = in[to_index(value_of<Order>(order[k]))];
    }

    template <class Out, class In, class Order>
    static constexpr void scatter(Out out, In in, Order order) {
        auto const n = common_size(in, order);
        for (std::size_t k = 0; k < n; ++k) out[to_index(value_of<Order>(order[k]))] = in[k];
    }
};

} // namespace detail

/// order = the indices of `keys` sorted by key, `ascending{}` or `descending{}`, ties by index; `keys` is left as it
/// is. `scratch[0..argsort_scratch)` are rows of the same length.
template <class Direction, writable_row Order, row_of_reals Keys, class Scratch>
constexpr void argsort(Order order, Keys keys, Direction direction, Scratch const& scratch) {
    static_assert(satisfied<rows_of_equal_length<Order, Keys>>,
                  "argsort needs rows_of_equal_length: static lengths differ");
    detail::row_sorts<Order, Keys>::argsort(order, keys, direction, scratch);
}

/// Sorts the values of a row in place by a sorting network: no scratch, no branch on a value; for short rows.
template <class Direction, writable_row Row>
constexpr void sort(Row values, Direction direction) {
    detail::row_sorts<Row>::sort(values, direction);
}

/// out_k = in_{order_k}; `out` must not be `in`.
template <writable_row Out, row_of_reals In, row_of_reals Order>
constexpr void gather(Out out, In in, Order order) {
    detail::row_sorts<Out, In, Order>::gather(out, in, order);
}

/// out_{order_k} = in_k; `out` must not be `in`.
template <writable_row Out, row_of_reals In, row_of_reals Order>
constexpr void scatter(Out out, In in, Order order) {
    detail::row_sorts<Out, In, Order>::scatter(out, in, order);
}

} // namespace poise
