#include "constrained_rlhf_problem.hpp"

#include "poise/core/dual.hpp"
#include "poise/estimator/mixed_advantage.hpp"
#include "poise/estimator/normalized_advantage.hpp"
#include "poise/metric/proxy_point.hpp"
#include "poise/reward/correlated.hpp"
#include "poise/reward/saturation.hpp"
#include "poise/reward/table.hpp"
#include "poise/solver/adaptive_kl.hpp"
#include "poise/solver/multiplier_descent.hpp"
#include "poise/solver/nelder_mead.hpp"

using namespace constrained_rlhf_test;
namespace squash = weighting::squash;

namespace {

constexpr auto infinity = math::infinity<double>, not_a_number = math::quiet_nan<double>;

auto one_row(auto& values) { return rows_of(values.data(), 1, values.size()); }

template <class Kernel>
void run(Kernel const& kernel, auto&&... batches) {
    for_each_row(execution::sequential{}, kernel, batches...);
}

/// f(x) and f'(x) of a function object, by dual numbers.
double derivative(auto const& f, double x) { return f(dual<double>{x, 1}).derivative; }

} // namespace

TEST_CASE("constrained-rlhf: a minibatch of one cannot be normalised; a channel without variance becomes 0") {
    auto one = reals{3};
    CHECK_THROWS_WITH_AS(run(estimator::normalized_advantage{}, one_row(one), one_row(one)),
                         "normalized_advantage: argument 'advantages': expected at least 2 elements, got 1",
                         argument_error);
    for (std::size_t n = 2; n < 40; ++n) {
        auto flat = reals(n, 0.1); // whose rounded mean need not be 0.1
        run(estimator::normalized_advantage{}, one_row(flat), one_row(flat));
        CHECK(flat == reals(n, 0.0));
    }
}

TEST_CASE("constrained-rlhf: multipliers far out are stuck, without NaN") {
    auto const far = reals{-infinity, -800, 800, infinity};
    auto base = reals(1), weights = reals(4);
    run(weighting::lagrange_weights<squash::sigmoid>{}, one_row(far), base, one_row(weights));
    CHECK(weights == reals{0, 0, 1, 1});
    CHECK(base[0] == 2);
    run(weighting::lagrange_weights<squash::tanh>{}, one_row(far), base, one_row(weights));
    CHECK(weights == reals{-1, -1, 1, 1});
    CHECK(base[0] == 4);
    for (auto const lambda : far) {
        CHECK(weighting::saturated(squash::sigmoid{}, lambda));
        CHECK(weighting::saturated(squash::tanh{}, lambda));
        CHECK(!weighting::saturated(squash::none{}, lambda));
    }
    CHECK(!weighting::saturated(squash::sigmoid{}, 30.0));
    // A violated constraint does not move a saturated multiplier: integral wind-up.
    auto const start = reals{800}, value = reals{1}, threshold = reals{0};
    auto path = reals(1);
    run(solver::multiplier_descent<squash::sigmoid>{}, one_row(start), one_row(value), one_row(threshold),
        one_row(path));
    CHECK(path == start);
}

TEST_CASE("constrained-rlhf: slopes of the squashes and gradients of Lagrangian and dual, against dual numbers") {
    for (auto const x : {-5.0, -0.3, 0.0, 0.7, 4.0}) {
        CHECK(close(squash::sigmoid{}.derivative(x), derivative(squash::sigmoid{}, x), 1e-14));
        CHECK(close(squash::tanh{}.derivative(x), derivative(squash::tanh{}, x), 1e-14));
        CHECK(squash::none{}.derivative(x) == derivative(squash::none{}, x));
    }
    CHECK(rc::check([] {
        using D = dual<double>;
        auto const of = draw_problem();
        auto const n = of.count(), actions = of.actions();
        auto const tilt = draw_reals(n, -2, 2);
        auto const at = dual_at(of, tilt);
        auto const lift = [](reals const& x) { return std::vector<D>(x.begin(), x.end()); };
        auto const reference = lift(of.reference), rewards = lift(of.rewards), thresholds = lift(of.thresholds);
        for (std::size_t i = 0; i < n; ++i) {
            auto moving = lift(tilt);
            moving[i].derivative = 1;
            auto policy = std::vector<D>(actions), value = std::vector<D>(1), gradient = std::vector<D>(n),
                 hessian = std::vector<D>(n * n), loss = value, slope = gradient;
            objective::kl_lagrangian_dual{of.beta}(row<D const>(reference), row<D const>(rewards), row<D const>(moving),
                                                   row<D const>(thresholds), row<D>(policy), row<D>(value),
                                                   row<D>(gradient), row<D>(hessian));
            RC_ASSERT(close(at.gradient[i], value[0].derivative, 1e-11));
            for (std::size_t j = 0; j < n; ++j) RC_ASSERT(close(at.hessian[i * n + j], gradient[j].derivative, 1e-10));
            solver::multiplier_loss<squash::tanh, constraint::at_most>{}(
                row<D const>(moving), row<D const>(rewards), row<D const>(thresholds), row<D>(loss), row<D>(slope));
            RC_ASSERT(close(slope[i].value, loss[0].derivative, 1e-13));
        }
    }));
}

TEST_CASE("constrained-rlhf: unsquashed multipliers all count, and those of inequalities stay at 0 or above") {
    // Not the released branch, which drops the first one.
    auto const lambda = reals{2, 3}, kl = reals{1, -1}, channels = reals{10, 20, 100, 200};
    auto base = reals(1), weights = reals(2), mixed = reals(2);
    run(weighting::lagrange_weights<squash::none>{}, one_row(lambda), base, one_row(weights));
    run(estimator::mixed_advantage<estimator::base::kl>{}, one_row(kl), one_row(channels), std::as_const(base),
        one_row(weights), one_row(mixed));
    CHECK(mixed == reals{321, 639});
    run(estimator::mixed_advantage<estimator::base::all>{}, one_row(kl), one_row(channels), std::as_const(base),
        one_row(weights), one_row(mixed));
    CHECK(mixed == reals{-210, -420});
    // A base weight that would push away from the reference is taken as 0.
    run(estimator::mixed_advantage<estimator::base::all_and_kl>{}, one_row(kl), one_row(channels), reals{-1},
        one_row(weights), one_row(mixed));
    CHECK(mixed == reals{-320, -640});

    auto const start = reals{0.001}, values = reals{5, 5, -5}, threshold = reals{0};
    auto path = reals(3);
    run(solver::multiplier_descent<squash::none, constraint::at_least>{}, one_row(start), one_row(values),
        one_row(threshold), one_row(path));
    CHECK(path[0] == 0);
    CHECK(path[1] == 0);
    CHECK(path[2] > 0); // the projection leaves the momentum, which the violation overcomes
    run(solver::multiplier_descent<squash::none, constraint::equal_to>{}, one_row(start), one_row(values),
        one_row(threshold), one_row(path));
    CHECK(path[0] < 0);
}

TEST_CASE("constrained-rlhf: a gradient is clipped to its maximum norm") {
    auto const start = reals{0, 0}, values = reals{300, 400}, thresholds = reals{0, 0};
    auto path = reals(2);
    run(solver::multiplier_descent<squash::tanh, constraint::equal_to>{}, one_row(start), one_row(values),
        one_row(thresholds), one_row(path));
    CHECK(close(path, {-0.01 * 0.5 * 0.6, -0.01 * 0.5 * 0.8}, 1e-8));
}

TEST_CASE("constrained-rlhf: what multipliers refuse") {
    auto const none = reals{}, one = reals{0.5}, two = reals{0.5, 0.5}, wrong = reals{not_a_number};
    auto out = reals(1), base = reals(1);
    CHECK_THROWS_WITH_AS(
        run(weighting::lagrange_weights<>{}, rows_of(none.data(), 1, 0), base, rows_of(out.data(), 1, 0)),
        "lagrange_weights: argument 'multipliers': expected at least one, got 0", argument_error);
    auto const descend = [&](auto const& start, auto const& values, auto const& thresholds) {
        run(solver::multiplier_descent<>{}, one_row(start), one_row(values), one_row(thresholds), one_row(out));
    };
    CHECK_NOTHROW(descend(one, one, one));
    CHECK_THROWS_WITH_AS(descend(one, one, wrong),
                         "multiplier_descent: argument 'thresholds': expected numbers, not NaN, got nan",
                         domain_violation);
    CHECK_THROWS_AS(descend(one, two, one), argument_error);
    CHECK_THROWS_AS(descend(two, one, two), argument_error);
    CHECK_THROWS_AS(descend(none, none, none), argument_error);
    CHECK_THROWS_AS(run(estimator::mixed_advantage<>{}, one_row(one), one_row(two), one, one_row(one), one_row(out)),
                    argument_error);
}

TEST_CASE("constrained-rlhf: an adaptive coefficient follows the divergence, a fixed one does not") {
    auto const divergences = reals{10, 0.5, 0};
    auto coefficients = reals(3);
    run(solver::adaptive_kl{.initial = 1, .target = 0.5}, one_row(divergences), one_row(coefficients));
    CHECK(close(coefficients, {1.02, 1.02, 1.02 * 0.98}, 1e-15));
    run(solver::adaptive_kl{}, one_row(divergences), one_row(coefficients));
    CHECK(coefficients == reals(3, 0.2));
    CHECK_THROWS_AS(run(solver::adaptive_kl{.target = 0}, one_row(divergences), one_row(coefficients)),
                    domain_violation);
}

TEST_CASE("constrained-rlhf: an action without probability under the reference keeps none") {
    auto of = problem{{0.5, 0.5, 0.0}, {0.1, 0.3, 5.0}, {0.25}, 0.1};
    auto const found = solve(constraint::equal_to{}, of);
    CHECK(found.converged);
    CHECK(found.policy[2] == 0);
    CHECK(close(found.values[0], 0.25, 1e-12));
    CHECK(dual_at(of, {1}).policy[2] == 0);
}

TEST_CASE("constrained-rlhf: thresholds that no policy meets are reported") {
    auto of = problem{{0.4, 0.6}, {0.1, 0.3}, {0.35}, 0.1};
    CHECK(!solve(constraint::equal_to{}, of).converged);
    CHECK(!solve(constraint::at_least{}, of).converged);
    auto const loose = solve(constraint::at_most{}, of); // always holds
    CHECK(loose.converged);
    CHECK(loose.multipliers[0] == 0);
    of.thresholds = {0.05};
    CHECK(!solve(constraint::at_most{}, of).converged);
    CHECK(solve(constraint::at_least{}, of).converged);
    of.beta = 1e-3; // with all but no curvature where the rewards are maximised
    of.thresholds = {0.2};
    CHECK(solve(constraint::at_most{}, of).converged);
    CHECK(solve(constraint::at_least{}, of).converged);

    of.thresholds = {not_a_number};
    CHECK_THROWS_AS(solve(constraint::equal_to{}, of), domain_violation);
    of.thresholds = {};
    CHECK_THROWS_WITH_AS(solve(constraint::equal_to{}, of),
                         "kl_saddle_point: argument 'thresholds': expected 1 to 29 thresholds, got 0", argument_error);
    of.thresholds = {0.2, 0.2};
    CHECK_THROWS_AS(solve(constraint::equal_to{}, of), argument_error);
    of = {{0.5, 0.5}, {0, 1}, {0.5}, 0};
    CHECK_THROWS_AS(solve(constraint::equal_to{}, of), domain_violation);
}

TEST_CASE("constrained-rlhf: proxy points") {
    auto const values = reals{0.1, 0.4, 0.7, 0.9}, scores = reals{1, 3, 3, not_a_number};
    CHECK(metric::proxy_point<double>(view(values), view(scores)) == 0.4);
    CHECK_THROWS_AS(metric::proxy_point<double>(view(values), view(values).first(2)), argument_error);
    CHECK_THROWS_AS(metric::proxy_point<double>(view(), view()), domain_violation);
    CHECK_THROWS_WITH_AS(metric::joint_proxy_point<double>(view(values), view(scores).first(2)),
                         "joint_proxy_point: argument 'scores': expected at least 6, got 2", argument_error);
    // A saddle has no peak.
    auto points = reals{}, saddle = reals{};
    for (double x = -1; x <= 1; ++x)
        for (double y = -1; y <= 1; ++y) {
            points.insert(points.end(), {x, y});
            saddle.push_back(x * x - y * y);
        }
    auto const fit = metric::joint_proxy_point<double>(view(points), view(saddle));
    CHECK(!fit.concave);
    CHECK(std::isnan(fit.peak[0]));
    CHECK(close(fit.coefficients, {0, 0, 0, 1, 0, -1}, 1e-14));
}

TEST_CASE("constrained-rlhf: the cache prefers the same point, then the first one near; values are never refreshed") {
    auto level = 1.0;
    auto f = solver::cached_function{[&](row<double const> x) { return level + x[0]; }, 0.25};
    auto const at = [&](double x) { return f(row<double const>(&x, 1)); };
    CHECK(at(0.0) == 1.0);
    CHECK(at(0.375) == 1.375);
    level = 2;                // the function moves on
    CHECK(at(0.1875) == 1.0); // both are near: the first counts, and nothing is stored
    CHECK(at(0.4375) == 1.375);
    CHECK(at(0.375) == 1.375);
    CHECK(at(0.625) == 2.625); // not nearer than the tolerance
    CHECK(f.calls == 3);
    CHECK_THROWS_WITH_AS(solver::nelder_mead(f, reals{1, 2, 3}, 1),
                         "nelder_mead: argument 'simplex': expected 2 points of 1 coordinates, got 3", argument_error);
    CHECK_THROWS_AS(solver::nelder_mead(f, reals{1, not_a_number}, 1), domain_violation);
    CHECK_THROWS_AS(solver::nelder_mead(f, reals{}, 0), argument_error);
}

TEST_CASE("constrained-rlhf: correlated and saturated rewards") {
    constexpr auto n = std::size_t{20'000};
    for (auto const correlation : {-1.0, -0.5, 0.0, 0.9}) {
        auto r = reward::correlated_rewards<double>(n, correlation, {.seed = 3});
        for (auto& x : r) {
            x = std::log(x / (1 - x)) / 1.2; // z
        }
        auto const first = row<double const>(r.data(), n), second = row<double const>(r.data() + n, n);
        CHECK(std::abs(mean(first)) < 0.03);
        CHECK(std::abs(variance(second) - 1) < 0.04);
        CHECK(std::abs(weighted_sum(first, second) / n - correlation) < 0.04);
    }
    CHECK_THROWS_AS(reward::correlated_rewards<double>(3, 1.5, {}), domain_violation);
    auto const capped = reward::saturated{reward::table<double>({0.2, 0.9}, 2), 0.5};
    CHECK(capped.score(0, 0) == 0.2);
    CHECK(capped.score(0, 1) == 0.5);
}
