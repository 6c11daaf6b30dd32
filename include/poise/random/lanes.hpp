#pragma once

#include "poise/random/address.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace poise::random {

/// What a real-valued draw may be: `float`, `double`, or a pack of them such as `lanes<float>`, whose lane i is the
/// draw of replica + i. So a solver written over its scalar runs its replicas in lanes on the same numbers.
template <class T>
concept lane_pack = !std::is_arithmetic_v<T> && requires(T pack) {
    { T::size } -> std::convertible_to<std::size_t>;
    requires std::floating_point<std::remove_cvref_t<decltype(pack[0])>>;
    T::load(static_cast<std::remove_cvref_t<decltype(pack[0])> const*>(nullptr));
};

template <class T>
concept drawable = std::floating_point<T> || lane_pack<T>;

namespace detail {

template <class T>
struct real_of_drawable {
    using type = T;
};
template <lane_pack T>
struct real_of_drawable<T> {
    using type = std::remove_cvref_t<decltype(std::declval<T>()[0])>;
};
template <class T>
using real_of = typename real_of_drawable<std::remove_cvref_t<T>>::type;

template <class T>
constexpr auto lane(T const& value, std::size_t i) {
    if constexpr (lane_pack<T>)
        return value[i];
    else
        return value;
}

template <class T>
inline constexpr std::size_t lane_count = 1;
template <lane_pack T>
inline constexpr std::size_t lane_count<T> = T::size;

// value(i) for each lane i as a T.
template <drawable T, class Value>
constexpr T assemble(Value const& value) {
    if constexpr (lane_pack<T>) {
        auto values = std::array<real_of<T>, T::size>{};
        for (std::size_t i = 0; i < T::size; ++i) values[i] = static_cast<real_of<T>>(value(i));
        return T::load(values.data());
    } else {
        return static_cast<T>(value(std::size_t{0}));
    }
}

constexpr address replica_of_lane(address where, std::size_t i) {
    where.replica += static_cast<std::uint32_t>(i);
    return where;
}

/// The words of word_sequence at one address, for the neighbouring replicas of all lanes at once, some words at a time.
/// All is done in loops over at least 8 numbers, which compilers turn into SIMD; shorter ones, or inlined
/// ones, they do not.
template <std::size_t Lanes>
struct words_of_lanes {
    static constexpr std::size_t blocks = Lanes < 8 ? 8 / Lanes : 1;
    static constexpr std::size_t count = 2 * blocks; ///< of words per lane

    /// Word w of lane i is number place(w) + i.
    std::array<std::uint64_t, count * Lanes> all;
    static constexpr std::size_t place(std::size_t w) { return (w % 2 * blocks + w / 2) * Lanes; }

    /// Words first_block * 2 … + count - 1. Philox4x32-10, each 32-bit word in 64 bits, as its products are.
    [[gnu::noinline]] constexpr words_of_lanes(address where, std::size_t first_block) {
        constexpr auto n = blocks * Lanes;
        constexpr auto low = std::uint64_t{0xffffffff};
        auto a = std::array<std::uint64_t, n>{}, b = a, c = a, d = a;
        for (std::size_t k = 0; k < n; ++k) {
            a[k] = (first_block + k / Lanes) & low;
            b[k] = where.index;
            c[k] = where.step;
            d[k] = replica_of_lane(where, k % Lanes).replica;
        }
        auto key_0 = static_cast<std::uint32_t>(where.seed), key_1 = static_cast<std::uint32_t>(where.seed >> 32);
        for (int round = 0; round < 10; ++round) {
            for (std::size_t k = 0; k < n; ++k) {
                auto const product_0 = PHILOX_M4x32_0 * (a[k] & low), product_1 = PHILOX_M4x32_1 * (c[k] & low);
                a[k] = (product_1 >> 32) ^ b[k] ^ key_0;
                b[k] = product_1 & low;
                c[k] = (product_0 >> 32) ^ d[k] ^ key_1;
                d[k] = product_0 & low;
            }
            key_0 += PHILOX_W32_0;
            key_1 += PHILOX_W32_1;
        }
        for (std::size_t k = 0; k < n; ++k) all[k] = a[k] | b[k] << 32;
        for (std::size_t k = 0; k < n; ++k) all[n + k] = c[k] | d[k] << 32;
    }
};

template <class Row>
using element_of = std::remove_cv_t<typename std::remove_cvref_t<Row>::value_type>;

// The elements of a row that belong to lane i.
template <class Row>
struct lane_of_row {
    Row const& row;
    std::size_t i;
    constexpr std::size_t size() const { return static_cast<std::size_t>(row.size()); }
    constexpr auto operator[](std::size_t k) const { return lane(element_of<Row>(row[k]), i); }
};
template <class Row>
lane_of_row(Row const&, std::size_t) -> lane_of_row<Row>;

} // namespace detail

/// out_k = draw(address with index + k), for example `fill(where, row, [](auto a) { return normal<float>(a); })`.
template <class Row, class Draw>
constexpr void fill(address where, Row&& out, Draw const& draw) {
    auto const n = static_cast<std::size_t>(out.size());
    for (std::size_t k = 0; k < n; ++k) {
        out[k] = draw(where);
        ++where.index;
    }
}

} // namespace poise::random
