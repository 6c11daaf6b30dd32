#include "everywhere.hpp"

#include "poise/core/adding_row.hpp"
#include "poise/core/matrix_column.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace {

using namespace poise;
using everywhere::infinity;
using everywhere::nan;
using everywhere::table;

enum summary {
    total,
    average,
    spread,
    sample_spread,
    deviation,
    greatest,
    least,
    logarithm,
    weighted,
    greatest_product,
    by_index,
    uncertainty,
    divergence,
    summary_count
};

/// Every name of `reduce`, and two of `map`.
struct all_verbs {
    constexpr void check(auto const&...) const {} // rows of different lengths are meant
    constexpr void operator()(row_of_reals auto x, row_of_reals auto w, writable_row auto out,
                              writable_row auto probabilities, writable_row auto log_probabilities) const {
        softmax(probabilities, x);
        log_softmax(log_probabilities, x);
        out[total] = sum(x);
        out[average] = mean(x);
        out[spread] = variance(x);
        out[sample_spread] = sample_variance(x);
        out[deviation] = standard_deviation(x);
        out[greatest] = maximum(x);
        out[least] = minimum(x);
        out[logarithm] = log_sum_exp(x);
        out[weighted] = weighted_sum(w, x);
        out[greatest_product] = maximum([](auto a, auto b) { return a * b; }, x, w);
        out[by_index] = sum([](auto a, auto k) { return a * k; }, x, indices_of(x));
        out[uncertainty] = entropy(probabilities);
        out[divergence] = kl_divergence(probabilities, probabilities);
    }
};

struct expectation {
    std::array<double, summary_count> summaries{};
    std::vector<double> probabilities, log_probabilities;
};

/// By plain loops in extended precision.
expectation naive(std::vector<double> const& x, std::vector<double> const& w) {
    using real = long double;
    auto const n = static_cast<real>(x.size());
    auto const above = *std::max_element(x.begin(), x.end());
    real s = 0, product = 0, indexed = 0, exponentials = 0;
    auto best = -std::numeric_limits<real>::infinity();
    for (std::size_t k = 0; k < x.size(); ++k) {
        s += x[k];
        product += static_cast<real>(x[k]) * w[k];
        indexed += static_cast<real>(x[k]) * static_cast<real>(k);
        best = std::max(best, static_cast<real>(x[k]) * w[k]);
        exponentials += std::exp(static_cast<real>(x[k]) - above);
    }
    auto const log_total = above + std::log(exponentials);
    real squares = 0, h = 0;
    auto result = expectation{};
    for (auto const value : x) {
        squares += (value - s / n) * (value - s / n);
        auto const log_p = value - log_total;
        h -= std::exp(log_p) * log_p;
        result.probabilities.push_back(static_cast<double>(std::exp(log_p)));
        result.log_probabilities.push_back(static_cast<double>(log_p));
    }
    auto const as_double = [&](auto... v) { return std::array{static_cast<double>(v)...}; };
    result.summaries =
        as_double(s, s / n, squares / n, x.size() == 1 ? real(nan) : squares / (n - 1), std::sqrt(squares / n), above,
                  *std::min_element(x.begin(), x.end()), log_total, product, best, indexed, h, 0);
    return result;
}

template <class T, class Layout>
void check_verbs(double scale) {
    for (auto const rows : everywhere::row_counts)
        for (auto const length : everywhere::lengths) {
            if (length == 0) continue;
            auto const x = everywhere::random_table(rows, length, 1 + length, scale);
            auto const w = everywhere::random_table(rows, length, 2000 + length, 1);
            auto const stored_x = everywhere::stored<T, Layout>(x), stored_w = everywhere::stored<T, Layout>(w);
            everywhere::in_every_execution([&](auto execution, std::string const& name) {
                auto out = everywhere::stored<T, Layout>(rows, summary_count);
                auto p = everywhere::stored<T, Layout>(rows, length), l = p;
                for_each_row(execution, all_verbs{}, stored_x.input(), stored_w.input(), out.output(), p.output(),
                             l.output());
                auto wrong = std::string();
                for (std::size_t i = 0; i < rows; ++i) {
                    auto const expected = naive(x.row(i), w.row(i));
                    // What a sum may lose grows with its terms, not with its value.
                    auto const tolerance = everywhere::tolerance<T> * (1 + scale);
                    auto const slack = tolerance * static_cast<double>(length);
                    for (std::size_t s = 0; s < summary_count; ++s)
                        if (!everywhere::close(out(i, s), expected.summaries[s],
                                               s == total || s == weighted || s == by_index ? slack : tolerance))
                            wrong += " summary " + std::to_string(s) + " of row " + std::to_string(i) + ": " +
                                     std::to_string(out(i, s)) + " for " + std::to_string(expected.summaries[s]);
                    for (std::size_t k = 0; k < length; ++k) {
                        if (!everywhere::close(p(i, k), expected.probabilities[k], tolerance)) wrong += " softmax";
                        if (!everywhere::close(l(i, k), expected.log_probabilities[k], tolerance))
                            wrong += " log-softmax";
                    }
                }
                CAPTURE(name);
                CAPTURE(rows);
                CAPTURE(length);
                CHECK(wrong == "");
            });
        }
}

TEST_CASE("verbs agree with plain loops in every execution and layout") {
    SUBCASE("double, row-contiguous") { check_verbs<double, row_contiguous>(3); }
    SUBCASE("double, interleaved") { check_verbs<double, interleaved>(3); }
    SUBCASE("double, strided") { check_verbs<double, strided>(3); }
    SUBCASE("float, row-contiguous") { check_verbs<float, row_contiguous>(3); }
    SUBCASE("float, interleaved") { check_verbs<float, interleaved>(3); }
    SUBCASE("logits far apart") { check_verbs<double, row_contiguous>(300); }
}

struct extremes {
    constexpr void check(auto const&...) const {} // rows of different lengths are meant
    constexpr void operator()(row_of_reals auto x, writable_row auto out, writable_row auto probabilities) const {
        out[0] = sum(x);
        out[1] = maximum(x);
        out[2] = minimum(x);
        out[3] = log_sum_exp(x);
        out[4] = mean(x);
        out[5] = variance(x);
        softmax(probabilities, x);
    }
};
constexpr std::size_t extreme_count = 6;

/// Runs `extremes` on one table everywhere and hands each row's results to `test(row, summaries, probabilities)`.
template <class T, class Test>
void run_extremes(table const& x, Test const& test) {
    everywhere::in_every_execution([&](auto execution, std::string const& name) {
        auto const stored = everywhere::stored<T, row_contiguous>(x);
        auto out = everywhere::stored<T, row_contiguous>(x.rows, extreme_count);
        auto p = everywhere::stored<T, row_contiguous>(x.rows, x.length);
        for_each_row(execution, extremes{}, stored.input(), out.output(), p.output());
        CAPTURE(name);
        for (std::size_t i = 0; i < x.rows; ++i) {
            CAPTURE(i);
            auto summaries = std::array<double, extreme_count>{};
            for (std::size_t s = 0; s < extreme_count; ++s) summaries[s] = out(i, s);
            auto probabilities = std::vector<double>(x.length);
            for (std::size_t k = 0; k < x.length; ++k) probabilities[k] = p(i, k);
            test(i, summaries, probabilities);
        }
    });
}

TEST_CASE_TEMPLATE("a NaN makes its own row NaN, whatever its place, and no other row", T, double, float) {
    for (auto const length : {1, 2, 8, 9, 65})
        for (auto const place : {0, length / 2, length - 1}) {
            auto x = everywhere::random_table(19, static_cast<std::size_t>(length), 7);
            x(4, static_cast<std::size_t>(place)) = nan;
            run_extremes<T>(x, [&](std::size_t i, auto const& summaries, auto const& probabilities) {
                for (auto const value : summaries) CHECK(std::isnan(value) == (i == 4));
                for (auto const value : probabilities) CHECK(std::isnan(value) == (i == 4));
            });
        }
}

TEST_CASE_TEMPLATE("infinities", T, double, float) {
    for (auto const length : std::array<std::size_t, 4>{2, 8, 9, 65}) {
        auto x = everywhere::random_table(3, length, 8);
        x(0, length - 1) = infinity;
        x(1, length / 2) = -infinity;
        for (std::size_t k = 0; k < length; ++k) x(2, k) = -infinity;
        run_extremes<T>(x, [&](std::size_t i, auto const& summaries, auto const& probabilities) {
            if (i == 0) {
                CHECK(summaries[0] == infinity);
                CHECK(summaries[1] == infinity);
                CHECK(std::isfinite(summaries[2]));
                CHECK(summaries[3] == infinity);
            } else if (i == 1) {
                CHECK(summaries[0] == -infinity);
                CHECK(std::isfinite(summaries[1]));
                CHECK(summaries[2] == -infinity);
                CHECK(std::isfinite(summaries[3]));
                CHECK(probabilities[length / 2] == 0);
            } else {
                CHECK(summaries[1] == -infinity);
                CHECK(summaries[3] == -infinity);
            }
        });
    }
}

TEST_CASE_TEMPLATE("log-sum-exp does not overflow at 1000 nor vanish at -1000", T, double, float) {
    auto x = table{3, 9};
    for (std::size_t k = 0; k < 9; ++k) {
        x(0, k) = 1000;
        x(1, k) = -1000;
        x(2, k) = k == 3 ? 1000 : -1000;
    }
    run_extremes<T>(x, [](std::size_t i, auto const& summaries, auto const& probabilities) {
        auto const expected = std::array{1000 + std::log(9.0), -1000 + std::log(9.0), 1000.0};
        CHECK(everywhere::close(summaries[3], expected[i], 2 * everywhere::tolerance<T>));
        if (i == 2) {
            CHECK(probabilities[3] == 1);
            CHECK(probabilities[0] == 0);
        } else {
            CHECK(everywhere::close(probabilities[0], 1.0 / 9, everywhere::tolerance<T>));
        }
    });
}

TEST_CASE("empty rows have the identity of each reduction") {
    auto const x = table{3, 0};
    run_extremes<double>(x, [](std::size_t, auto const& summaries, auto const&) {
        CHECK(summaries[0] == 0);
        CHECK(summaries[1] == -infinity);
        CHECK(summaries[2] == infinity);
        CHECK(summaries[3] == -infinity);
        CHECK(std::isnan(summaries[4]));
    });
}

TEST_CASE("sums of long rows are pairwise: the error does not grow with the length") {
    // 0.1f added up one after another loses 0.3 % of a million terms.
    auto const terms = std::vector<float>(1'000'000, 0.1f);
    auto const exact = 1e6 * static_cast<double>(0.1f);
    CHECK(std::abs(static_cast<double>(sum(row(terms))) - exact) < 1e-6 * exact);
    CHECK(std::abs(static_cast<double>(sum(along_row<float const>(terms.data(), terms.size()))) - exact) <
          1e-6 * exact);
}

TEST_CASE("map and fill in place") {
    for (auto const length : everywhere::lengths) {
        auto values = std::vector<double>(length, 2.0);
        auto const along = along_row<double>(values.data(), length);
        map(along, [](auto x) { return x * x; }, along);
        CHECK(std::all_of(values.begin(), values.end(), [](double v) { return v == 4; }));
        fill(along, 7.0);
        CHECK(std::all_of(values.begin(), values.end(), [](double v) { return v == 7; }));
    }
}

/// Rows that read another row elsewhere: backwards, or a column of it as a 3-column matrix.
struct elsewhere {
    constexpr void check(auto const&...) const {} // rows of different lengths are meant
    constexpr void operator()(row_of_reals auto x, writable_row auto backwards, writable_row auto column,
                              writable_row auto into_column, writable_row auto product) const {
        map(backwards, [](auto v) { return v + v; }, reversed(x));
        map(column, [](auto v) { return v; }, matrix_column(x, 1, 3));
        fill(into_column, 0.0);
        map(matrix_column(into_column, 2, 3), [](auto v) { return v; }, column);
        product[0] = sum([](auto a, auto b) { return a * b; }, x, reversed(x));
    }
};

/// (x w, x + w) in one pass; then x w is added to the sums, in place.
struct two_results {
    constexpr void operator()(row_of_reals auto x, row_of_reals auto w, writable_row auto products,
                              writable_row auto sums) const {
        map_pair(
            products, sums, [](auto a, auto b) { return std::pair{a * b, a + b}; }, x, w);
        map(adding_row(sums), [](auto a, auto b) { return a * b; }, x, w);
    }
};

TEST_CASE("two results of one pass, and results added to what is there") {
    for (auto const length : everywhere::lengths) {
        auto const x = everywhere::random_table(5, length, 31), w = everywhere::random_table(5, length, 32);
        auto const stored_x = everywhere::stored<double, row_contiguous>(x), stored_w = decltype(stored_x)(w);
        everywhere::in_every_execution([&](auto execution, std::string const& name) {
            auto products = everywhere::stored<double, row_contiguous>(5, length), sums = products;
            for_each_row(execution, two_results{}, stored_x.input(), stored_w.input(), products.output(),
                         sums.output());
            CAPTURE(name);
            for (std::size_t i = 0; i < 5; ++i)
                for (std::size_t k = 0; k < length; ++k) {
                    CHECK(products(i, k) == x(i, k) * w(i, k));
                    CHECK(everywhere::close(sums(i, k), x(i, k) + w(i, k) + x(i, k) * w(i, k), 1e-14));
                }
        });
    }
}

TEST_CASE("a reversed row and a column among consecutive rows") {
    for (auto const columns : std::array<std::size_t, 6>{1, 2, 7, 8, 9, 100}) {
        auto const length = 3 * columns;
        auto const x = everywhere::random_table(5, length, 61);
        everywhere::in_every_execution([&](auto execution, std::string const& name) {
            using stored = everywhere::stored<double, row_contiguous>;
            auto const given = stored(x);
            auto backwards = stored(5, length), column = stored(5, columns), into = stored(5, length),
                 product = stored(5, 1);
            for_each_row(execution, elsewhere{}, given.input(), backwards.output(), column.output(), into.output(),
                         product.output());
            auto wrong = std::size_t{0};
            for (std::size_t i = 0; i < 5; ++i) {
                auto total = 0.0;
                for (std::size_t k = 0; k < length; ++k) {
                    wrong += backwards(i, k) != 2 * x(i, length - 1 - k);
                    wrong += into(i, k) != (k % 3 == 2 ? x(i, k - 1) : 0.0);
                    total += x(i, k) * x(i, length - 1 - k);
                }
                for (std::size_t k = 0; k < columns; ++k) wrong += column(i, k) != x(i, 3 * k + 1);
                wrong += !everywhere::close(product(i, 0), total, 1e-11);
            }
            CAPTURE(name);
            CAPTURE(columns);
            CHECK(wrong == 0);
        });
    }
}

TEST_CASE("the sample variance of no elements, as of one, is NaN") {
    auto const value = 3.0;
    CHECK(std::isnan(sample_variance(poise::row<double const>(&value, 0))));
    CHECK(std::isnan(sample_variance(poise::row<double const>(&value, 1))));
}

TEST_CASE("derivatives of log-sum-exps where exponents are equal") {
    using number = dual<double>;
    for (auto const level : {0.0, 1.0, -700.0}) {
        auto const moving = number(level, 1.0), still = number(level, 0.0);
        CHECK(math::log_add_exp(moving, still).derivative == doctest::Approx(0.5));
        CHECK(math::log_add_exp(still, moving).derivative == doctest::Approx(0.5));
        auto x = std::array{still, moving, still};
        cumulative_log_sum_exp(poise::row(x), poise::row(x));
        CHECK(x[0].derivative == 0);
        CHECK(x[1].derivative == doctest::Approx(0.5));
        CHECK(x[2].derivative == doctest::Approx(1.0 / 3));
    }
    CHECK(math::log_add_exp(-infinity, -infinity) == -infinity);
    CHECK(math::log_add_exp(infinity, infinity) == infinity);
}

TEST_CASE("a divergence is finite where the ratio of the probabilities overflows") {
    auto const p = std::array{0.5, 0.5, 0.0}, q = std::array{1e-310, 1.0, 0.0};
    auto const expected = 0.5 * (std::log(0.5) - std::log(1e-310)) + 0.5 * std::log(0.5);
    CHECK(kl_divergence(poise::row(p), poise::row(q)) == doctest::Approx(expected).epsilon(1e-14));
    CHECK(kl_divergence(poise::row(q), poise::row(p)) == doctest::Approx(std::log(2.0)).epsilon(1e-14));
    auto const none = std::array{0.0, 1.0, 0.0};
    CHECK(kl_divergence(poise::row(p), poise::row(none)) == infinity);
    CHECK(kl_divergence(poise::row(none), poise::row(none)) == 0);
}

} // namespace
