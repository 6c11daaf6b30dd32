#pragma once

#include "poise/core/dual.hpp"
#include "poise/core/verbs.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/random/random.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <vector>

/// Random rows for the property tests of quantile aggregation: an arbitrary seed gives everything, so a failure is told
/// by one number.
namespace quantile_aggregation_test {

using namespace poise;

/// A property of an arbitrary seed.
template <class Property>
void for_all_seeds(char const* what, Property property) {
    CHECK(rc::check(what, [&] { property(*rc::gen::inRange<std::uint64_t>(0, 1'000'000'000)); }));
}

inline std::size_t integer(std::uint64_t seed, std::size_t stream, std::size_t low, std::size_t high) {
    return low +
           random::uniform_integer(random::address{seed, 1, static_cast<std::uint32_t>(stream), 0}, high - low + 1);
}
inline double unit(std::uint64_t seed, std::size_t stream, std::size_t k = 0) {
    return random::uniform<double>(random::generator{seed, 2}.at(stream, k));
}
/// Normal draws; with `ties`, multiples of 1/2, so that many are equal and their means are exact.
inline std::vector<double> normals(std::uint64_t seed, std::size_t stream, std::size_t n, bool ties = false) {
    auto values = std::vector<double>(n);
    for (std::size_t k = 0; k < n; ++k) {
        values[k] = 2 * random::normal<double>(random::generator{seed, 3}.at(stream, k));
        if (ties) values[k] = math::floor(values[k] * 2) / 2;
    }
    return values;
}
/// Strictly ascending levels in (0, 1).
inline std::vector<double> ascending_levels(std::uint64_t seed, std::size_t m) {
    auto levels = std::vector<double>(m);
    auto total = 0.0;
    for (std::size_t k = 0; k < m; ++k) levels[k] = total += 0.05 + unit(seed, 90, k);
    for (auto& level : levels) level /= total + 0.05 + unit(seed, 90, m);
    return levels;
}
inline std::vector<double> symmetric_levels(std::uint64_t seed, std::size_t m) {
    auto levels = ascending_levels(seed, m);
    for (std::size_t k = 0; k < m / 2; ++k) levels[m - 1 - k] = 1 - (levels[k] *= 0.5 / levels[m / 2]);
    if (m % 2 == 1)
        levels[m / 2] = 0.5;
    else
        for (std::size_t k = 0; k < m / 2; ++k) levels[m - 1 - k] = 1 - (levels[k] *= 0.9);
    return levels;
}

template <class T>
auto one(std::vector<T> const& values) {
    return rows_of(values.data(), 1, values.size());
}
template <class T>
auto one(std::vector<T>& values) {
    return rows_of(values.data(), 1, values.size());
}

inline double dot(std::vector<double> const& a, std::vector<double> const& b) {
    return weighted_sum(row<double const>(a), row<double const>(b));
}
inline double near(double a, double b, double tolerance = 1e-9) {
    return std::abs(a - b) <= tolerance * (1 + std::abs(b));
}

/// Values with the derivative direction beside them.
inline std::vector<dual<double>> along_direction(std::vector<double> const& values,
                                                 std::vector<double> const& direction) {
    auto result = std::vector<dual<double>>(values.size());
    for (std::size_t k = 0; k < values.size(); ++k) result[k] = {values[k], direction[k]};
    return result;
}
inline std::vector<dual<double>> constants(std::vector<double> const& values) {
    return along_direction(values, std::vector<double>(values.size()));
}

} // namespace quantile_aggregation_test
