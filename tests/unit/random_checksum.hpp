#pragma once

#include "poise/random/random.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

/// One number that changes if any bit of any draw does. Its value is the same for every compiler, at every level of
/// optimisation, on the CPU (random_test.cpp) and on the GPU (cuda/random_test.cu).
namespace random_checksum {

inline constexpr std::uint32_t count = 4096;
inline constexpr std::uint64_t expected = 0xd7811b68b36c7b02;

constexpr std::uint64_t mix(std::uint64_t sum, std::uint64_t word) {
    sum ^= word + 0x9e3779b97f4a7c15 + (sum << 6) + (sum >> 2);
    return sum * 0xff51afd7ed558ccd;
}
constexpr std::uint64_t mix(std::uint64_t sum, double x) { return mix(sum, std::bit_cast<std::uint64_t>(x)); }
constexpr std::uint64_t mix(std::uint64_t sum, float x) {
    return mix(sum, std::uint64_t{std::bit_cast<std::uint32_t>(x)});
}

template <class T>
constexpr std::uint64_t of_reals(std::uint64_t sum, poise::random::address at) {
    namespace random = poise::random;
    sum = mix(sum, random::uniform<T>(at));
    sum = mix(sum, random::exponential<T>(at));
    sum = mix(sum, random::gumbel<T>(at));
    for (auto const x : random::normal_pair<T>(at)) sum = mix(sum, x);
    for (auto const shape : {0.01, 0.5, 1.0, 7.25, 1e6}) sum = mix(sum, random::gamma<T>(at, shape));
    sum = mix(sum, random::beta<T>(at, 0.5, 3.0));
    auto const alpha = std::array{0.05, 1.0, 4.5};
    auto weights = std::array<T, 3>{};
    random::dirichlet(at, alpha, weights);
    for (auto const weight : weights) sum = mix(sum, weight);
    sum = mix(sum, std::uint64_t{random::categorical(at, weights)});
    sum = mix(sum, std::uint64_t{random::categorical_from_logits(at, weights)});
    return mix(sum, std::uint64_t{random::bernoulli(at, T(0.3))});
}

/// Of all draws at one address; the sum of these over `count` addresses, in whatever order, is the checksum.
constexpr std::uint64_t of_address(std::uint32_t i) {
    auto const at = poise::random::generator{0x123456789abcdef0, i % 7}.at(i / 3, i);
    auto sum = of_reals<float>(of_reals<double>(i, at), at);
    auto order = std::array<std::uint16_t, 13>{};
    poise::random::permutation(at, order);
    for (auto const k : order) sum = mix(sum, std::uint64_t{k});
    return mix(sum, poise::random::uniform_integer(at, 1000003));
}

inline std::uint64_t on_this_cpu() {
    auto sum = std::uint64_t{0};
    for (std::uint32_t i = 0; i < count; ++i) sum += of_address(i);
    return sum;
}

} // namespace random_checksum
