#pragma once

#include "poise/core/lane_exp.hpp"
#include "poise/core/math.hpp"

#include <xsimd/xsimd.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace poise {

/// Which elements of a pack a comparison holds for.
template <std::floating_point T>
class lane_mask;

/// A SIMD pack: one scalar per lane, as many as the widest register of the target holds. Only this header and
/// lane_exp.hpp touch the SIMD library (xsimd 8.1 or later).
template <std::floating_point T>
class lanes {
public:
    using pack = xsimd::batch<T>;
    static constexpr std::size_t size = pack::size;

    lanes() = default;
    lanes(T value) : pack_(value) {}
    lanes(pack value) : pack_(value) {}
    template <class Number>
        requires(std::is_arithmetic_v<Number> && !std::same_as<Number, T>)
    explicit lanes(Number value) : pack_(static_cast<T>(value)) {}

    static lanes load(T const* from) { return pack::load_unaligned(from); }
    void store(T* to) const { pack_.store_unaligned(to); }
    /// first, first + 1, first + 2, …
    static lanes iota(T first) {
        auto values = std::array<T, size>{};
        for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<T>(i);
        return load(values.data()) + lanes(first);
    }
    std::array<T, size> to_array() const {
        auto values = std::array<T, size>{};
        store(values.data());
        return values;
    }
    T operator[](std::size_t lane) const { return to_array()[lane]; }
    pack const& native() const { return pack_; }

    lanes operator-() const { return -pack_; }
    friend lanes operator+(lanes a, lanes b) { return a.pack_ + b.pack_; }
    friend lanes operator-(lanes a, lanes b) { return a.pack_ - b.pack_; }
    friend lanes operator*(lanes a, lanes b) { return a.pack_ * b.pack_; }
    friend lanes operator/(lanes a, lanes b) { return a.pack_ / b.pack_; }
    lanes& operator+=(lanes b) { return *this = *this + b; }
    lanes& operator-=(lanes b) { return *this = *this - b; }
    lanes& operator*=(lanes b) { return *this = *this * b; }
    lanes& operator/=(lanes b) { return *this = *this / b; }

    friend lane_mask<T> operator==(lanes a, lanes b) { return a.pack_ == b.pack_; }
    // Not the pack's own !=, which for AVX is false where either is NaN (xsimd 8.1).
    friend lane_mask<T> operator!=(lanes a, lanes b) { return ~(a.pack_ == b.pack_); }
    friend lane_mask<T> operator<(lanes a, lanes b) { return a.pack_ < b.pack_; }
    friend lane_mask<T> operator<=(lanes a, lanes b) { return a.pack_ <= b.pack_; }
    friend lane_mask<T> operator>(lanes a, lanes b) { return a.pack_ > b.pack_; }
    friend lane_mask<T> operator>=(lanes a, lanes b) { return a.pack_ >= b.pack_; }

private:
    pack pack_;
};

template <std::floating_point T>
class lane_mask {
public:
    using value_type = lanes<T>;
    using pack = xsimd::batch_bool<T>;

    lane_mask() = default;
    lane_mask(bool value) : mask_(value) {}
    lane_mask(pack value) : mask_(value) {}
    pack const& native() const { return mask_; }

    friend lane_mask operator&(lane_mask a, lane_mask b) { return a.mask_ & b.mask_; }
    friend lane_mask operator|(lane_mask a, lane_mask b) { return a.mask_ | b.mask_; }
    friend lane_mask operator^(lane_mask a, lane_mask b) { return a.mask_ ^ b.mask_; }
    friend lane_mask operator!(lane_mask a) { return ~a.mask_; }
    friend bool any(lane_mask a) { return xsimd::any(a.mask_); }
    friend bool all(lane_mask a) { return xsimd::all(a.mask_); }

private:
    pack mask_;
};

namespace detail {

/// Copies to memory that will not be read again soon, past the caches: no read for ownership, nothing evicted.
template <std::floating_point T>
void stream_copy(T const* from, std::size_t count, T* to) {
#if defined(__AVX__) && defined(__GNUC__)
    constexpr auto width = lanes<T>::size;
    constexpr auto alignment = sizeof(T) * width;
    constexpr auto line = std::size_t{64} / sizeof(T); // only whole cache lines, or each would travel twice
    auto k = std::size_t{0};
    for (; k < count && reinterpret_cast<std::uintptr_t>(to + k) % 64 != 0; ++k) to[k] = from[k];
    auto const last = k + (count - k) / line * line;
    for (; k < last; k += width) {
        typedef T native __attribute__((vector_size(alignment)));
        auto pack = native{};
        __builtin_memcpy(&pack, from + k, alignment);
#if defined(__clang__)
        __builtin_nontemporal_store(pack, reinterpret_cast<native*>(to + k));
#elif defined(__AVX512F__)
        if constexpr (sizeof(T) == 4)
            _mm512_stream_ps(to + k, pack);
        else
            _mm512_stream_pd(to + k, pack);
#else
        if constexpr (sizeof(T) == 4)
            _mm256_stream_ps(to + k, pack);
        else
            _mm256_stream_pd(to + k, pack);
#endif
    }
    for (; k < count; ++k) to[k] = from[k];
#else
    for (std::size_t k = 0; k < count; ++k) to[k] = from[k];
#endif
}

/// Orders what `stream_copy` wrote before all that this thread writes after, as other stores are.
inline void stream_fence() {
#if defined(__AVX__) && defined(__GNUC__)
    _mm_sfence();
#endif
}

} // namespace detail

template <std::floating_point T>
struct scalar_traits<lanes<T>> {
    using real = T;
    using mask = lane_mask<T>;
    using V = lanes<T>;

    static V select(mask m, V a, V b) { return xsimd::select(m.native(), a.native(), b.native()); }
    static V abs(V x) { return xsimd::abs(x.native()); }
    // The hardware returns the second operand when either is NaN; only a NaN first operand is then still lost.
    static V max(V a, V b) { return keep_nan(a, xsimd::max(a.native(), b.native())); }
    static V min(V a, V b) { return keep_nan(a, xsimd::min(a.native(), b.native())); }
    static V fma(V a, V b, V c) { return xsimd::fma(a.native(), b.native(), c.native()); }
    static V exp(V x) { return poise::detail::packed_exp(x.native()); }
    static V expm1(V x) { return poise::detail::packed_expm1(x.native()); }
    // The pack's own takes subnormal numbers for larger ones (xsimd 8.1).
    static V log(V x) {
        mask const small = x < V(std::numeric_limits<T>::min());
        constexpr auto scale = T(std::uint64_t(1) << std::numeric_limits<T>::digits);
        V const log_x = xsimd::log(select(small, x * V(scale), x).native());
        return select(small, log_x - V(T(std::numeric_limits<T>::digits * 0.69314718055994530942L)), log_x);
    }
    static V log1p(V x) { return xsimd::log1p(x.native()); }
    static V sqrt(V x) { return xsimd::sqrt(x.native()); }
    static V tanh(V x) { return poise::detail::packed_tanh(x.native()); }
    static V sin(V x) { return xsimd::sin(x.native()); }
    static V cos(V x) { return xsimd::cos(x.native()); }
    // Lane by lane: the pack's own lose up to 16 bits in the tail, and are NaN at the largest numbers (xsimd 8.1).
    static V erf(V x) {
        return lane_by_lane(x, [](T value) { return std::erf(value); });
    }
    static V erfc(V x) {
        return lane_by_lane(x, [](T value) { return std::erfc(value); });
    }
    static V floor(V x) { return xsimd::floor(x.native()); }
    static V pow(V x, V y) {
        V const zero = T(0);
        V const of_zero = select(y > zero, zero, select(y < zero, V(math::infinity<T>), y)); // NaN for a NaN exponent
        return select(y == zero, V(T(1)), select(x == zero, of_zero, xsimd::pow(x.native(), y.native())));
    }
    static V log_gamma(V x) { return math::detail::log_gamma(x); }

private:
    template <class Function>
    static V lane_by_lane(V x, Function const& function) {
        auto values = x.to_array();
        for (auto& value : values) value = function(value);
        return V::load(values.data());
    }
    static V keep_nan(V a, V other) { return select(mask(xsimd::isnan(a.native())), a, other); }
};

} // namespace poise
