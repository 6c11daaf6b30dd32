#pragma once

#include "poise/core/error.hpp"

#include <Random123/philox.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

/// Counter-based random numbers. A draw is a pure function of its address: the same address gives the same bits in
/// every execution, on any number of threads, in any order. There is no state to share, to seek or to save.
namespace poise::random {

/// Where a draw lives. One address is one draw of whatever kind: distinct addresses are independent of each other, two
/// draws at the same address are not. A seed is a key of its own: seeds 0, 1, 2, … give unrelated numbers.
struct address {
    std::uint64_t seed = 0;
    std::uint32_t replica = 0;
    std::uint32_t step = 0;
    std::uint32_t index = 0;

    friend constexpr bool operator==(address const&, address const&) = default;
};

/// The same place in a stream of its own, which no draw of the seed shares: for evaluating what was trained with it.
constexpr address for_evaluation(address where) {
    where.seed = ~where.seed;
    return where;
}

namespace detail {

// Checks at the host's entry points. Device code cannot throw: there a draw with bad arguments is NaN or unspecified.
template <class Error = domain_violation, class Expected, class Came>
constexpr void check(bool holds, char const* function, char const* argument, Expected const& expected,
                     Came const& came) {
#ifndef __CUDA_ARCH__
    if (!holds) poise::detail::reject<Error>(function, argument, expected, came);
#else
    static_cast<void>(holds), static_cast<void>(function), static_cast<void>(argument);
    static_cast<void>(expected), static_cast<void>(came);
#endif
}

constexpr std::uint32_t narrow(std::integral auto value, char const* argument) {
    check<argument_error>(std::in_range<std::uint32_t>(value), "random::generator::at", argument,
                          "an integer from 0 to 4294967295", value);
    return static_cast<std::uint32_t>(value);
}

using counter = std::array<std::uint32_t, 4>;

// Random123's functions are not constexpr, so constant evaluation has its own spelling of the ten rounds.
constexpr counter philox_in_constant_expression(counter c, std::uint64_t key) {
    auto key_0 = static_cast<std::uint32_t>(key), key_1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        auto const product_0 = std::uint64_t{PHILOX_M4x32_0} * c[0], product_1 = std::uint64_t{PHILOX_M4x32_1} * c[2];
        c = {static_cast<std::uint32_t>(product_1 >> 32) ^ c[1] ^ key_0, static_cast<std::uint32_t>(product_1),
             static_cast<std::uint32_t>(product_0 >> 32) ^ c[3] ^ key_1, static_cast<std::uint32_t>(product_0)};
        key_0 += PHILOX_W32_0;
        key_1 += PHILOX_W32_1;
    }
    return c;
}

} // namespace detail

/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) as Random123 has
/// it.
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> const& counter, std::uint64_t key) {
    if (std::is_constant_evaluated()) return detail::philox_in_constant_expression(counter, key);
    auto const block =
        philox4x32_R(10, philox4x32_ctr_t{{counter[0], counter[1], counter[2], counter[3]}},
                     philox4x32_key_t{{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}});
    return {block.v[0], block.v[1], block.v[2], block.v[3]};
}

/// The 64-bit words at one address, in order, for draws that need more than one: rejection loops, permutations. It is a
/// UniformRandomBitGenerator too. An address holds 2^33 words, after which they repeat.
class word_sequence {
public:
    using result_type = std::uint64_t;
    static constexpr result_type min() { return 0; }
    static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

    constexpr explicit word_sequence(address where) : where_(where) {}

    constexpr std::uint64_t operator()() {
        if (second_) {
            second_ = false;
            return second_word_;
        }
        auto const block = philox({next_block_++, where_.index, where_.step, where_.replica}, where_.seed);
        second_ = true;
        second_word_ = join(block[2], block[3]);
        return join(block[0], block[1]);
    }

private:
    static constexpr std::uint64_t join(std::uint32_t low, std::uint32_t high) {
        return low | std::uint64_t{high} << 32;
    }

    address where_;
    std::uint32_t next_block_ = 0;
    bool second_ = false;
    std::uint64_t second_word_ = 0;
};

/// The draws of one replica of an experiment, by step and index (both below 2^32; checked on the host).
struct generator {
    std::uint64_t seed = 0;
    std::uint32_t replica = 0;

    constexpr address at(std::integral auto step, std::integral auto index) const {
        return {seed, replica, detail::narrow(step, "step"), detail::narrow(index, "index")};
    }
    constexpr address at(std::integral auto step) const { return at(step, 0); }
};

} // namespace poise::random
