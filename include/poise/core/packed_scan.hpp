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
    template <class Out, class In>
    static void cumulative_log_sum_exp(Out out, In in) {
        using T = value_of<Out>;
        using pack = lanes<T>;
        constexpr auto chunk = std::size_t{32} * pack::size;
        auto shift = std::array<T, chunk + 1>{};
        auto term = std::array<T, chunk>{}, decay = std::array<T, chunk>{};
        auto const n = common_size(out, in);
        auto greatest = -math::infinity<T>;
        auto total = T(0);
        for (std::size_t first = 0; first < n; first += chunk) {
            auto const count = std::min(chunk, n - first);
            shift[0] = exponent_shift(greatest);
            for (std::size_t k = 0; k < count; ++k) {
                term[k] = in[first + k];
                greatest = math::max(greatest, term[k]);
                shift[k + 1] = exponent_shift(greatest);
            }
            for (std::size_t k = 0; k < count; k += pack::size) {
                auto const here = pack::load(&shift[k + 1]);
                math::exp(pack::load(&term[k]) - here).store(&term[k]);
                math::exp(pack::load(&shift[k]) - here).store(&decay[k]);
            }
            for (std::size_t k = 0; k < count; ++k) {
                total =
                    (total == T(0) ? T(0) : total * decay[k]) + term[k]; // an empty total may meet an infinite decay
                term[k] = total;
            }
            for (std::size_t k = 0; k < count; k += pack::size) {
                auto const here = pack::load(&shift[k + 1]);
                (here + math::log(pack::load(&term[k]))).store(&term[k]);
            }
            for (std::size_t k = 0; k < count; ++k) out[first + k] = term[k];
        }
    }
};

template <class T>
using sort_key = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// An unsigned key in the order of the reals; -0 and 0 are equal.
template <class Direction, std::floating_point T>
sort_key<T> radix_key(T value) {
    using key = sort_key<T>;
    constexpr auto sign = key(1) << (8 * sizeof(T) - 1);
    auto const bits = std::bit_cast<key>(value + T(0));
    auto const rising = (bits & sign) ? ~bits : (bits | sign);
    return Direction::before(T(0), T(1)) ? rising : ~rising;
}

template <class... Rows>
    requires(is_packed<Rows> || ...)
struct row_sorts<Rows...> {
    template <class Direction, class Order, class Keys, class Scratch>
    static void argsort(Order order, Keys keys, Direction, Scratch const& scratch) {
        using T = value_of<Keys>;
        using key = sort_key<T>;
        struct [[gnu::may_alias]] item {
            key value;
            key index;
        };
        constexpr auto digit_bits = 11;
        constexpr auto buckets = std::size_t{1} << digit_bits;
        constexpr auto passes = (8 * sizeof(T) + digit_bits - 1) / digit_bits;
        auto const n = common_size(order, keys);
        if (n < 64) return row_sorts<>::argsort(order, keys, Direction{}, scratch);
        // Two scratch rows hold one array of items: they are consecutive in memory.
        auto* from = reinterpret_cast<item*>(scratch[0].data());
        auto* to = reinterpret_cast<item*>(scratch[2].data());
        auto counts = std::array<std::array<std::uint32_t, buckets>, passes>{};
        for (std::size_t k = 0; k < n; ++k) {
            auto const value = radix_key<Direction>(T(keys[k]));
            from[k] = item{value, static_cast<key>(k)};
            for (std::size_t pass = 0; pass < passes; ++pass) ++counts[pass][(value >> (digit_bits * pass)) % buckets];
        }
        for (std::size_t pass = 0; pass < passes; ++pass) {
            auto start = std::uint32_t{0};
            for (auto& count : counts[pass]) start += std::exchange(count, start);
            for (std::size_t k = 0; k < n; ++k)
                to[counts[pass][(from[k].value >> (digit_bits * pass)) % buckets]++] = from[k];
            std::swap(from, to);
        }
        for (std::size_t k = 0; k < n; ++k) order[k] = static_cast<T>(from[k].index);
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
};

} // namespace poise::detail
