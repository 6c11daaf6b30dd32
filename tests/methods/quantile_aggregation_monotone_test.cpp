#include "quantile_aggregation_draws.hpp"

#include "poise/execution/simd.hpp"
#include "poise/objective/pinball.hpp"
#include "poise/solver/monotone.hpp"

#include <numeric>

using namespace quantile_aggregation_test;
namespace monotone = solver::monotone;

namespace {

template <class Operator>
std::vector<double> applied(Operator op, std::vector<double> const& z) {
    auto out = z, pullback = z;
    for_each_row(execution::sequential{}, solver::monotonise<Operator>{op}, one(z), one(z), one(out), one(pullback));
    return out;
}
std::vector<double> isotonic(std::vector<double> const& z, std::vector<double> const& weights) {
    auto fit = z, pullback = z;
    for_each_row(execution::sequential{}, solver::isotonic_regression{}, one(z), one(weights), one(z), one(fit),
                 one(pullback));
    return fit;
}
double pinball_sum(double y, std::vector<double> const& q, std::vector<double> const& levels,
                   std::vector<double> const& weights = {}) {
    auto total = 0.0;
    for (std::size_t k = 0; k < q.size(); ++k)
        total += (weights.empty() ? 1 : weights[k]) * objective::pinball_loss(levels[k], y - q[k]);
    return total;
}
double distance(std::vector<double> const& a, std::vector<double> const& b, double p) {
    auto total = 0.0;
    for (std::size_t k = 0; k < a.size(); ++k)
        total = p == 0 ? std::max(total, std::abs(a[k] - b[k])) : total + std::pow(std::abs(a[k] - b[k]), p);
    return total;
}
std::vector<double> positive(std::uint64_t seed, std::size_t stream, std::size_t m) {
    auto weights = std::vector<double>(m);
    for (std::size_t k = 0; k < m; ++k) weights[k] = 0.1 + unit(seed, stream, k);
    return weights;
}

constexpr auto constant_fit = [] {
    auto const z = std::array{3.0, 1.0, 2.0, 5.0, 4.0}, w = std::array{1.0, 1.0, 1.0, 1.0, 3.0},
               g = std::array{1.0, 2.0, 3.0, 4.0, 8.0};
    auto fit = std::array<double, 5>{}, pullback = fit;
    auto memory = std::array<std::array<double, 5>, 3>{};
    auto const scratch = std::array{row<double>(memory[0]), row<double>(memory[1]), row<double>(memory[2])};
    solver::isotonic_regression{}(row(z), row(w), row(g), row(fit), row(pullback), scratch);
    return std::array{fit, pullback};
}();
static_assert(constant_fit[0] == std::array{2.0, 2.0, 2.0, 4.25, 4.25});
static_assert(constant_fit[1] == std::array{2.0, 2.0, 2.0, 3.0, 9.0});

TEST_CASE("sorting and isotonic regression never increase the pinball loss of a row") {
    for_all_seeds("never worse", [](std::uint64_t seed) {
        auto const m = integer(seed, 0, 1, 10);
        auto const z = normals(seed, 1, m, seed % 2 == 0), levels = ascending_levels(seed, m), w = positive(seed, 4, m);
        auto const y = seed % 3 == 0 ? z[0] : normals(seed, 2, 1)[0];
        auto const before = pinball_sum(y, z, levels);
        RC_ASSERT(pinball_sum(y, applied(monotone::sorted{}, z), levels) <= before + 1e-12);
        RC_ASSERT(pinball_sum(y, applied(monotone::isotonic{}, z), levels) <= before + 1e-12);
        RC_ASSERT(pinball_sum(y, isotonic(z, w), levels, w) <= pinball_sum(y, z, levels, w) + 1e-12);
    });
}

TEST_CASE("what has no such guarantee: sweep, soft sort, other weights; neither of sort and isotonic dominates") {
    auto sweep = 0, soft = 0, unweighted = 0, sorting_weighted = 0, sort_better = 0, isotonic_better = 0;
    for (std::uint64_t seed = 0; seed < 2000; ++seed) {
        auto const m = std::size_t{5};
        auto const z = normals(seed, 1, m), levels = ascending_levels(seed, m), w = positive(seed, 4, m);
        auto const y = normals(seed, 2, 1)[0], before = pinball_sum(y, z, levels);
        auto const by_sort = pinball_sum(y, applied(monotone::sorted{}, z), levels);
        auto const by_isotonic = pinball_sum(y, applied(monotone::isotonic{}, z), levels);
        sweep += pinball_sum(y, applied(monotone::sweep{}, z), levels) > before + 1e-9;
        soft += pinball_sum(y, applied(monotone::soft_sort{5}, z), levels) > before + 1e-9;
        unweighted += pinball_sum(y, isotonic(z, w), levels) > before + 1e-9;
        sorting_weighted +=
            pinball_sum(y, applied(monotone::sorted{}, z), levels, w) > pinball_sum(y, z, levels, w) + 1e-9;
        sort_better += by_sort < by_isotonic - 1e-9;
        isotonic_better += by_isotonic < by_sort - 1e-9;
    }
    CHECK(sweep > 0);
    CHECK(soft > 0);
    CHECK(unweighted > 0);
    CHECK(sorting_weighted > 0);
    CHECK(sort_better > 0);
    CHECK(isotonic_better > 0);
}

TEST_CASE("isotonic regression: idempotent, preserves the weighted mean, 1-Lipschitz, max of min of means") {
    for_all_seeds("isotonic", [](std::uint64_t seed) {
        auto const m = integer(seed, 0, 1, 10);
        auto const z = normals(seed, 1, m, seed % 2 == 0), other = normals(seed, 2, m), w = positive(seed, 3, m);
        auto const equal = std::vector<double>(m, 1.0);
        auto const fit = isotonic(z, w), plain = isotonic(z, equal);
        RC_ASSERT(std::ranges::is_sorted(fit));
        auto const again = isotonic(fit, w);
        for (std::size_t k = 0; k < m; ++k) RC_ASSERT(near(again[k], fit[k]));
        RC_ASSERT(near(dot(fit, w), dot(z, w)));
        RC_ASSERT(distance(plain, isotonic(other, equal), 2) <= distance(z, other, 2) + 1e-9);
        for (std::size_t i = 0; i < m; ++i) {
            auto greatest = -math::infinity<double>;
            for (std::size_t a = 0; a <= i; ++a) {
                auto least = math::infinity<double>;
                for (std::size_t b = i; b < m; ++b) {
                    auto const total = std::inner_product(&z[a], &z[b] + 1, &w[a], 0.0);
                    least = std::min(least, total / std::accumulate(&w[a], &w[b] + 1, 0.0));
                }
                greatest = std::max(greatest, least);
            }
            RC_ASSERT(near(fit[i], greatest));
        }
    });
}

TEST_CASE("sort is 1-Lipschitz in every norm; soft sort ascends, keeps the sum, is the hard sort for small eps, the "
          "mean for large") {
    for_all_seeds("sort, soft sort", [](std::uint64_t seed) {
        auto const m = integer(seed, 0, 1, 10);
        auto const z = normals(seed, 1, m, seed % 2 == 0), other = normals(seed, 2, m);
        auto const hard = applied(monotone::sorted{}, z);
        auto const sorted_other = applied(monotone::sorted{}, other);
        for (auto const p : {1.0, 2.0, 3.0, 0.0})
            RC_ASSERT(distance(hard, sorted_other, p) <= distance(z, other, p) + 1e-9);
        auto const sum = std::accumulate(z.begin(), z.end(), 0.0);
        auto gap = 0.0;
        for (std::size_t k = 1; k < m; ++k) gap = std::max(gap, hard[k] - hard[k - 1]);
        for (auto const epsilon : {0.01, 0.1, 1.0, 10.0}) {
            auto const soft = applied(monotone::soft_sort{epsilon}, z);
            for (std::size_t k = 1; k < m; ++k) RC_ASSERT(soft[k] >= soft[k - 1] - 1e-9);
            RC_ASSERT(near(std::accumulate(soft.begin(), soft.end(), 0.0), sum));
            if (gap <= 1 / epsilon)
                for (std::size_t k = 0; k < m; ++k) RC_ASSERT(near(soft[k], hard[k]));
        }
        auto const flat = applied(monotone::soft_sort{1e9}, z);
        for (std::size_t k = 0; k < m; ++k) RC_ASSERT(near(flat[k], sum / double(m), 1e-7));
    });
}

TEST_CASE("the distance to any ascending row never grows") {
    for_all_seeds("distance", [](std::uint64_t seed) {
        auto const m = integer(seed, 0, 1, 10);
        auto const z = normals(seed, 1, m);
        auto s = normals(seed, 2, m);
        std::ranges::sort(s);
        RC_ASSERT(distance(applied(monotone::isotonic{}, z), s, 2) <= distance(z, s, 2) + 1e-9);
        RC_ASSERT(distance(applied(monotone::sorted{}, z), s, 1) <= distance(z, s, 1) + 1e-9);
    });
}

template <class Operator>
void check_pullback(Operator op, std::uint64_t seed) {
    auto const m = integer(seed, 0, 1, 10);
    auto const z = normals(seed, 1, m), g = normals(seed, 2, m), direction = normals(seed, 3, m);
    auto out = z, pullback = z;
    auto const kernel = solver::monotonise<Operator>{op};
    for_each_row(execution::sequential{}, kernel, one(z), one(g), one(out), one(pullback));
    auto const dual_z = along_direction(z, direction), dual_g = constants(g);
    auto dual_out = dual_z, dual_pullback = dual_z;
    for_each_row(execution::sequential{}, kernel, one(dual_z), one(dual_g), one(dual_out), one(dual_pullback));
    auto forward = 0.0;
    for (std::size_t k = 0; k < m; ++k) forward += g[k] * dual_out[k].derivative;
    RC_ASSERT(near(dot(pullback, direction), forward));
}

TEST_CASE("every pullback is the transpose of the derivative") {
    for_all_seeds("pullbacks", [](std::uint64_t seed) {
        check_pullback(monotone::none{}, seed);
        check_pullback(monotone::isotonic{}, seed);
        check_pullback(monotone::sorted{}, seed);
        check_pullback(monotone::sweep{}, seed);
        for (auto const epsilon : {0.1, 1.0, 10.0}) check_pullback(monotone::soft_sort{epsilon}, seed);
        auto const m = integer(seed, 0, 1, 10);
        auto const z = normals(seed, 1, m), g = normals(seed, 2, m), direction = normals(seed, 3, m),
                   w = positive(seed, 4, m);
        auto fit = z, pullback = z;
        for_each_row(execution::sequential{}, solver::isotonic_regression{}, one(z), one(w), one(g), one(fit),
                     one(pullback));
        auto const dual_z = along_direction(z, direction), dual_w = constants(w), dual_g = constants(g);
        auto dual_fit = dual_z, dual_pullback = dual_z;
        for_each_row(execution::sequential{}, solver::isotonic_regression{}, one(dual_z), one(dual_w), one(dual_g),
                     one(dual_fit), one(dual_pullback));
        auto forward = 0.0;
        for (std::size_t k = 0; k < m; ++k) forward += g[k] * dual_fit[k].derivative;
        RC_ASSERT(near(dot(pullback, direction), forward));
    });
}

template <class T, class Execution, class Operator>
void check_execution(Operator op, bool ties, double tolerance) {
    constexpr auto rows = std::size_t{101}, m = std::size_t{9};
    auto z = std::vector<T>(rows * m), g = z;
    for (std::size_t i = 0; i < rows; ++i) {
        auto const values = normals(i, 1, m, ties), cotangent = normals(i, 2, m);
        for (std::size_t k = 0; k < m; ++k) {
            z[k * rows + i] = T(ties ? values[k] / 5 : values[k]); // tenths: their means are not exact
            g[k * rows + i] = T(cotangent[k]);
        }
    }
    auto const run = [&](auto execution) {
        auto out = z, pullback = z;
        for_each_row(execution, solver::monotonise<Operator>{op}, interleaved_rows_of(std::as_const(z).data(), rows, m),
                     interleaved_rows_of(std::as_const(g).data(), rows, m), interleaved_rows_of(out.data(), rows, m),
                     interleaved_rows_of(pullback.data(), rows, m));
        return std::pair{out, pullback};
    };
    auto const [out, pullback] = run(Execution{});
    auto const [expected, expected_pullback] = run(execution::sequential{});
    for (std::size_t k = 0; k < out.size(); ++k) {
        REQUIRE(near(double(out[k]), double(expected[k]), tolerance));
        REQUIRE(near(double(pullback[k]), double(expected_pullback[k]), tolerance));
    }
}

TEST_CASE("monotone operators: the same in every execution, with and without ties") {
    auto const all = [](auto op) {
        for (auto const ties : {false, true}) {
            check_execution<double, execution::in_lanes>(op, ties, 1e-12);
            check_execution<double, execution::along>(op, ties, 1e-12);
            check_execution<float, execution::in_lanes>(op, ties, 1e-5);
        }
    };
    all(monotone::isotonic{});
    all(monotone::sorted{});
    all(monotone::sweep{});
    all(monotone::soft_sort{0.1});
    all(monotone::soft_sort{1});
}

TEST_CASE("ties merge into one block and share the cotangent") {
    auto const z = std::vector{0.3, 0.1, 0.2, 0.2}, g = std::vector{4.0, 0.0, 0.0, 0.0}, w = std::vector(4, 1.0);
    auto fit = z, pullback = z;
    for_each_row(execution::sequential{}, solver::isotonic_regression{}, one(z), one(w), one(g), one(fit),
                 one(pullback));
    for (auto const x : pullback) CHECK(x == doctest::Approx(1.0));
}

TEST_CASE("an outlier does not merge the small values beside it") {
    auto const check = []<class T>(T outlier, T step, auto execution) {
        for (auto const& z :
             {std::vector<T>{1, 1 + step, 1 + 2 * step, outlier}, {-outlier, 1, 1 + step, 1 + 2 * step}}) {
            auto const w = std::vector<T>(4, T(1)), g = std::vector<T>{1, 2, 3, 4};
            auto fit = z, pullback = z;
            for_each_row(execution, solver::isotonic_regression{}, one(z), one(w), one(g), one(fit), one(pullback));
            CHECK(fit == z); // it ascends already
            CHECK(pullback == g);
        }
    };
    check(1e12, 1e-7, execution::sequential{});
    check(1e12, 1e-7, execution::in_lanes{});
    check(1e6f, 1e-2f, execution::sequential{});
    check(1e6f, 1e-2f, execution::in_lanes{});
}

TEST_CASE("monotone operators: edge cases and errors") {
    auto empty = std::vector<double>{};
    CHECK_NOTHROW(for_each_row(execution::sequential{}, solver::monotonise<monotone::isotonic>{},
                               one(std::as_const(empty)), one(std::as_const(empty)), one(empty), one(empty)));
    CHECK_NOTHROW(for_each_row(execution::in_lanes{}, solver::monotonise<monotone::sweep>{}, one(std::as_const(empty)),
                               one(std::as_const(empty)), one(empty), one(empty)));
    CHECK_THROWS_WITH_AS(isotonic({1, 2}, {1, 0}),
                         "isotonic_regression: argument 'weights': expected positive numbers, got 0", domain_violation);
    CHECK_THROWS_AS(isotonic({1, 2}, {1, -1}), domain_violation);
    CHECK_THROWS_AS(isotonic({1, std::numeric_limits<double>::quiet_NaN()}, {1, 1}), domain_violation);
    CHECK_THROWS_AS(isotonic({1, 2, 3}, {1, 1}), argument_error);
    CHECK_THROWS_WITH_AS(applied(monotone::soft_sort{0}, {1, 2}),
                         "soft_sort: argument 'epsilon': expected epsilon > 0, got 0", domain_violation);
}

} // namespace
