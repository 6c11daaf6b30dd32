#include "quantile_aggregation_draws.hpp"

#include "poise/estimator/conformal.hpp"
#include "poise/execution/simd.hpp"

using namespace quantile_aggregation_test;

namespace {

constexpr auto infinity = math::infinity<double>;

/// The rank quantile of a row, as a kernel.
struct rank_quantile_kernel {
    double level;
    static constexpr std::size_t scratch_rows = estimator::order_statistic_scratch;
    constexpr void operator()(row_of_reals auto sample, writable_row auto out, auto const& scratch) const {
        out[0] = estimator::rank_quantile(sample, level, scratch);
    }
};
double rank_quantile(std::vector<double> const& sample, double level) {
    auto result = std::array{0.0};
    for_each_row(execution::sequential{}, rank_quantile_kernel{level}, one(sample), result);
    return result[0];
}
/// ceil((n + 1) (1 - a)) for a in hundredths, in whole numbers.
std::size_t rank(std::size_t n, std::size_t hundredths) { return ((n + 1) * (100 - hundredths) + 99) / 100; }

TEST_CASE("rank quantile: the k-th smallest, infinite beyond the sample") {
    for_all_seeds("rank quantile", [](std::uint64_t seed) {
        auto const n = integer(seed, 0, 0, 40), hundredths = integer(seed, 1, 1, 99);
        auto const sample = normals(seed, 2, n);
        auto sorted = sample;
        std::ranges::sort(sorted);
        auto const k = rank(n, hundredths);
        RC_ASSERT(rank_quantile(sample, 1 - double(hundredths) / 100) == (k > n ? infinity : sorted[k - 1]));
    });
    CHECK(rank_quantile({1, 2, 3}, -0.5) == -infinity);
    CHECK(rank_quantile({1, 2, 3}, 0) == -infinity);
    CHECK(rank_quantile({}, 0.5) == infinity);
    CHECK(rank_quantile({}, 0) == -infinity);
}

TEST_CASE(
    "exchangeability: of n + 1 distinct scores exactly min(k, n + 1) are at most the rank quantile of the others") {
    for_all_seeds("exchangeability", [](std::uint64_t seed) {
        auto const n = integer(seed, 0, 1, 30), hundredths = integer(seed, 1, 1, 99);
        auto const scores = normals(seed, 2, n + 1);
        auto satisfied = std::size_t{0};
        for (std::size_t j = 0; j <= n; ++j) {
            auto others = scores;
            others.erase(others.begin() + static_cast<std::ptrdiff_t>(j));
            satisfied += scores[j] <= rank_quantile(others, 1 - double(hundredths) / 100);
        }
        RC_ASSERT(satisfied == std::min(rank(n, hundredths), n + 1));
    });
}

TEST_CASE("CQR: exactly min(k, n) calibration points are inside the shifted interval") {
    for_all_seeds("CQR", [](std::uint64_t seed) {
        auto const n = integer(seed, 0, 1, 60), hundredths = integer(seed, 1, 1, 99);
        auto const y = normals(seed, 2, n), lower = normals(seed, 3, n), upper = normals(seed, 4, n);
        auto shift = std::array{0.0};
        for_each_row(execution::sequential{}, estimator::conformalized_quantiles{double(hundredths) / 100}, one(y),
                     one(lower), one(upper), shift);
        auto inside = std::size_t{0};
        for (std::size_t i = 0; i < n; ++i) inside += std::max(lower[i] - y[i], y[i] - upper[i]) <= shift[0];
        RC_ASSERT(inside == std::min(rank(n, hundredths), n));
    });
}

TEST_CASE("marginal coverage lies in [1 - a, 1 - a + 1 / (n + 1)]") {
    // Uniform scores, n = 19, a = 0.15: k = 17 and the coverage is 17/20 exactly; 20000 draws, standard error 0.0025.
    constexpr auto n = std::size_t{19}, trials = std::size_t{20000};
    auto scores = std::vector<double>(trials * n), zeros = scores, shifts = std::vector<double>(trials);
    for (std::size_t i = 0; i < trials * n; ++i)
        scores[i] = random::uniform<double>(random::generator{1}.at(i / n, i % n));
    for_each_row(execution::in_lanes{}, estimator::conformalized_quantiles{0.15},
                 rows_of(std::as_const(scores).data(), trials, n), rows_of(std::as_const(zeros).data(), trials, n),
                 rows_of(std::as_const(zeros).data(), trials, n), shifts);
    auto covered = 0.0;
    for (std::size_t i = 0; i < trials; ++i)
        covered += (random::uniform<double>(random::generator{2}.at(i)) <= shifts[i]) / double(trials);
    CHECK(covered >= 0.85 - 0.0075);
    CHECK(covered <= 0.85 + 0.05 + 0.0075);
    CHECK(std::abs(covered - 0.85) < 0.0075);
}

TEST_CASE("CV+: the low end is the floor(a (n + 1))-th smallest of lo - R") {
    for_all_seeds("CV+", [](std::uint64_t seed) {
        auto const n = integer(seed, 0, 1, 40), hundredths = integer(seed, 1, 1, 99);
        auto const lo = normals(seed, 2, n), hi = normals(seed, 3, n), scores = normals(seed, 4, n);
        auto low = std::array{0.0}, high = low;
        for_each_row(execution::sequential{}, estimator::cv_plus{double(hundredths) / 100}, one(lo), one(hi),
                     one(scores), low, high);
        auto ends = lo;
        for (std::size_t i = 0; i < n; ++i) ends[i] -= scores[i];
        std::ranges::sort(ends);
        auto const place = hundredths * (n + 1) / 100;
        RC_ASSERT(low[0] == (place == 0 ? -infinity : ends[place - 1]));
        for (std::size_t i = 0; i < n; ++i) ends[i] = hi[i] + scores[i];
        std::ranges::sort(ends);
        auto const k = rank(n, hundredths);
        RC_ASSERT(high[0] == (k > n ? infinity : ends[k - 1]));
    });
}

TEST_CASE(
    "the shift of a level makes it cover ceil((n + 1) tau) of its calibration points, or as many miss below 1/2") {
    for_all_seeds("level shift", [](std::uint64_t seed) {
        auto const n = integer(seed, 0, 1, 60), m = integer(seed, 1, 1, 6);
        auto const y = normals(seed, 2, n), q = normals(seed, 3, n * m);
        auto const levels = ascending_levels(seed, m);
        auto shift = std::vector<double>(m), in_lanes = shift;
        auto const columns = rows_of(q.data(), m, n);
        for_each_row(execution::sequential{}, estimator::conformal_level_shift{}, shared_row(y), columns, levels,
                     shift);
        for_each_row(execution::in_lanes{}, estimator::conformal_level_shift{}, shared_row(y), columns, levels,
                     in_lanes);
        RC_ASSERT(shift == in_lanes);
        for (std::size_t k = 0; k < m; ++k) {
            auto below = std::size_t{0}, not_above = std::size_t{0};
            for (std::size_t i = 0; i < n; ++i) {
                not_above += y[i] - q[k * n + i] <= shift[k] + 1e-12;
                below += y[i] - q[k * n + i] < shift[k] - 1e-12;
            }
            // Without ties exactly so many, from the side that the level is on.
            auto const level = std::max(levels[k], 1 - levels[k]);
            auto const rank = std::min(n, std::size_t(std::ceil(level * double(n + 1) - 1e-9)));
            RC_ASSERT((levels[k] >= 0.5 ? not_above : n - below) == rank);
        }
    });
}

TEST_CASE("empirical quantiles: linear between order statistics, every execution") {
    auto const sample = std::vector{3.0, 1.0, 2.0, 10.0}, levels = std::vector{0.0, 0.5, 0.75, 1.0};
    auto const check = [&](auto execution) {
        auto q = std::vector<double>(4);
        for_each_row(execution, estimator::empirical_quantiles{}, one(sample), shared_row(levels), one(q));
        CHECK(q == std::vector{1.0, 2.5, 4.75, 10.0});
        auto const many =
            std::vector{0.0, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0}; // more levels than a sample has numbers
        auto const few = std::vector{7.0, 5.0};
        auto at_many = std::vector<double>(many.size());
        for_each_row(execution, estimator::empirical_quantiles{}, one(few), shared_row(many), one(at_many));
        for (std::size_t k = 0; k < many.size(); ++k) CHECK(at_many[k] == doctest::Approx(5 + 2 * many[k]));
    };
    check(execution::sequential{});
    check(execution::in_lanes{});
    check(execution::along{});
    auto out = std::vector<double>(4);
    auto const empty = std::vector<double>{};
    CHECK_THROWS_AS(for_each_row(execution::sequential{}, estimator::empirical_quantiles{}, one(empty),
                                 shared_row(levels), one(out)),
                    argument_error);
}

TEST_CASE("conformal: edge cases and errors") {
    auto const none = std::vector<double>{};
    auto shift = std::array{0.0}, other = shift;
    for_each_row(execution::sequential{}, estimator::conformalized_quantiles{0.1}, one(none), one(none), one(none),
                 shift);
    CHECK(shift[0] == infinity);
    for_each_row(execution::in_lanes{}, estimator::asymmetric_conformalized_quantiles{}, one(none), one(none),
                 one(none), shift, other);
    CHECK(other[0] == infinity);
    auto const y = std::vector{1.0, 2.0}, short_row = std::vector{1.0};
    CHECK_THROWS_WITH_AS(
        for_each_row(execution::sequential{}, estimator::conformalized_quantiles{1.0}, one(y), one(y), one(y), shift),
        "conformalized_quantiles: argument 'alpha': expected a miscoverage strictly between 0 and 1, got 1",
        domain_violation);
    CHECK_THROWS_WITH_AS(for_each_row(execution::sequential{}, estimator::conformalized_quantiles{}, one(y),
                                      one(short_row), one(y), shift),
                         "conformalized_quantiles: argument 'lower': expected 2 elements, got 1", argument_error);
    auto long_row = y;
    CHECK_THROWS_WITH_AS(for_each_row(execution::sequential{}, estimator::conformalized_quantiles{}, one(y), one(y),
                                      one(y), one(long_row)),
                         "conformalized_quantiles: argument 'shift': expected 1 elements, got 2", argument_error);
    auto const nan = std::vector{1.0, std::numeric_limits<double>::quiet_NaN()};
    CHECK_THROWS_WITH_AS(
        for_each_row(execution::sequential{}, estimator::cv_plus{}, one(y), one(nan), one(y), shift, other),
        "cv_plus: argument 'upper': expected numbers, not NaN, got nan", domain_violation);
    auto const level = std::vector{1.5};
    CHECK_THROWS_AS(
        for_each_row(execution::sequential{}, estimator::conformal_level_shift{}, one(y), one(y), level, shift),
        domain_violation);
    CHECK_THROWS_AS(
        for_each_row(execution::sequential{}, estimator::median_model_residual{3}, short_row, one(y), shift),
        argument_error);
}

} // namespace
