#include "quantile_aggregation_draws.hpp"

#include "poise/execution/simd.hpp"
#include "poise/metric/interval_score.hpp"
#include "poise/objective/quantile_training.hpp"

#include <numbers>

using namespace quantile_aggregation_test;

namespace {

double wis(double y, std::vector<double> const& q, std::vector<double> const& levels,
           std::vector<double>* intervals = nullptr) {
    auto score = std::vector<double>(1), each = std::vector<double>(q.size() / 2);
    for_each_row(execution::sequential{}, metric::weighted_interval_score{}, std::array{y}, one(q), shared_row(levels),
                 score, one(each));
    if (intervals) *intervals = each;
    return score[0];
}

template <class Margin = objective::margin::constant>
std::pair<double, std::vector<double>> penalty(std::vector<double> const& q, std::vector<double> const& margins) {
    auto value = std::vector<double>(1), gradient = q;
    for_each_row(execution::sequential{}, objective::crossing_penalty<Margin>{}, one(q), shared_row(margins), value,
                 one(gradient));
    return {value[0], gradient};
}

// Three levels in a constant expression: y = 1, q = (0, 2, 1).
constexpr auto constant_losses = [] {
    auto const y = std::array{1.0};
    auto const q = std::array{0.0, 2.0, 1.0}, tau = std::array{0.25, 0.5, 0.75};
    auto loss = std::array<double, 3>{}, slope = loss;
    objective::pinball{}(row(y), row(q), row(tau), row(loss), row(slope));
    return std::array{loss, slope};
}();
static_assert(constant_losses[0] == std::array{0.25, 0.5, 0.0});
static_assert(constant_losses[1] == std::array{-0.25, 0.5, -0.25}); // at the tie 1/2 - tau

constexpr auto constant_score = [] {
    auto const y = std::array{3.0};
    auto const q = std::array{0.0, 1.0, 2.0}, tau = std::array{0.25, 0.5, 0.75};
    auto score = std::array<double, 1>{}, interval = score;
    metric::weighted_interval_score{}(row(y), row(q), row(tau), row(score), row(interval));
    return std::array{score[0], interval[0]};
}();
// IS = 2 + 4 (3 - 2) = 6 and WIS = (|3 - 1| / 2 + 0.25 * 6) / 1.5.
static_assert(constant_score[1] == 6.0 && constant_score[0] == 2.5 / 1.5);

TEST_CASE("WIS is the mean pinball loss, doubled, crossed quantiles included") {
    for_all_seeds("WIS identity", [](std::uint64_t seed) {
        auto const m = integer(seed, 0, 1, 12);
        auto const q = normals(seed, 1, m), levels = symmetric_levels(seed, m);
        auto const y = seed % 3 == 0 ? q[0] : normals(seed, 2, 1)[0];
        auto total = 0.0;
        for (std::size_t k = 0; k < m; ++k) total += objective::pinball_loss(levels[k], y - q[k]);
        auto intervals = std::vector<double>{};
        RC_ASSERT(near(wis(y, q, levels, &intervals), 2 * total / double(m)));
        for (std::size_t k = 0; k < m / 2; ++k) {
            auto const alpha = 2 * levels[k];
            RC_ASSERT(near(alpha / 2 * intervals[k], objective::pinball_loss(alpha / 2, y - q[k]) +
                                                         objective::pinball_loss(1 - alpha / 2, y - q[m - 1 - k])));
        }
    });
}

TEST_CASE("the Huber pinball loss is below the pinball loss by at most max(tau, 1 - tau) alpha / 2") {
    for_all_seeds("Huber bound", [](std::uint64_t seed) {
        auto const tau = unit(seed, 0), error = normals(seed, 1, 1)[0], alpha = 0.01 + 2 * unit(seed, 2);
        auto const gap = objective::pinball_loss(tau, error) - objective::huber_pinball_loss(tau, error, alpha);
        RC_ASSERT(gap >= -1e-12);
        RC_ASSERT(gap <= std::max(tau, 1 - tau) * alpha / 2 + 1e-12);
    });
    auto const y = std::vector{0.5}, q = std::vector{0.5, 2.0}, levels = std::vector{0.3, 0.6};
    auto loss = q, slope = q, plain_loss = q, plain_slope = q;
    for_each_row(execution::sequential{}, objective::huber_pinball{0}, y, one(q), shared_row(levels), one(loss),
                 one(slope));
    for_each_row(execution::sequential{}, objective::pinball{}, y, one(q), shared_row(levels), one(plain_loss),
                 one(plain_slope));
    CHECK(loss == plain_loss);
    CHECK(slope == plain_slope);
}

TEST_CASE("closed-form slopes of the losses are the derivatives") {
    for_all_seeds("loss derivatives", [](std::uint64_t seed) {
        auto const tau = unit(seed, 0), y = normals(seed, 1, 1)[0], q = normals(seed, 2, 1)[0],
                   alpha = 0.01 + 2 * unit(seed, 3);
        auto const error = y - dual<double>{q, 1};
        RC_ASSERT(near(objective::pinball_slope(tau, y - q), objective::pinball_loss(tau, error).derivative));
        RC_ASSERT(near(objective::huber_pinball_slope(tau, y - q, alpha),
                       objective::huber_pinball_loss(tau, error, alpha).derivative));
    });
}

template <class Margin>
void check_penalty_gradient(std::uint64_t seed, std::size_t m, std::size_t elements) {
    auto const q = normals(seed, 1, m), direction = normals(seed, 2, m);
    auto const margins = normals(seed, 3, elements);
    auto const dual_q = along_direction(q, direction), dual_margins = constants(margins);
    auto value = std::vector<dual<double>>(1), gradient = dual_q;
    for_each_row(execution::sequential{}, objective::crossing_penalty<Margin>{}, one(dual_q), shared_row(dual_margins),
                 value, one(gradient));
    auto const [plain, closed_form] = penalty<Margin>(q, margins);
    RC_ASSERT(near(plain, value[0].value));
    RC_ASSERT(near(dot(closed_form, direction), value[0].derivative));
}

TEST_CASE("crossing penalty: zero iff no margin is violated, shift-invariant, 1-homogeneous without margin") {
    for_all_seeds("penalty", [](std::uint64_t seed) {
        auto const m = integer(seed, 0, 1, 8);
        auto q = normals(seed, 1, m, seed % 2 == 0);
        if (seed % 4 < 2) std::ranges::sort(q);
        auto const delta = seed % 3 == 0 ? 0.0 : 0.3 * unit(seed, 4);
        auto violated = false;
        for (std::size_t i = 0; i < m; ++i)
            for (std::size_t j = 0; j < i; ++j) violated |= q[j] - q[i] + delta > 0;
        auto const value = penalty(q, {delta}).first;
        RC_ASSERT((value > 0) == violated);
        auto shifted = q, scaled = q;
        for (auto& x : shifted) x += 7.25;
        for (auto& x : scaled) x *= 3;
        RC_ASSERT(near(penalty(shifted, {delta}).first, value));
        RC_ASSERT(near(penalty(scaled, {0.0}).first, 3 * penalty(q, {0.0}).first));
        check_penalty_gradient<objective::margin::constant>(seed, m, 1);
        check_penalty_gradient<objective::margin::difference>(seed, m, m);
        check_penalty_gradient<objective::margin::pairwise>(seed, m, m * m);
    });
    CHECK(penalty({3.0}, {1.0}).first == 0);
    CHECK(penalty({3.0}, {1.0}).second == std::vector{0.0});
}

TEST_CASE("WIS tends to the CRPS of the normal distribution, 2000 levels") {
    constexpr auto m = std::size_t{2000};
    auto levels = std::vector<double>(m), q = levels;
    auto const mean = 0.7, deviation = 1.6;
    auto const below = [](double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); };
    for (std::size_t k = 0; k < m; ++k) {
        levels[k] = (double(k) + 0.5) / double(m);
        auto low = -10.0, high = 10.0;
        for (auto step = 0; step < 60; ++step) (below((low + high) / 2) < levels[k] ? low : high) = (low + high) / 2;
        q[k] = mean + deviation * low;
    }
    for (auto const y : {-3.0, 0.0, 0.7, 4.0}) {
        auto const z = (y - mean) / deviation, density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
        auto const crps = deviation * (z * (2 * below(z) - 1) + 2 * density - 1 / std::sqrt(std::numbers::pi));
        CHECK(std::abs(wis(y, q, levels) - crps) < 2e-3);
    }
}

TEST_CASE("scores: wrong input is refused by name") {
    auto const run = [](std::vector<double> const& y, std::vector<double> const& q, std::vector<double> const& levels) {
        auto score = std::vector<double>(1), each = std::vector<double>(levels.size() / 2);
        for_each_row(execution::sequential{}, metric::weighted_interval_score{}, y, one(q), shared_row(levels), score,
                     one(each));
    };
    auto const nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_NOTHROW(run({0.0}, {0, 1, 2}, {0.1, 0.5, 0.9}));
    CHECK_THROWS_WITH_AS(run({0.0}, {0, 1, 2}, {0.1, 0.5, 1.0}),
                         "weighted_interval_score: argument 'levels': expected numbers strictly between 0 and 1, got 1",
                         domain_violation);
    CHECK_THROWS_WITH_AS(run({0.0}, {0, 1, 2}, {0.1, 0.1, 0.9}),
                         "weighted_interval_score: argument 'levels': expected strictly ascending numbers, got 0.1",
                         domain_violation);
    CHECK_THROWS_WITH_AS(run({0.0}, {0, 1, 2}, {0.1, 0.5, 0.8}),
                         "weighted_interval_score: argument 'levels': expected levels symmetric about 1/2 (tau_k + "
                         "tau_{m-1-k} = 1), got 0.9",
                         domain_violation);
    CHECK_THROWS_WITH_AS(run({nan}, {0, 1, 2}, {0.1, 0.5, 0.9}),
                         "weighted_interval_score: argument 'targets': expected numbers, not NaN, got nan",
                         domain_violation);
    CHECK_THROWS_AS(run({0.0}, {0, nan, 2}, {0.1, 0.5, 0.9}), domain_violation);
    CHECK_THROWS_AS(run({0.0}, {0, 1}, {0.1, 0.5, 0.9}), argument_error);
    auto out = std::vector<double>(1), long_row = std::vector<double>(2);
    CHECK_THROWS_WITH_AS(for_each_row(execution::sequential{}, objective::pinball{}, out, one(out),
                                      shared_row(std::array{0.5}), one(out), one(long_row)),
                         "pinball: argument 'gradients': expected 1 elements, got 2", argument_error);
    CHECK_THROWS_AS(for_each_row(execution::sequential{}, objective::huber_pinball{-1}, out, one(out),
                                 shared_row(std::array{0.5}), one(out), one(out)),
                    domain_violation);
    CHECK_THROWS_WITH_AS(run({0.0}, {}, {}),
                         "weighted_interval_score: argument 'levels': expected at least 1 element, got 0",
                         argument_error);
    auto const nothing = std::vector<double>{};
    CHECK_THROWS_WITH_AS(for_each_row(execution::along{}, metric::coverage{}, one(nothing), one(nothing), out),
                         "coverage: argument 'targets': expected at least 1 element, got 0", argument_error);
    CHECK_THROWS_AS(for_each_row(execution::along{}, metric::interval_coverage{}, one(nothing), one(nothing),
                                 one(nothing), out),
                    argument_error);
    CHECK_THROWS_AS(for_each_row(execution::along{}, metric::calibration_error{}, one(nothing), one(nothing), out),
                    argument_error);
}

TEST_CASE("metrics over samples: coverage, interval coverage, calibration error") {
    auto const y = std::vector{0.0, 1.0, 2.0, 3.0, 4.0}, low = std::vector{0.0, 1.5, 1.0, 1.0, 1.0},
               high = std::vector{0.0, 2.0, 2.5, 2.0, 9.0};
    auto result = std::vector<double>(1);
    for_each_row(execution::along{}, metric::coverage{}, one(y), one(high), result);
    CHECK(result[0] == 0.8); // all but y = 3
    for_each_row(execution::along{}, metric::interval_coverage{}, one(y), one(low), one(high), result);
    CHECK(result[0] == 0.6);
    auto const covered = std::vector{0.2, 0.5, 0.7}, levels = std::vector{0.1, 0.5, 0.9};
    for_each_row(execution::sequential{}, metric::calibration_error{}, one(covered), shared_row(levels), result);
    CHECK(result[0] == doctest::Approx(0.1));
}

template <class Operator>
void check_training_gradient(std::uint64_t seed, Operator op) {
    auto const m = integer(seed, 0, 1, 7);
    auto const q = normals(seed, 1, m), direction = normals(seed, 2, m), levels = ascending_levels(seed, m),
               y = normals(seed, 3, 1), margins = std::vector{0.05};
    auto const kernel = objective::quantile_training<Operator>{0.8, op};
    auto value = std::vector<double>(1), gradient = q;
    for_each_row(execution::sequential{}, kernel, y, one(q), shared_row(levels), shared_row(margins), value,
                 one(gradient));
    auto const dual_q = along_direction(q, direction), dual_y = constants(y), dual_levels = constants(levels),
               dual_margins = constants(margins);
    auto dual_value = std::vector<dual<double>>(1), dual_gradient = dual_q;
    for_each_row(execution::sequential{}, kernel, dual_y, one(dual_q), shared_row(dual_levels),
                 shared_row(dual_margins), dual_value, one(dual_gradient));
    RC_ASSERT(near(value[0], dual_value[0].value));
    RC_ASSERT(near(dot(gradient, direction), dual_value[0].derivative));
}

TEST_CASE("the training objective's gradient is its derivative, through every monotone operator") {
    for_all_seeds("training gradient", [](std::uint64_t seed) {
        check_training_gradient(seed, solver::monotone::none{});
        check_training_gradient(seed, solver::monotone::isotonic{});
        check_training_gradient(seed, solver::monotone::sorted{});
        check_training_gradient(seed, solver::monotone::sweep{});
        check_training_gradient(seed, solver::monotone::soft_sort{0.1});
        check_training_gradient(seed, solver::monotone::soft_sort{2.0});
    });
}

} // namespace
