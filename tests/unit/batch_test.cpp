#include "everywhere.hpp"

#include <doctest/doctest.h>

#include <numeric>

namespace {

using namespace poise;
using everywhere::stored;
using everywhere::table;

/// out_k = x_k - mean(x) + level_k + label, loss = sum(out): an input of every kind, and two outputs.
struct mixed {
    static constexpr std::array<char const*, 5> argument_names = {"x", "levels", "label", "out", "loss"};
    static constexpr std::size_t scratch_rows = 1;
    constexpr void operator()(row_of_reals auto x, row_of_reals auto levels, row_of_reals auto label,
                              writable_row auto out, writable_row auto loss, auto const& scratch) const {
        using T = value_of<decltype(out)>;
        auto const centre = mean(x);
        auto const shift = T(label[0]);
        map(scratch[0], [=](auto v) { return v - centre; }, x);
        map(out, [=](auto v, auto level) { return v + level + shift; }, scratch[0], levels);
        loss[0] = sum(out);
    }
    void check(auto const& x, auto const&, auto const& label, auto const&, auto const&) const {
        for (std::size_t i = 0; i < x.rows(); ++i)
            require_domain(label(i, 0) >= 0, "mixed", "label", "labels >= 0", label(i, 0));
    }
};

struct inputs {
    table x;
    std::vector<double> levels;
    std::vector<int> labels;
    explicit inputs(std::size_t rows, std::size_t length)
        : x(everywhere::random_table(rows, length, 21)), levels(length), labels(rows) {
        std::iota(levels.begin(), levels.end(), 0.5);
        std::iota(labels.begin(), labels.end(), 3);
    }
    double expected(std::size_t i, std::size_t k) const {
        auto const row = x.row(i);
        auto const mean = std::accumulate(row.begin(), row.end(), 0.0) / static_cast<double>(row.size());
        return row[k] - mean + levels[k] + labels[i];
    }
};

template <class In, class Out>
void check_layouts(char const* layouts) {
    for (auto const rows : everywhere::row_counts)
        for (auto const length : everywhere::lengths) {
            if (length == 0) continue;
            auto const given = inputs(rows, length);
            auto const x = stored<double, In>(given.x);
            everywhere::in_every_execution([&](auto execution, std::string const& name) {
                auto out = stored<double, Out>(rows, length);
                auto loss = std::vector<float>(rows); // of another type than the rest
                for_each_row(execution, mixed{}, x.input(), shared_row(given.levels), per_row(given.labels),
                             out.output(), loss);
                auto wrong = std::size_t{0};
                for (std::size_t i = 0; i < rows; ++i) {
                    auto total = 0.0;
                    for (std::size_t k = 0; k < length; ++k) {
                        wrong += !everywhere::close(out(i, k), given.expected(i, k), 1e-12);
                        total += given.expected(i, k);
                    }
                    wrong += !everywhere::close(static_cast<double>(loss[i]), total, 1e-6);
                }
                CAPTURE(layouts);
                CAPTURE(name);
                CAPTURE(rows);
                CAPTURE(length);
                CHECK(wrong == 0);
            });
        }
}

TEST_CASE("one kernel, every layout of inputs and outputs, integer labels and a shared row") {
    SUBCASE("") { check_layouts<row_contiguous, row_contiguous>("row-contiguous"); }
    SUBCASE("") { check_layouts<interleaved, interleaved>("interleaved"); }
    SUBCASE("") { check_layouts<row_contiguous, strided>("row-contiguous to strided"); }
    SUBCASE("") { check_layouts<strided, interleaved>("strided to interleaved"); }
}

struct centre {
    constexpr void operator()(row_of_reals auto x, writable_row auto out) const {
        auto const middle = mean(x);
        map(out, [=](auto v) { return v - middle; }, x);
    }
};

TEST_CASE("long rows of one type, results of another that begin anywhere between cache lines") {
    auto const check = []<class Result>(Result) {
        constexpr std::size_t rows = 20, length = 300;
        auto const given = everywhere::random_table(rows, length, 51);
        for (std::size_t past = 0; past < 64 / sizeof(Result); ++past) {
            auto memory = std::vector<Result>(rows * length + 128 / sizeof(Result));
            auto const off = reinterpret_cast<std::uintptr_t>(memory.data()) % 64 / sizeof(Result);
            auto const out = interleaved_rows_of(memory.data() + 64 / sizeof(Result) - off + past, rows, length);
            for_each_row(execution::in_lanes{}, centre{}, rows_of(given.values.data(), rows, length), out);
            auto wrong = std::size_t{0};
            for (std::size_t i = 0; i < rows; ++i) {
                auto const row = given.row(i);
                auto const mean = std::accumulate(row.begin(), row.end(), 0.0) / double(length);
                for (std::size_t k = 0; k < length; ++k)
                    wrong += !everywhere::close(static_cast<double>(out(i, k)), row[k] - mean, 1e-6);
            }
            CAPTURE(past);
            CHECK(wrong == 0);
        }
    };
    check(float());
    check(double());
}

TEST_CASE("generated rows: lengths static and dynamic, nothing in memory") {
    auto const x = generated_rows(9, 5, [](std::size_t i, std::size_t k) { return double(10 * i + k * k); });
    everywhere::in_every_execution([&](auto execution, std::string const& name) {
        auto out = std::vector<double>(45);
        for_each_row(execution, centre{}, x, rows_of<5>(out.data(), 9, 5));
        CAPTURE(name);
        for (std::size_t i = 0; i < 9; ++i)
            for (std::size_t k = 0; k < 5; ++k) CHECK(out[i * 5 + k] == doctest::Approx(double(k * k) - 6));
    });
}

TEST_CASE("ragged rows, some of them empty") {
    auto const offsets = std::vector<std::size_t>{0, 3, 3, 4, 80, 145, 145, 1200};
    auto const values = everywhere::random_table(1, offsets.back(), 31).values;
    auto const check = [&](auto execution) {
        auto out = std::vector<double>(values.size(), -1.0);
        for_each_row(execution, centre{}, ragged_batch<double const>(values.data(), offsets),
                     ragged_batch<double>(out.data(), offsets));
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
            auto total = 0.0;
            for (auto k = offsets[i]; k < offsets[i + 1]; ++k) total += values[k];
            for (auto k = offsets[i]; k < offsets[i + 1]; ++k)
                CHECK(out[k] == doctest::Approx(values[k] - total / double(offsets[i + 1] - offsets[i])));
        }
    };
    check(execution::sequential{});
    check(execution::along{});
    check(execution::simd{});
    check(execution::parallel<execution::along>{.chunk_rows = 2});
}

TEST_CASE("a mutable object is an input where the kernel only reads it") {
    auto x = std::vector<double>{1, 2, 3, 4, 5, 9};
    auto out = x;
    everywhere::in_every_execution([&](auto execution, std::string const&) {
        for_each_row(execution, centre{}, rows_of(x.data(), 2, 3), rows_of(out.data(), 2, 3));
        CHECK(x == std::vector<double>{1, 2, 3, 4, 5, 9});
        CHECK(out == std::vector<double>{-1, 0, 1, -2, -1, 3});
    });
}

TEST_CASE("in place: the same memory as an input and as an output") {
    everywhere::in_every_execution([](auto execution, std::string const& name) {
        auto x = everywhere::random_table(67, 9, 41).values;
        auto expected = std::vector<double>(x.size());
        for_each_row(execution::sequential{}, centre{}, rows_of(std::as_const(x).data(), 67, 9),
                     rows_of(expected.data(), 67, 9));
        for_each_row(execution, centre{}, rows_of(std::as_const(x).data(), 67, 9), rows_of(x.data(), 67, 9));
        CAPTURE(name);
        for (std::size_t k = 0; k < x.size(); ++k) CHECK(x[k] == doctest::Approx(expected[k]));
    });
}

TEST_CASE("no rows: nothing happens") {
    everywhere::in_every_execution([](auto execution, std::string const&) {
        auto out = std::vector<double>(3, 7.0);
        for_each_row(execution, centre{}, rows_of(std::as_const(out).data(), 0, 3), rows_of(out.data(), 0, 3));
        CHECK(out == std::vector<double>(3, 7.0));
    });
}

TEST_CASE("messages say which argument, what was expected and what came") {
    auto const given = inputs(4, 3);
    auto out = std::vector<double>(12);
    auto loss = std::vector<double>(4);
    auto labels = given.labels;
    auto const run = [&](std::size_t rows) {
        for_each_row(execution::simd{}, mixed{}, rows_of(given.x.values.data(), 4, 3), shared_row(given.levels),
                     per_row(labels), rows_of(out.data(), rows, 3), loss);
    };
    CHECK_NOTHROW(run(4));
    CHECK_THROWS_WITH_AS(run(3), "for_each_row: argument 'out': expected 4 rows, got 3", argument_error);
    labels[2] = -1;
    out[0] = 123;
    CHECK_THROWS_WITH_AS(run(4), "mixed: argument 'label': expected labels >= 0, got -1", domain_violation);
    CHECK(out[0] == 123); // nothing was written
    CHECK_THROWS_AS(run(4), std::domain_error);
    CHECK_THROWS_AS(run(3), std::invalid_argument);
    CHECK_NOTHROW(for_each_row(execution::unchecked<execution::simd>{}, mixed{}, rows_of(given.x.values.data(), 4, 3),
                               shared_row(given.levels), per_row(labels), rows_of(out.data(), 4, 3), loss));

    auto const falling = std::vector<std::size_t>{0, 5, 3};
    CHECK_THROWS_WITH_AS(ragged_batch<double>(out.data(), falling),
                         "ragged_batch: argument 'offsets': expected offsets that never decrease, got 3",
                         argument_error);
    CHECK_THROWS_AS(ragged_batch<double>(out.data(), std::vector<std::size_t>{}), argument_error);
}

TEST_CASE("a kernel without names for its arguments is told about them by number") {
    auto x = std::vector<double>(6), out = x;
    CHECK_THROWS_WITH_AS(
        for_each_row(execution::sequential{}, centre{}, rows_of(x.data(), 2, 3), rows_of(out.data(), 3, 2)),
        "for_each_row: argument '1': expected 2 rows, got 3", argument_error);
}

TEST_CASE("rows without elements in no memory") {
    auto none = std::vector<double>();
    auto const offsets = std::vector<std::size_t>(71, 0);
    auto const* const from = std::as_const(none).data();
    everywhere::in_every_execution([&](auto execution, std::string const&) {
        CHECK_NOTHROW(for_each_row(execution, centre{}, rows_of(from, 70, 0), rows_of(none.data(), 70, 0)));
        CHECK_NOTHROW(for_each_row(execution, centre{}, interleaved_rows_of(from, 70, 0),
                                   interleaved_rows_of(none.data(), 70, 0)));
    });
    CHECK_NOTHROW(for_each_row(execution::simd{}, centre{}, ragged_batch<double const>(from, offsets),
                               ragged_batch<double>(none.data(), offsets)));
}

} // namespace

namespace {

/// A kernel that says nothing about shapes.
struct adds {
    static constexpr std::array<char const*, 3> argument_names = {"left", "right", "sum"};
    constexpr void operator()(row_of_reals auto left, row_of_reals auto right, writable_row auto sum) const {
        map(sum, [](auto a, auto b) { return a + b; }, left, right);
    }
};

} // namespace

TEST_CASE("rows of different lengths are refused where the kernel does not say that it takes them") {
    auto const memory = std::vector<double>(12, 1.0);
    auto out = std::vector<double>(12, 7.0);
    auto const refused = [&](auto const& left, auto const& right, auto const& sum, char const* text) {
        everywhere::in_every_execution([&](auto execution, std::string const&) {
            if constexpr (!std::is_same_v<decltype(execution), execution::in_lanes> || requires { left.length(); })
                CHECK_THROWS_WITH_AS(for_each_row(execution, adds{}, left, right, sum), text, argument_error);
        });
        CHECK(out == std::vector<double>(12, 7.0));
    };
    refused(rows_of(memory.data(), 2, 4), rows_of(memory.data(), 2, 3), rows_of(out.data(), 2, 4),
            "for_each_row: argument 'right': expected rows of 4 elements, got 3");
    refused(rows_of(memory.data(), 2, 4), shared_row(memory), rows_of(out.data(), 2, 4),
            "for_each_row: argument 'right': expected rows of 4 elements, got 12");
    refused(rows_of(memory.data(), 2, 4), rows_of(memory.data(), 2, 4), interleaved_rows_of(out.data(), 2, 5),
            "for_each_row: argument 'sum': expected rows of 4 elements, got 5");
    CHECK_THROWS_WITH_AS(rows_of<4>(memory.data(), 2, 3), "rows_of: argument 'length': expected 4, got 3",
                         argument_error);
}

TEST_CASE("ragged rows are compared row by row") {
    auto const memory = std::vector<double>(12, 1.0);
    auto out = std::vector<double>(12, 7.0);
    auto const offsets = std::array<std::size_t, 3>{0, 5, 12}, other = std::array<std::size_t, 3>{0, 5, 11};
    CHECK_THROWS_WITH_AS(for_each_row(execution::along{}, adds{}, ragged_batch(memory.data(), offsets),
                                      ragged_batch(memory.data(), other), ragged_batch(out.data(), offsets)),
                         "for_each_row: argument 'right': expected rows of 7 elements, got 6", argument_error);
    CHECK(out[0] == 7.0);
    for_each_row(execution::along{}, adds{}, ragged_batch(memory.data(), offsets), ragged_batch(memory.data(), offsets),
                 ragged_batch(out.data(), offsets));
    CHECK(out == std::vector<double>(12, 2.0));
}
