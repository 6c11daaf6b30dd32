#pragma once

#include <xsimd/xsimd.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace poise::detail {

template <class T>
struct exponential;

template <>
struct exponential<float> {
    // e^r = 1 + r + r^2 q(r) for |r| <= log(2) / 2; q minimises the greatest relative error (3.1e-9)
    static constexpr std::array q = {0x1.fffffcp-2F, 0x1.555492p-3F, 0x1.5558f2p-5F, 0x1.123a2p-7F, 0x1.6a23dp-10F};
    static constexpr float log2_high = 0x1.62e4p-1F, log2_low = 0x1.7f7d1cp-20F;
    static constexpr float least = -104.F, greatest = 89.F; // beyond them e^x is 0 or infinite
};

template <>
struct exponential<double> {
    // the same, greatest relative error 3.6e-18
    static constexpr std::array q = {0x1.000000000000ap-1,  0x1.55555555554f9p-3,  0x1.555555555083ep-5,
                                     0x1.1111111127d0ep-7,  0x1.6c16c18438b11p-10, 0x1.a01a012a0f35cp-13,
                                     0x1.a01999e26209fp-16, 0x1.71df25b30d420p-19, 0x1.28ad9b8648615p-22,
                                     0x1.ad7f3ee5d2f80p-26};
    static constexpr double log2_high = 0x1.62e42fefa3800p-1, log2_low = 0x1.ef35793c76730p-45;
    static constexpr double least = -746, greatest = 710;
};

/// x = k log 2 + r with k the nearest integer to x / log 2; p = e^r - 1.
template <class T>
struct reduced_exponent {
    using pack = xsimd::batch<T>;
    using bits = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
    using integer = xsimd::batch<bits>;
    static constexpr auto fraction_bits = std::numeric_limits<T>::digits - 1;
    // Added to a small number it leaves the nearest integer in the lowest bits.
    static constexpr auto rounding = T(1.5) * static_cast<T>(bits(1) << fraction_bits);

    pack k, p;
    integer k_bits;

    explicit reduced_exponent(pack x) {
        using constants = exponential<T>;
        auto const rounded = xsimd::fma(x, pack(T(1.44269504088896340736L)), pack(rounding));
        k = rounded - pack(rounding);
        k_bits = std::bit_cast<integer>(rounded);
        auto const r = xsimd::fnma(k, pack(constants::log2_low), xsimd::fnma(k, pack(constants::log2_high), x));
        auto q = pack(constants::q.back());
        for (auto i = constants::q.size() - 1; i-- > 0;) q = xsimd::fma(q, r, pack(constants::q[i]));
        p = xsimd::fma(r * r, q, r);
    }
    /// Of an integer in the lowest bits.
    static pack power_of_two(integer k) {
        return std::bit_cast<pack>((k << fraction_bits) + integer(std::bit_cast<bits>(T(1))));
    }
};

/// e^x = 2^k e^r. At most 1.1 ULP from the exact value, down to the subnormal numbers and up to the largest; NaN for
/// NaN.
template <class T>
xsimd::batch<T> packed_exp(xsimd::batch<T> x) {
    using pack = xsimd::batch<T>;
    using reduced = reduced_exponent<T>;
    using constants = exponential<T>;
    x = xsimd::min(pack(constants::greatest), xsimd::max(pack(constants::least), x)); // in this order NaN stays
    auto const e = reduced(x);
    // In two factors, because 2^k itself may be no normal number where e^x is one.
    auto const half = std::bit_cast<typename reduced::integer>(xsimd::fma(e.k, pack(T(0.5)), pack(reduced::rounding)));
    return (e.p + pack(T(1))) * reduced::power_of_two(half) * reduced::power_of_two(e.k_bits - half);
}

/// e^x - 1 = 2^k (e^r - 1) + 2^k - 1. At most 2 ULP from the exact value.
template <class T>
xsimd::batch<T> packed_expm1(xsimd::batch<T> x) {
    using pack = xsimd::batch<T>;
    using reduced = reduced_exponent<T>;
    // e^least rounds away beside 1; above, twice 2^(k - 1), as 2^k itself may be infinite.
    constexpr auto least = T(-std::numeric_limits<T>::digits);
    auto const e =
        reduced(xsimd::min(pack(exponential<T>::greatest), xsimd::max(pack(least), x))); // in this order NaN stays
    auto const scale = reduced::power_of_two(e.k_bits - typename reduced::integer(1));
    auto const result = xsimd::fma(scale, e.p, scale - pack(T(0.5)));
    return xsimd::select(x == pack(T(0)), x, result + result); // -0 stays
}

/// tanh |x| = m / (m + 2), m = e^(2 |x|) - 1. At most 2.6 ULP from the exact value.
template <class T>
xsimd::batch<T> packed_tanh(xsimd::batch<T> x) {
    using pack = xsimd::batch<T>;
    using reduced = reduced_exponent<T>;
    constexpr auto greatest = T(std::numeric_limits<T>::digits); // tanh is 1 long before
    auto const sign = x & pack(T(-0.0));
    auto const y = xsimd::min(pack(greatest), x ^ sign); // in this order NaN stays
    auto const e = reduced(y + y);
    auto const scale = reduced::power_of_two(e.k_bits);
    auto const m = xsimd::fma(scale, e.p, scale - pack(T(1)));
    return (m / (m + pack(T(2)))) | sign;
}

} // namespace poise::detail
