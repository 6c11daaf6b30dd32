#pragma once

#include "poise/core/scalar.hpp"

#include <array>
#include <cstddef>
#include <limits>
#include <ranges>
#include <type_traits>

namespace poise {

/// The length or stride of a row that is known at run time only.
inline constexpr std::size_t dynamic = std::numeric_limits<std::size_t>::max();

namespace detail {

/// A number that the type may know, which then takes no memory. (`Which` tells two of one row apart.)
template <std::size_t Value, int Which>
struct static_or_dynamic {
    constexpr explicit static_or_dynamic(std::size_t) {}
    constexpr operator std::size_t() const { return Value; }
};
template <int Which>
struct static_or_dynamic<dynamic, Which> {
    std::size_t value;
    constexpr explicit static_or_dynamic(std::size_t number) : value(number) {}
    constexpr operator std::size_t() const { return value; }
};

} // namespace detail

/// A view of one row: `size()` elements, `stride()` apart. A length (and stride) given in the type costs nothing at run
/// time and lets loops unroll. The scalar is `float`, `double`, a dual number, or in constant expressions any of them.
template <class T, std::size_t Extent = dynamic, std::size_t Stride = 1>
class row {
public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    static constexpr std::size_t extent = Extent;

    constexpr row(T* data, std::size_t size = Extent, std::size_t stride = Stride)
        : data_(data), size_(size), stride_(stride) {}

    template <std::ranges::contiguous_range Range>
        requires(std::ranges::sized_range<Range> &&
                 std::is_convertible_v<std::remove_reference_t<std::ranges::range_reference_t<Range>> (*)[], T (*)[]>)
    constexpr row(Range&& range) : data_(std::ranges::data(range)), size_(std::ranges::size(range)), stride_(1) {}

    /// The same elements, seen by a type that knows less: as read only, or with a length or stride of run time.
    template <class Other, std::size_t OtherExtent, std::size_t OtherStride>
        requires((std::is_same_v<Other, T> || std::is_same_v<Other const, T>) &&
                 (Extent == OtherExtent || Extent == dynamic) && (Stride == OtherStride || Stride == dynamic))
    constexpr row(row<Other, OtherExtent, OtherStride> const& other)
        : data_(other.data()), size_(other.size()), stride_(other.stride()) {}

    constexpr T* data() const { return data_; }
    constexpr std::size_t size() const { return size_; }
    constexpr std::size_t stride() const { return stride_; }
    constexpr T& operator[](std::size_t k) const { return data_[k * stride()]; }

private:
    T* data_;
    [[no_unique_address]] detail::static_or_dynamic<Extent, 0> size_;
    [[no_unique_address]] detail::static_or_dynamic<Stride, 1> stride_;
};

template <std::ranges::contiguous_range Range>
row(Range&&) -> row<std::remove_reference_t<std::ranges::range_reference_t<Range>>>;
template <class T, std::size_t N>
row(std::array<T, N>&) -> row<T, N>;
template <class T, std::size_t N>
row(std::array<T, N> const&) -> row<T const, N>;

/// The elements of a row from the last to the first, for scans that run backwards.
template <class Row>
class reversed_row {
public:
    using value_type = typename Row::value_type;
    static constexpr std::size_t extent = Row::extent;

    constexpr explicit reversed_row(Row base) : base_(base) {}
    constexpr std::size_t size() const { return base_.size(); }
    constexpr decltype(auto) operator[](std::size_t k) const { return base_[size() - 1 - k]; }

private:
    Row base_;
};

template <class Row>
constexpr reversed_row<Row> reversed(Row base) {
    return reversed_row<Row>(base);
}

/// The virtual row 0, 1, 2, … of a row's own indices, as reals.
template <class Real>
class index_row {
public:
    using value_type = Real;
    static constexpr std::size_t extent = dynamic;

    constexpr explicit index_row(std::size_t size) : size_(size) {}
    constexpr std::size_t size() const { return size_; }
    constexpr Real operator[](std::size_t k) const { return Real(k); }

private:
    std::size_t size_;
};

template <class Row>
constexpr auto indices_of(Row const& row) {
    return index_row<real_of<typename Row::value_type>>(row.size());
}

/// A sequence of scalars that formulas read: `row`, a row of SIMD lanes, a row dealt out in packs, a lazy one.
template <class R>
concept row_of_reals = scalar<typename R::value_type> && requires(R const& r, std::size_t k) {
    { r.size() } -> std::convertible_to<std::size_t>;
    { R::extent } -> std::convertible_to<std::size_t>;
    { r[k] } -> std::convertible_to<typename R::value_type>;
};

/// A row whose elements formulas may write. (A pack that was read can be assigned to, which would write nothing.)
template <class R>
concept writable_row = row_of_reals<R> && requires(R const& r, std::size_t k, typename R::value_type value) {
    r[k] = value;
    requires !std::same_as<decltype(r[k]), typename R::value_type>;
};

/// A row whose elements are consecutive in memory and are processed in packs *along* the row; see execution/simd.hpp.
template <class R>
concept packed_row = R::packed;

/// The scalar of a row.
template <class R>
using value_of = typename std::remove_cvref_t<R>::value_type;

/// The length that rows used together share: static if any of them states it.
template <class... Rows>
inline constexpr std::size_t common_extent = [] {
    auto extent = dynamic;
    ((extent = extent == dynamic ? std::remove_cvref_t<Rows>::extent : extent), ...);
    return extent;
}();

/// Rows none of which states a length other than another's.
template <class... Rows>
concept rows_of_equal_length =
    ((std::remove_cvref_t<Rows>::extent == dynamic || std::remove_cvref_t<Rows>::extent == common_extent<Rows...>) &&
     ...);

/// The value of a concept, for a static_assert whose message says all: a concept itself would be explained clause by
/// clause.
template <bool Holds>
inline constexpr bool satisfied = Holds;

} // namespace poise
