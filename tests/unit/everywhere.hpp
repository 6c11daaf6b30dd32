#pragma once

#include "poise/execution/parallel.hpp"
#include "poise/random/continuous.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

/// What the tests of the core share: random tables, the same table in every layout, every execution.
namespace everywhere {

inline constexpr auto infinity = std::numeric_limits<double>::infinity();
inline constexpr auto nan = std::numeric_limits<double>::quiet_NaN();

/// About a pack, a tile, a leaf of pairwise sums: below, at and above.
inline constexpr std::size_t lengths[] = {0, 1, 2, 7, 8, 9, 63, 64, 65, 1000};
template <class... Integers>
constexpr auto sizes(Integers... n) {
    return std::array{static_cast<std::size_t>(n)...};
}
inline constexpr std::size_t row_counts[] = {1, 5, 67};

/// Rows of numbers in `double`, the reference for all.
struct table {
    std::size_t rows;
    std::size_t length;
    std::vector<double> values = std::vector<double>(rows * length);

    double& operator()(std::size_t i, std::size_t k) { return values[i * length + k]; }
    double operator()(std::size_t i, std::size_t k) const { return values[i * length + k]; }
    std::vector<double> row(std::size_t i) const {
        return {values.begin() + static_cast<std::ptrdiff_t>(i * length),
                values.begin() + static_cast<std::ptrdiff_t>((i + 1) * length)};
    }
};

/// Normal numbers that are exact in `float`.
inline table random_table(std::size_t rows, std::size_t length, std::uint64_t seed, double scale = 3) {
    auto made = table{rows, length};
    for (std::size_t k = 0; k < made.values.size(); ++k) {
        auto const where = poise::random::address{.seed = seed, .index = static_cast<std::uint32_t>(k)};
        made.values[k] = static_cast<float>(scale * poise::random::normal<double>(where));
    }
    return made;
}

/// A table of T in memory of the given layout, with gaps between the rows and elements where it is strided.
template <class T, class Layout>
class stored {
public:
    stored(std::size_t rows, std::size_t length)
        : rows_(rows), length_(length), memory_(3 * rows * length + 2 * rows + 1, T(-12345)) {}
    explicit stored(table const& values) : stored(values.rows, values.length) {
        for (std::size_t i = 0; i < rows_; ++i)
            for (std::size_t k = 0; k < length_; ++k) output()(i, k) = static_cast<T>(values(i, k));
    }
    auto output() { return view(memory_.data()); }
    auto input() const { return view(memory_.data()); }
    double operator()(std::size_t i, std::size_t k) const { return static_cast<double>(input()(i, k)); }

private:
    template <class Element>
    auto view(Element* data) const {
        if constexpr (std::is_same_v<Layout, poise::row_contiguous>)
            return poise::rows_of(data, rows_, length_);
        else if constexpr (std::is_same_v<Layout, poise::interleaved>)
            return poise::interleaved_rows_of(data, rows_, length_);
        else
            return poise::strided_rows_of(data, rows_, length_, 3 * length_ + 2, 3);
    }

    std::size_t rows_;
    std::size_t length_;
    std::vector<T> memory_;
};

namespace execution = poise::execution;
using executions = std::tuple<execution::sequential, execution::in_lanes, execution::along, execution::simd,
                              execution::parallel<execution::simd>, execution::parallel<execution::in_lanes>>;
inline std::array<std::string, std::tuple_size_v<executions>> const execution_names = {
    "sequential", "in_lanes", "along", "simd", "parallel<simd>", "parallel<in_lanes>"};

/// test(execution, its name) for every one.
template <class Test>
void in_every_execution(Test const& test) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (test(std::tuple_element_t<I, executions>{}, execution_names[I]), ...);
    }(std::make_index_sequence<std::tuple_size_v<executions>>{});
}

/// |a - e| <= tolerance (1 + |e|); infinities and NaN exactly.
inline bool close(double actual, double expected, double tolerance) {
    if (std::isnan(expected)) return std::isnan(actual);
    if (std::isinf(expected)) return actual == expected;
    return std::abs(actual - expected) <= tolerance * (1 + std::abs(expected));
}
template <class T>
inline constexpr double tolerance = std::is_same_v<T, float> ? 2e-5 : 2e-13;

} // namespace everywhere
