#pragma once

#include "poise/random/address.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

/// The ten rounds of Philox4x32 on many counters {a_k, b_k, c_k, d_k}, each 32-bit word in 64 bits, as its products are.
/// The upper halves of what comes are not cleared.
template <std::size_t n>
constexpr void philox_rounds(std::uint64_t seed, std::array<std::uint64_t, n>& a, std::array<std::uint64_t, n>& b,
                             std::array<std::uint64_t, n>& c, std::array<std::uint64_t, n>& d) {
    auto const rounds = [seed](auto& a_, auto& b_, auto& c_, auto& d_, auto const& product) {
        auto key_0 = static_cast<std::uint32_t>(seed), key_1 = static_cast<std::uint32_t>(seed >> 32);
        for (int round = 0; round < 10; ++round) {
            auto const product_0 = product(a_, PHILOX_M4x32_0), product_1 = product(c_, PHILOX_M4x32_1);
            a_ = (product_1 >> 32) ^ b_ ^ key_0;
            b_ = product_1;
            c_ = (product_0 >> 32) ^ d_ ^ key_1;
            d_ = product_0;
            key_0 += PHILOX_W32_0;
            key_1 += PHILOX_W32_1;
        }
    };
#if defined(__AVX2__)
    if constexpr (n % 4 == 0) {
        if (!std::is_constant_evaluated()) {
            // By name: compilers take products with constants apart, into five times as many instructions.
            typedef std::uint64_t four __attribute__((vector_size(32)));
            auto const product = [](four x, std::uint32_t m) {
                return reinterpret_cast<four>(_mm256_mul_epu32(reinterpret_cast<__m256i>(x), _mm256_set1_epi64x(m)));
            };
            for (std::size_t k = 0; k < n; k += 4) {
                four part[4];
                std::memcpy(&part[0], &a[k], sizeof(four));
                std::memcpy(&part[1], &b[k], sizeof(four));
                std::memcpy(&part[2], &c[k], sizeof(four));
                std::memcpy(&part[3], &d[k], sizeof(four));
                rounds(part[0], part[1], part[2], part[3], product);
                std::memcpy(&a[k], &part[0], sizeof(four));
                std::memcpy(&b[k], &part[1], sizeof(four));
                std::memcpy(&c[k], &part[2], sizeof(four));
                std::memcpy(&d[k], &part[3], sizeof(four));
            }
            return;
        }
    }
#endif
    auto const product = [](std::uint64_t x, std::uint32_t m) { return (x & 0xffffffff) * m; };
    for (std::size_t k = 0; k < n; ++k) rounds(a[k], b[k], c[k], d[k], product);
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

    /// Words first_block * 2 … + count - 1, by Philox4x32-10.
    [[gnu::noinline]] constexpr words_of_lanes(address where, std::size_t first_block) {
        constexpr auto n = blocks * Lanes;
        constexpr auto low = std::uint64_t{0xffffffff};
        auto a = std::array<std::uint64_t, n>{}, b = a, c = a, d = a;
        for (std::size_t k = 0; k < n; ++k) {
            a[k] = first_block + k / Lanes;
            b[k] = where.index;
            c[k] = where.step;
            d[k] = replica_of_lane(where, k % Lanes).replica;
        }
        philox_rounds(where.seed, a, b, c, d);
        for (std::size_t k = 0; k < n; ++k) all[k] = (a[k] & low) | b[k] << 32;
        for (std::size_t k = 0; k < n; ++k) all[n + k] = (c[k] & low) | d[k] << 32;
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
