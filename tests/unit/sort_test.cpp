#include "everywhere.hpp"

#include "poise/core/packed_scan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace {

using namespace poise;
using everywhere::infinity;
using everywhere::nan;
using everywhere::table;

template <class Direction>
struct ordering {
    static constexpr std::size_t scratch_rows = argsort_scratch;
    constexpr void operator()(row_of_reals auto keys, writable_row auto order, writable_row auto gathered,
                              writable_row auto scattered_back, auto const& scratch) const {
        argsort(order, keys, Direction{}, scratch);
        gather(gathered, keys, order);
        scatter(scattered_back, gathered, order);
    }
};

template <class Direction>
struct sorting {
    constexpr void operator()(row_of_reals auto keys, writable_row auto sorted) const {
        copy(sorted, keys);
        sort(sorted, Direction{});
    }
};

template <class Direction>
std::vector<std::size_t> stable_order(std::vector<double> const& keys) {
    auto order = std::vector<std::size_t>(keys.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](auto a, auto b) {
        return Direction::before(keys[a], keys[b]) || (!Direction::before(keys[b], keys[a]) && a < b);
    });
    return order;
}

template <class T, class Layout, class Direction>
void check_order(table const& keys) {
    auto const stored = everywhere::stored<T, Layout>(keys);
    everywhere::in_every_execution([&](auto execution, std::string const& name) {
        auto order = everywhere::stored<T, Layout>(keys.rows, keys.length);
        auto gathered = order, back = order, sorted = order;
        for_each_row(execution, ordering<Direction>{}, stored.input(), order.output(), gathered.output(),
                     back.output());
        if (keys.length <= 65) for_each_row(execution, sorting<Direction>{}, stored.input(), sorted.output());
        auto wrong_order = std::size_t{0}, wrong_values = std::size_t{0};
        for (std::size_t i = 0; i < keys.rows; ++i) {
            auto const expected = stable_order<Direction>(keys.row(i));
            for (std::size_t k = 0; k < keys.length; ++k) {
                wrong_order += order(i, k) != static_cast<double>(expected[k]);
                wrong_values += gathered(i, k) != keys(i, expected[k]);
                wrong_values += back(i, k) != keys(i, k);
                wrong_values += keys.length <= 65 && sorted(i, k) != keys(i, expected[k]);
            }
        }
        CAPTURE(name);
        CAPTURE(keys.length);
        CHECK(wrong_order == 0);
        CHECK(wrong_values == 0);
    });
}

template <class T, class Layout>
void check_all_orders() {
    for (auto const rows : everywhere::row_counts)
        for (auto const length : everywhere::lengths) {
            auto keys = everywhere::random_table(rows, length, 11 + length);
            check_order<T, Layout, ascending>(keys);
            check_order<T, Layout, descending>(keys);
            for (auto& key : keys.values) key = std::round(key); // many ties
            check_order<T, Layout, ascending>(keys);
            check_order<T, Layout, descending>(keys);
        }
}

TEST_CASE("argsort is the stable order, gather and scatter follow it") {
    SUBCASE("double, row-contiguous") { check_all_orders<double, row_contiguous>(); }
    SUBCASE("double, interleaved") { check_all_orders<double, interleaved>(); }
    SUBCASE("float, row-contiguous") { check_all_orders<float, row_contiguous>(); }
}

TEST_CASE_TEMPLATE("zeros of both signs are equal, infinities at the ends", T, double, float) {
    for (auto const length : everywhere::sizes(6, 66, 200)) {
        auto keys = table{2, length};
        for (std::size_t k = 0; k < length; ++k) {
            keys(0, k) = k % 3 == 0 ? 0.0 : k % 3 == 1 ? -0.0 : 1.0;
            keys(1, k) = k % 4 == 0 ? infinity : k % 4 == 1 ? -infinity : k % 4 == 2 ? -1.0 : 0.0;
        }
        check_order<T, row_contiguous, ascending>(keys);
        check_order<T, row_contiguous, descending>(keys);
    }
}

TEST_CASE_TEMPLATE("with NaN among the keys the order is still a permutation", T, double, float) {
    for (auto const length : everywhere::sizes(2, 9, 65, 200)) {
        auto keys = everywhere::random_table(7, length, 13);
        for (std::size_t i = 0; i < 7; ++i)
            for (std::size_t k = i; k < length; k += i + 1) keys(i, k) = nan;
        auto const stored = everywhere::stored<T, row_contiguous>(keys);
        everywhere::in_every_execution([&](auto execution, std::string const& name) {
            auto order = everywhere::stored<T, row_contiguous>(7, length);
            auto gathered = order, back = order;
            for_each_row(execution, ordering<descending>{}, stored.input(), order.output(), gathered.output(),
                         back.output());
            CAPTURE(name);
            CAPTURE(length);
            for (std::size_t i = 0; i < 7; ++i) {
                auto seen = std::vector<int>(length, 0);
                for (std::size_t k = 0; k < length; ++k) ++seen.at(static_cast<std::size_t>(order(i, k)));
                CHECK(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
            }
        });
    }
}

struct reordered {
    constexpr void operator()(row_of_reals auto x, row_of_reals auto order, writable_row auto gathered,
                              writable_row auto scattered) const {
        gather(gathered, x, order);
        scatter(scattered, x, order);
    }
};

TEST_CASE("one order for all rows") {
    auto const order = std::vector<double>{2, 0, 1};
    auto const x = everywhere::random_table(11, 3, 71);
    everywhere::in_every_execution([&](auto execution, std::string const& name) {
        auto gathered = std::vector<double>(33), scattered = gathered;
        for_each_row(execution, reordered{}, rows_of(x.values.data(), 11, 3), shared_row(order),
                     rows_of(gathered.data(), 11, 3), rows_of(scattered.data(), 11, 3));
        CAPTURE(name);
        for (std::size_t i = 0; i < 11; ++i)
            for (std::size_t k = 0; k < 3; ++k) {
                auto const at = static_cast<std::size_t>(order[k]);
                CHECK(gathered[3 * i + k] == x(i, at));
                CHECK(scattered[3 * i + at] == x(i, k));
            }
    });
}

TEST_CASE("NaN comes last in both directions, ties by index") {
    for (auto const length : everywhere::sizes(1, 7, 9, 63, 64, 65, 200)) {
        auto keys = everywhere::random_table(3, length, 5);
        for (std::size_t k = 0; k < keys.values.size(); ++k)
            if (k % 3 == 1) keys.values[k] = k % 2 == 0 ? nan : -nan;
        auto const check = [&]<class Direction>(Direction) {
            everywhere::in_every_execution([&](auto execution, std::string const& name) {
                CAPTURE(name);
                auto order = std::vector<double>(3 * length), gathered = order, back = order;
                auto const rows = [&](auto& values) { return rows_of(values.data(), 3, length); };
                for_each_row(execution, ordering<Direction>{}, rows(std::as_const(keys.values)), rows(order),
                             rows(gathered), rows(back));
                auto wrong = 0;
                for (std::size_t i = 0; i < 3; ++i) {
                    auto expected = std::vector<std::size_t>(length);
                    std::iota(expected.begin(), expected.end(), std::size_t{0});
                    std::stable_sort(expected.begin(), expected.end(), [&](auto a, auto b) {
                        auto const left = keys(i, a), right = keys(i, b);
                        if (std::isnan(left) || std::isnan(right)) return !std::isnan(left) && std::isnan(right);
                        return std::is_same_v<Direction, ascending> ? left < right : left > right;
                    });
                    for (std::size_t k = 0; k < length; ++k)
                        wrong += order[i * length + k] != static_cast<double>(expected[k]);
                }
                CHECK(wrong == 0);
            });
        };
        check(ascending{});
        check(descending{});
    }
}

} // namespace
