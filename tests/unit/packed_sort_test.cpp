#include "poise/execution/simd.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace {

using namespace poise;

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

template <class T, class Direction>
std::vector<std::size_t> along_order(std::vector<T> keys) {
    auto const n = keys.size();
    auto memory = std::vector<T>((argsort_scratch + 1) * n);
    auto const scratch_row = [&](std::size_t i) { return along_row<T>(memory.data() + i * n, n, 1); };
    auto const scratch = std::array{scratch_row(0), scratch_row(1), scratch_row(2), scratch_row(3)};
    auto const order = scratch_row(4);
    argsort(order, along_row<T>(keys.data(), n, 1), Direction{}, scratch);
    auto result = std::vector<std::size_t>(n);
    for (std::size_t k = 0; k < n; ++k) result[k] = static_cast<std::size_t>(order[k]);
    return result;
}

template <class T, class Direction>
std::vector<std::size_t> stable_order(std::vector<T> const& keys) {
    auto order = std::vector<std::size_t>(keys.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return Direction::before(keys[a], keys[b]); });
    return order;
}

/// Rows that are easy and rows that are hard for a radix sort of the leading digits.
template <class T>
std::vector<std::vector<T>> rows_to_sort(std::size_t n, std::mt19937& draw) {
    auto normal = std::normal_distribution<double>{};
    auto rows = std::vector<std::vector<T>>{};
    auto const add = [&](auto const& value) {
        auto row = std::vector<T>(n);
        for (std::size_t k = 0; k < n; ++k) row[k] = T(value(k));
        rows.push_back(row);
    };
    add([&](std::size_t) { return normal(draw); });
    add([&](std::size_t) { return std::exp(20 * normal(draw)); });
    add([&](std::size_t) { return 1 + 1e-5 * normal(draw); }); // equal leading digits
    add([&](std::size_t k) { return 1 + double(n - k) * double(std::numeric_limits<T>::epsilon()); }); // and reversed
    add([&](std::size_t) { return double(draw() % 3) - 1; });                                          // ties
    add([&](std::size_t) { return draw() % 2 == 0 ? 0.0 : -0.0; });                                    // all equal
    add([&](std::size_t k) { return k % 7 == 0 ? double(infinity<T>) : k % 7 == 1 ? -double(infinity<T>) : 1.0; });
    add([&](std::size_t) { return double(std::numeric_limits<T>::denorm_min()) * double(draw() % 1000); });
    return rows;
}

template <class T>
void check_sizes() {
    auto draw = std::mt19937{1};
    for (auto n : {1, 2, 63, 64, 65, 257, 1000, 5000})
        for (auto const& row : rows_to_sort<T>(static_cast<std::size_t>(n), draw)) {
            CHECK(along_order<T, ascending>(row) == stable_order<T, ascending>(row));
            CHECK(along_order<T, descending>(row) == stable_order<T, descending>(row));
        }
}

/// Prefix sums of exponentials relative to their own maximum, in long double.
template <class T>
void check_cumulative_log_sum_exp(std::vector<T> const& in, double tolerance) {
    auto copy = in, out = std::vector<T>(in.size());
    cumulative_log_sum_exp(along_row<T>(out.data(), out.size(), 1), along_row<T>(copy.data(), copy.size(), 1));
    auto greatest = -std::numeric_limits<long double>::infinity(), total = 0.0L;
    for (std::size_t k = 0; k < in.size(); ++k) {
        auto const x = static_cast<long double>(in[k]);
        if (std::isnan(total) || std::isnan(x))
            total = std::numeric_limits<long double>::quiet_NaN();
        else if (std::isinf(x) && x > 0)
            greatest = x;
        else if (x > greatest)
            total = total * std::exp(greatest - x) + 1, greatest = x;
        else if (!std::isinf(x) && !std::isinf(greatest))
            total += std::exp(x - greatest);
        auto const expected = std::isinf(greatest) && !std::isnan(total) ? greatest : greatest + std::log(total);
        CAPTURE(k);
        if (std::isnan(expected))
            CHECK(std::isnan(out[k]));
        else if (std::isinf(expected))
            CHECK(out[k] == static_cast<T>(expected));
        else
            CHECK(std::abs(static_cast<double>(out[k] - expected)) <= tolerance * (1 + std::abs(double(expected))));
    }
}

template <class T>
void check_scans(double tolerance) {
    auto draw = std::mt19937{2};
    auto normal = std::normal_distribution<double>{};
    for (auto scale : {1.0, 30.0, 1000.0}) {
        auto row = std::vector<T>(1000);
        for (auto& x : row) x = T(scale * normal(draw));
        check_cumulative_log_sum_exp(row, tolerance);
        std::sort(row.begin(), row.end());
        check_cumulative_log_sum_exp(row, tolerance);
        std::reverse(row.begin(), row.end());
        check_cumulative_log_sum_exp(row, tolerance);
        for (std::size_t k = 0; k < 40; ++k) row[k] = -infinity<T>; // nothing yet, then far below and above 0
        row[40] = T(-800);
        check_cumulative_log_sum_exp(row, tolerance);
        row[700] = infinity<T>;
        check_cumulative_log_sum_exp(row, tolerance);
        row[300] = std::numeric_limits<T>::quiet_NaN();
        check_cumulative_log_sum_exp(row, tolerance);
    }
}

} // namespace

TEST_CASE("argsort along a row is the stable sort") {
    check_sizes<float>();
    check_sizes<double>();
}

TEST_CASE("cumulative log-sum-exp along a row agrees with long double") {
    check_scans<double>(1e-13);
    check_scans<float>(3e-5); // 1000 additions in float
}
