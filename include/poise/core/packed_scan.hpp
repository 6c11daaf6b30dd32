#pragma once

#include "poise/core/packed_row.hpp"
#include "poise/core/scan.hpp"
#include "poise/core/sort.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

/// Scans and sorts of rows dealt out in packs: exponentials and logarithms in packs, the recurrence in between one
/// element after another; the sort by radix, which is stable and linear.
namespace poise::detail {

template <class Row>
inline constexpr bool is_packed = packed_row<Row>;
template <class Row>
inline constexpr bool is_packed<reversed_row<Row>> = packed_row<Row>;

template <class... Rows>
    requires(is_packed<Rows> || ...)
struct row_scans<Rows...> {
    template <class Out, class Op, class In>
    static void scan(Out out, Op op, In in) {
        row_scans<>::scan(out, op, in);
    }
    template <class Out, class Factor, class In>
    static void linear_recurrence(Out out, Factor factor, In in) {
        row_scans<>::linear_recurrence(out, factor, in);
    }

    // greatest_k = max of the prefix; total_k = total_{k-1} e^{greatest_{k-1} - greatest_k} + e^{in_k - greatest_k}.
    // Only the maximum and the multiply-add go element by element.
    template <class Out, class In>
    static void cumulative_log_sum_exp(Out out, In in) {
        using T = value_of<Out>;
        using pack = lanes<T>;
        constexpr auto chunk = std::size_t{32} * pack::size;
        auto greatest = std::array<T, chunk + 1>{};
        auto term = std::array<T, chunk>{}, decay = std::array<T, chunk>{};
        auto const n = common_size(out, in);
        auto so_far = -math::infinity<T>;
        auto total = T(0);
        for (std::size_t first = 0; first < n; first += chunk) {
            auto const count = std::min(chunk, n - first);
            greatest[0] = so_far;
            for (std::size_t k = 0; k < count; ++k) {
                term[k] = in[first + k];
                so_far = so_far > term[k] ? so_far : term[k]; // a NaN need not stay here: it stays in the total
                greatest[k + 1] = so_far;
            }
            for (std::size_t k = 0; k < count; k += pack::size) {
                auto const before = pack::load(&greatest[k]);
                auto const here = exponent_shift(pack::load(&greatest[k + 1]));
                math::exp(pack::load(&term[k]) - here).store(&term[k]);
                // From an infinite maximum on there is nothing to rescale: the total is 0, or infinite for good.
                math::exp(math::select(math::isinf(before), pack(T(0)), before - here)).store(&decay[k]);
            }
            for (std::size_t k = 0; k < count; ++k) {
                total = total * decay[k] + term[k];
                term[k] = total;
            }
            for (std::size_t k = 0; k < count; k += pack::size) {
                auto const here = exponent_shift(pack::load(&greatest[k + 1]));
                (here + math::log(pack::load(&term[k]))).store(&term[k]);
            }
            for (std::size_t k = 0; k < count; ++k) out[first + k] = term[k];
        }
    }
};

template <class T>
using sort_key = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// An unsigned key in the order of the reals; -0 and 0 are equal, NaN is last.
template <class Direction, std::floating_point T>
sort_key<T> radix_key(T value) {
    using key = sort_key<T>;
    constexpr auto sign = key(1) << (8 * sizeof(T) - 1);
    auto const bits = std::bit_cast<key>(value + T(0));
    auto const rising = (bits & sign) ? ~bits : (bits | sign);
    if (value != value) return ~key(0);
    return Direction::before(T(0), T(1)) ? rising : ~rising;
}

template <class... Rows>
    requires(is_packed<Rows> || ...)
struct row_sorts<Rows...> {
    template <class Direction, class Order, class Keys, class Scratch>
    static void argsort(Order order, Keys keys, Direction, Scratch const& scratch) {
        using T = value_of<Keys>;
        auto const n = common_size(order, keys);
        if (n < 64)
            row_sorts<>::argsort(order, keys, Direction{}, scratch);
        else
            radix_argsort<Direction, T>(n, order, keys, scratch);
    }

    template <class Direction, class Row>
    static void sort(Row values, Direction direction) {
        row_sorts<>::sort(values, direction);
    }

    template <class Out, class In, class Order>
    static void gather(Out out, In in, Order order) {
        row_sorts<>::gather(out, in, order);
    }
    template <class Out, class In, class Order>
    static void scatter(Out out, In in, Order order) {
        row_sorts<>::scatter(out, in, order);
    }

private:
    template <class Key>
    struct [[gnu::may_alias]] item {
        Key value;
        Key index;
    };

    // The two leading digits put almost everything in its place and an insertion sort does the rest; where it would
    // have much to do, all digits are sorted. Every step is stable, so ties stay in the order of their indices.
    template <class Direction, class T, class Order, class Keys, class Scratch>
    static void radix_argsort(std::size_t n, Order order, Keys keys, Scratch const& scratch) {
        using key = sort_key<T>;
        constexpr auto bits = int(8 * sizeof(T)), digit_bits = 11;
        // Two scratch rows hold one array of items: they are consecutive in memory.
        auto* items = reinterpret_cast<item<key>*>(scratch[0].data());
        auto* others = reinterpret_cast<item<key>*>(scratch[2].data());
        for (std::size_t k = 0; k < n; ++k) items[k] = item<key>{radix_key<Direction>(T(keys[k])), static_cast<key>(k)};
        auto const sort_digit = [&](int shift) {
            order_by_digit<digit_bits>(n, items, others, shift);
            std::swap(items, others);
        };
        sort_digit(bits - 2 * digit_bits);
        sort_digit(bits - digit_bits);
        if (!insertion_sort(n, items, 4 * n))
            for (auto shift = 0; shift < bits; shift += digit_bits) sort_digit(shift);
        for (std::size_t k = 0; k < n; ++k) order[k] = static_cast<T>(static_cast<std::ptrdiff_t>(items[k].index));
    }

    template <int digit_bits, class Item>
    static void order_by_digit(std::size_t n, Item const* from, Item* to, int shift) {
        constexpr auto buckets = std::size_t{1} << digit_bits;
        auto const digit = [=](Item const& one) { return (one.value >> shift) % buckets; };
        auto places = std::array<std::uint32_t, buckets>{};
        for (std::size_t k = 0; k < n; ++k) ++places[digit(from[k])];
        auto start = std::uint32_t{0};
        for (auto& place : places) start += std::exchange(place, start);
        for (std::size_t k = 0; k < n; ++k) to[places[digit(from[k])]++] = from[k];
    }

    /// False if more than `budget` items would have to move.
    template <class Item>
    static bool insertion_sort(std::size_t n, Item* items, std::size_t budget) {
        for (std::size_t k = 1; k < n; ++k) {
            auto const one = items[k];
            auto place = k;
            for (; place > 0 && one.value < items[place - 1].value; --place) {
                if (budget-- == 0) {
                    items[place] = one;
                    return false;
                }
                items[place] = items[place - 1];
            }
            items[place] = one;
        }
        return true;
    }
};

} // namespace poise::detail
