#include "everywhere.hpp"

#include "poise/core/packed_scan.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace {

using namespace poise;
using everywhere::infinity;
using everywhere::nan;
using everywhere::table;

struct all_scans {
    constexpr void operator()(row_of_reals auto x, row_of_reals auto factor, writable_row auto sums,
                              writable_row auto maxima, writable_row auto log_sums, writable_row auto recurrence,
                              writable_row auto backward_sums, writable_row auto backward_log_sums,
                              writable_row auto backward_recurrence) const {
        cumulative_sum(sums, x);
        scan(maxima, operation::maximum{}, x);
        cumulative_log_sum_exp(log_sums, x);
        linear_recurrence(recurrence, factor, x);
        cumulative_sum(reversed(backward_sums), reversed(x));
        cumulative_log_sum_exp(reversed(backward_log_sums), reversed(x));
        linear_recurrence(reversed(backward_recurrence), reversed(factor), reversed(x));
    }
};
constexpr std::size_t results = 7;

/// The seven rows of `all_scans` by plain loops in extended precision.
std::array<std::vector<double>, results> naive(std::vector<double> x, std::vector<double> factor) {
    using real = long double;
    auto expected = std::array<std::vector<double>, results>{};
    auto const run = [&](bool log_of_sum, bool maximum, bool recurrence) {
        auto out = std::vector<double>();
        real state = 0, above = -std::numeric_limits<real>::infinity(), exponentials = 0;
        for (std::size_t k = 0; k < x.size(); ++k) {
            state = recurrence ? factor[k] * state + x[k] : state + x[k];
            auto const higher = std::max(above, static_cast<real>(x[k]));
            if (log_of_sum && std::isfinite(higher)) {
                exponentials = exponentials == 0 ? 0 : exponentials * std::exp(above - higher);
                exponentials += std::exp(x[k] - higher);
            }
            above = higher;
            auto const log_total = exponentials == 0 ? above : above + std::log(exponentials);
            out.push_back(static_cast<double>(log_of_sum ? log_total : maximum ? above : state));
        }
        return out;
    };
    auto const flip = [](std::vector<double> v) {
        std::reverse(v.begin(), v.end());
        return v;
    };
    expected[0] = run(false, false, false);
    expected[1] = run(false, true, false);
    expected[2] = run(true, false, false);
    expected[3] = run(false, false, true);
    x = flip(x), factor = flip(factor);
    expected[4] = flip(run(false, false, false));
    expected[5] = flip(run(true, false, false));
    expected[6] = flip(run(false, false, true));
    return expected;
}

template <class T, class Layout>
void check_scans(table const& x, double tolerance) {
    auto factors = everywhere::random_table(x.rows, x.length, 77, 0.4);
    auto const stored_x = everywhere::stored<T, Layout>(x), stored_factor = everywhere::stored<T, Layout>(factors);
    everywhere::in_every_execution([&](auto execution, std::string const& name) {
        auto out = std::vector(results, everywhere::stored<T, Layout>(x.rows, x.length));
        for_each_row(execution, all_scans{}, stored_x.input(), stored_factor.input(), out[0].output(), out[1].output(),
                     out[2].output(), out[3].output(), out[4].output(), out[5].output(), out[6].output());
        auto wrong = std::string();
        for (std::size_t i = 0; i < x.rows; ++i) {
            auto const expected = naive(x.row(i), factors.row(i));
            for (std::size_t r = 0; r < results; ++r)
                for (std::size_t k = 0; k < x.length; ++k)
                    if (!everywhere::close(out[r](i, k), expected[r][k], tolerance))
                        wrong += " result " + std::to_string(r) + " row " + std::to_string(i) + " element " +
                                 std::to_string(k) + ": " + std::to_string(out[r](i, k)) + " for " +
                                 std::to_string(expected[r][k]);
        }
        CAPTURE(name);
        CAPTURE(x.length);
        CHECK(wrong == "");
    });
}

template <class T, class Layout>
void check_all_lengths() {
    for (auto const rows : everywhere::row_counts)
        for (auto const length : everywhere::lengths)
            check_scans<T, Layout>(everywhere::random_table(rows, length, 3 + length),
                                   everywhere::tolerance<T> * (1 + std::sqrt(static_cast<double>(length))) * 4);
}

TEST_CASE("scans agree with plain loops in every execution and layout") {
    SUBCASE("double, row-contiguous") { check_all_lengths<double, row_contiguous>(); }
    SUBCASE("double, interleaved") { check_all_lengths<double, interleaved>(); }
    SUBCASE("float, row-contiguous") { check_all_lengths<float, row_contiguous>(); }
}

struct log_sums_only {
    constexpr void operator()(row_of_reals auto in, writable_row auto out) const { cumulative_log_sum_exp(out, in); }
};

TEST_CASE_TEMPLATE("prefixes far apart: each is shifted by its own maximum", T, double, float) {
    // Far below the row's maximum a prefix must not vanish: log(e^-1000 + e^-1001 + …), then a 1000, then back.
    for (auto const length : everywhere::sizes(3, 9, 65, 1000)) {
        auto x = table{3, length};
        for (std::size_t k = 0; k < length; ++k) {
            x(0, k) = k + 1 < length ? -1000 - 0.25 * static_cast<double>(k % 7) : 1000;
            x(1, k) = k == 0 ? 1000 : -1000;
            x(2, k) = k % 3 == 0 ? -infinity : static_cast<double>(k % 5);
        }
        auto const stored = everywhere::stored<T, row_contiguous>(x);
        everywhere::in_every_execution([&](auto execution, std::string const& name) {
            auto result = everywhere::stored<T, row_contiguous>(3, length);
            for_each_row(execution, log_sums_only{}, stored.input(), result.output());
            CAPTURE(name);
            for (std::size_t i = 0; i < 3; ++i) {
                auto const expected = naive(x.row(i), x.row(i))[2];
                auto wrong = std::size_t{0};
                for (std::size_t k = 0; k < length; ++k)
                    wrong += !everywhere::close(result(i, k), expected[k], 2 * everywhere::tolerance<T>);
                CAPTURE(i);
                CHECK(wrong == 0);
            }
        });
    }
}

TEST_CASE("a NaN stays in the prefixes from its place on") {
    for (auto const length : everywhere::sizes(2, 9, 65, 300)) {
        auto x = everywhere::random_table(2, length, 5);
        x(1, length / 2) = nan;
        auto const stored = everywhere::stored<double, row_contiguous>(x);
        everywhere::in_every_execution([&](auto execution, std::string const& name) {
            auto out = std::vector(results, everywhere::stored<double, row_contiguous>(2, length));
            for_each_row(execution, all_scans{}, stored.input(), stored.input(), out[0].output(), out[1].output(),
                         out[2].output(), out[3].output(), out[4].output(), out[5].output(), out[6].output());
            CAPTURE(name);
            CAPTURE(length);
            for (std::size_t r = 0; r < 4; ++r) {
                CAPTURE(r);
                auto wrong = std::size_t{0};
                for (std::size_t k = 0; k < length; ++k) {
                    wrong += std::isnan(out[r](1, k)) != (k >= length / 2);
                    wrong += std::isnan(out[r](0, k));
                }
                CHECK(wrong == 0);
            }
        });
    }
}

TEST_CASE("scans may be in place") {
    auto values = std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9};
    auto const along = along_row<double>(values.data(), values.size());
    cumulative_sum(along, along);
    CHECK(values == std::vector<double>{1, 3, 6, 10, 15, 21, 28, 36, 45});
    cumulative_sum(reversed(row(values)), reversed(row(values)));
    CHECK(values.front() == 165);
}

} // namespace
