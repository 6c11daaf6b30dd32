#include "quantile_aggregation_draws.hpp"

#include "poise/execution/simd.hpp"
#include "poise/solver/quantile_fit.hpp"
#include "poise/solver/simplex_step.hpp"

#include <numeric>
#include <span>

using namespace quantile_aggregation_test;
namespace granularity = weighting::granularity;

namespace {

constexpr auto models = std::size_t{3}, levels = std::size_t{4};

template <class G, bool Normalized = true, class T = double>
std::vector<T> aggregate(std::vector<T> const& predictions, std::vector<T> const& logits, G g = {}) {
    auto const samples = predictions.size() / (models * levels);
    auto quantiles = std::vector<T>(samples * levels);
    weighting::quantile_aggregator<T, G, Normalized>(models, levels, g)
        .forward(execution::sequential{}, rows_of(predictions.data(), samples, models * levels), shared_row(logits),
                 rows_of(quantiles.data(), samples, levels));
    return quantiles;
}

/// Each model's quantiles ascend.
std::vector<double> monotone_predictions(std::uint64_t seed, std::size_t samples) {
    auto predictions = normals(seed, 20, samples * models * levels);
    for (std::size_t at = 0; at < predictions.size(); at += levels)
        std::sort(&predictions[at], &predictions[at] + levels);
    return predictions;
}
bool ascends(std::vector<double> const& q) {
    for (std::size_t at = 0; at < q.size(); at += levels)
        if (!std::is_sorted(&q[at], &q[at] + levels, [](double a, double b) { return a < b - 1e-12; })) return false;
    return true;
}
bool agree(std::vector<double> const& a, std::vector<double> const& b, double tolerance = 1e-9) {
    return std::ranges::equal(a, b, [=](double x, double y) { return near(x, y, tolerance); });
}

TEST_CASE("granularities are nested, and zero logits are the plain average") {
    for_all_seeds("nesting", [](std::uint64_t seed) {
        auto const predictions = normals(seed, 1, 5 * models * levels);
        auto const per_model = normals(seed, 2, models), per_level = normals(seed, 3, models * levels);
        auto repeated = std::vector<double>(models * levels);
        for (std::size_t j = 0; j < models; ++j)
            for (std::size_t k = 0; k < levels; ++k) repeated[j * levels + k] = per_model[j];
        auto const coarse = aggregate<granularity::coarse>(predictions, per_model);
        RC_ASSERT(agree(coarse, aggregate<granularity::medium>(predictions, repeated)));

        auto diagonal = std::vector<double>(models * levels * levels, -math::infinity<double>);
        for (std::size_t j = 0; j < models; ++j)
            for (std::size_t k = 0; k < levels; ++k)
                diagonal[(j * levels + k) * levels + k] = per_level[j * levels + k];
        auto const medium = aggregate<granularity::medium>(predictions, per_level);
        RC_ASSERT(agree(medium, aggregate<granularity::fine>(predictions, diagonal)));

        using labels = std::array<std::size_t, levels>;
        RC_ASSERT(agree(coarse, aggregate(predictions, per_model, granularity::grouped(labels{0, 0, 0, 0}))));
        RC_ASSERT(agree(medium, aggregate(predictions, per_level, granularity::grouped(labels{0, 1, 2, 3}))));
        auto const two_groups = normals(seed, 4, models * 2);
        auto spread = repeated;
        auto const groups = labels{0, 1, 1, 0};
        for (std::size_t j = 0; j < models; ++j)
            for (std::size_t k = 0; k < levels; ++k) spread[j * levels + k] = two_groups[j * 2 + groups[k]];
        RC_ASSERT(agree(aggregate<granularity::medium>(predictions, spread),
                        aggregate(predictions, two_groups, granularity::grouped(groups))));

        auto const average = aggregate<granularity::coarse>(predictions, std::vector<double>(models));
        auto const fine = aggregate<granularity::fine>(predictions, std::vector<double>(models * levels * levels));
        for (std::size_t i = 0; i < 5; ++i) {
            auto overall = 0.0;
            for (std::size_t k = 0; k < levels; ++k) {
                auto mean = 0.0;
                for (std::size_t j = 0; j < models; ++j)
                    mean += predictions[(i * models + j) * levels + k] / double(models);
                RC_ASSERT(near(average[i * levels + k], mean));
                overall += mean / double(levels);
            }
            for (std::size_t k = 0; k < levels; ++k) RC_ASSERT(near(fine[i * levels + k], overall));
        }
    });
}

TEST_CASE("one weight per model never makes quantiles cross; finer weights may") {
    auto medium_crosses = 0, fine_crosses = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        auto const predictions = monotone_predictions(seed, 3);
        REQUIRE(ascends(aggregate<granularity::coarse>(predictions, normals(seed, 1, models))));
        medium_crosses += !ascends(aggregate<granularity::medium>(predictions, normals(seed, 2, models * levels)));
        fine_crosses += !ascends(aggregate<granularity::fine>(predictions, normals(seed, 3, models * levels * levels)));
        // local weights
        auto const local = normals(seed, 4, 3 * models);
        auto quantiles = std::vector<double>(3 * levels);
        weighting::quantile_aggregator<double, granularity::coarse>(models, levels)
            .forward(execution::in_lanes{}, rows_of(predictions.data(), 3, models * levels),
                     rows_of(local.data(), 3, models), rows_of(quantiles.data(), 3, levels));
        REQUIRE(ascends(quantiles));
    }
    CHECK(medium_crosses > 0);
    CHECK(fine_crosses > 0);
}

TEST_CASE("Jensen: the aggregate's pinball loss is at most the weighted mean of the models'; convex along chords") {
    for_all_seeds("Jensen", [](std::uint64_t seed) {
        auto const predictions = normals(seed, 1, models * levels), tau = ascending_levels(seed, levels);
        auto const y = normals(seed, 2, 1)[0];
        auto const per_level = normals(seed, 3, models * levels);
        auto weights = per_level;
        for_each_row(execution::sequential{}, weighting::input_softmax{levels}, one(per_level), one(weights));
        auto const q = aggregate<granularity::medium>(predictions, per_level);
        for (std::size_t k = 0; k < levels; ++k) {
            auto bound = 0.0;
            for (std::size_t j = 0; j < models; ++j)
                bound += weights[j * levels + k] * objective::pinball_loss(tau[k], y - predictions[j * levels + k]);
            RC_ASSERT(objective::pinball_loss(tau[k], y - q[k]) <= bound + 1e-12);
        }
        auto const a = normals(seed, 4, models * levels * levels), b = normals(seed, 5, models * levels * levels);
        auto const loss = [&](double t) { // of the unnormalised weights (1 - t) a + t b
            auto mixed = a;
            for (std::size_t k = 0; k < a.size(); ++k) mixed[k] = (1 - t) * a[k] + t * b[k];
            auto const mixture = aggregate<granularity::fine, false>(predictions, mixed);
            auto total = 0.0;
            for (std::size_t k = 0; k < levels; ++k) total += objective::pinball_loss(tau[k], y - mixture[k]);
            return total;
        };
        auto const t = unit(seed, 6);
        RC_ASSERT(loss(t) <= (1 - t) * loss(0) + t * loss(1) + 1e-9);
    });
}

TEST_CASE("averaging quantiles of normals gives those of the averaged normal, never more dispersed than the pool") {
    for_all_seeds("Vincentisation", [](std::uint64_t seed) {
        auto const mean = normals(seed, 1, models), z = normals(seed, 2, levels), logits = normals(seed, 3, models);
        auto deviation = mean, weights = mean;
        for (std::size_t j = 0; j < models; ++j) deviation[j] = 0.1 + unit(seed, 4, j);
        softmax(row<double>(weights), row<double const>(logits));
        auto predictions = std::vector<double>(models * levels);
        for (std::size_t j = 0; j < models; ++j)
            for (std::size_t k = 0; k < levels; ++k) predictions[j * levels + k] = mean[j] + deviation[j] * z[k];
        auto const q = aggregate<granularity::coarse>(predictions, logits);
        auto const centre = dot(weights, mean), spread = dot(weights, deviation);
        for (std::size_t k = 0; k < levels; ++k) RC_ASSERT(near(q[k], centre + spread * z[k]));
        auto second_moment = 0.0;
        for (std::size_t j = 0; j < models; ++j)
            second_moment += weights[j] * (deviation[j] * deviation[j] + mean[j] * mean[j]);
        RC_ASSERT(spread * spread <= second_moment - centre * centre + 1e-12);
    });
}

template <class G, bool Normalized>
void check_gradient(std::uint64_t seed, G g = {}) {
    constexpr auto samples = std::size_t{5};
    auto const count = weighting::weight_count(g, models, levels);
    auto const predictions = normals(seed, 1, samples * models * levels),
               cotangent = normals(seed, 2, samples * levels);
    auto const run = [&](auto const& logits, auto batch_of) {
        using T = typename std::remove_cvref_t<decltype(logits)>::value_type;
        auto typed = std::vector<T>(predictions.begin(), predictions.end());
        auto quantiles = std::vector<T>(samples * levels);
        auto aggregator = weighting::quantile_aggregator<T, G, Normalized>(models, levels, g);
        aggregator.forward(execution::sequential{}, rows_of(std::as_const(typed).data(), samples, models * levels),
                           batch_of(logits), rows_of(quantiles.data(), samples, levels));
        return std::pair{aggregator, quantiles};
    };
    auto const pushed = [&](auto const& quantiles) {
        auto total = 0.0;
        for (std::size_t k = 0; k < quantiles.size(); ++k) total += cotangent[k] * quantiles[k].derivative;
        return total;
    };
    auto const predictions_batch = rows_of(predictions.data(), samples, models * levels);
    auto const cotangent_batch = rows_of(cotangent.data(), samples, levels);

    auto const logits = normals(seed, 3, count), direction = normals(seed, 4, count);
    auto const shared = [](auto const& x) { return shared_row(x); };
    auto global = run(logits, shared).first;
    auto gradient = logits;
    global.global_pullback(execution::sequential{}, predictions_batch, cotangent_batch, gradient);
    RC_ASSERT(near(dot(gradient, direction), pushed(run(along_direction(logits, direction), shared).second)));

    auto const each = normals(seed, 5, samples * count), each_direction = normals(seed, 6, samples * count);
    auto const per_sample = [&](auto const& x) { return rows_of(x.data(), samples, count); };
    auto local = run(each, per_sample).first;
    auto local_gradient = each;
    local.pullback(execution::sequential{}, predictions_batch, cotangent_batch,
                   rows_of(local_gradient.data(), samples, count));
    RC_ASSERT(near(dot(local_gradient, each_direction),
                   pushed(run(along_direction(each, each_direction), per_sample).second)));
}

TEST_CASE("gradients in the logits are the derivatives: global and local, every granularity, normalised or not") {
    for_all_seeds("aggregate gradient", [](std::uint64_t seed) {
        check_gradient<granularity::coarse, true>(seed);
        check_gradient<granularity::medium, true>(seed);
        check_gradient<granularity::fine, true>(seed);
        check_gradient<granularity::coarse, false>(seed);
        check_gradient<granularity::medium, false>(seed);
        check_gradient<granularity::fine, false>(seed);
        using labels = std::array<std::size_t, levels>;
        check_gradient<granularity::grouped<labels>, true>(seed, granularity::grouped(labels{0, 2, 1, 0}));
    });
}

TEST_CASE("extreme logits give exact zeros and ones") {
    auto const logits = std::vector{800.0, -800.0, 0.0, -800.0, 800.0, -800.0};
    auto weights = logits;
    for_each_row(execution::sequential{}, weighting::input_softmax{1}, one(logits), one(weights));
    CHECK(weights == std::vector{0.5, 0.0, 0.0, 0.0, 0.5, 0.0});
    for_each_row(execution::in_lanes{}, weighting::input_softmax{2}, one(logits), one(weights));
    CHECK(weights[0] == 0.5); // column 0: 800, 0, 800
    CHECK(weights[2] == 0.0);
    CHECK(weights[4] == 0.5);
}

struct problem {
    std::size_t samples = 40;
    std::vector<double> predictions, targets, tau;
    explicit problem(std::uint64_t seed)
        : predictions(normals(seed, 1, samples * models * levels)),
          targets(normals(seed, 2, samples)),
          tau{0.2, 0.4, 0.6, 0.8} {
        for (std::size_t i = 0; i < samples; ++i)
            for (std::size_t j = 0; j < models; ++j)
                for (std::size_t k = 0; k < levels; ++k) {
                    auto& q = predictions[(i * models + j) * levels + k];
                    q = targets[i] + (0.3 + 0.3 * double(j)) * q + double(k) - 1.5;
                }
    }
};

template <class G>
double best_loss(problem const& p, G g = {}, std::size_t steps = 1500) {
    static constexpr auto no_margin = std::array{0.0};
    auto const batch = rows_of(p.predictions.data(), p.samples, models * levels);
    auto const data = solver::quantile_data<decltype(batch), double>{batch, p.targets, p.tau, no_margin};
    auto fit = solver::global_quantile_fit(solver::quantile_objective(execution::in_lanes{}, data, g),
                                           solver::adam{.learning_rate = 0.05});
    for (std::size_t t = 0; t < steps; ++t) fit.step();
    CHECK(fit.best_value() <= fit.value());
    return fit.best_value();
}

TEST_CASE("optimal losses are nested: fine <= medium <= grouped <= coarse") {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        auto const p = problem(seed);
        using labels = std::array<std::size_t, levels>;
        auto const coarse = best_loss(p, granularity::coarse{}), medium = best_loss(p, granularity::medium{}),
                   fine = best_loss(p, granularity::fine{}),
                   grouped = best_loss(p, granularity::grouped(labels{0, 0, 1, 1}));
        constexpr auto fitted = 1.02; // a fit is within 2 % of its optimum
        CHECK(fine <= medium * fitted);
        CHECK(medium <= grouped * fitted);
        CHECK(grouped <= coarse * fitted);
        CHECK(fine < coarse);
    }
}

TEST_CASE("a softmax fit is at or above the optimum, and within 2 % of it") {
    // The optimum over one weight per model by projected subgradient steps on the simplex: the loss is convex there.
    auto const p = problem(7);
    auto const batch = rows_of(p.predictions.data(), p.samples, models * levels);
    auto weights = std::vector<double>(models, 1.0 / double(models)), gradient = weights;
    auto best = math::infinity<double>;
    auto quantiles = std::vector<double>(p.samples * levels), loss = quantiles, slope = quantiles;
    for (std::size_t t = 0; t < 20000; ++t) {
        auto aggregator = weighting::quantile_aggregator<double, granularity::coarse, false>(models, levels);
        auto const rows = rows_of(quantiles.data(), p.samples, levels);
        aggregator.forward(execution::sequential{}, batch, shared_row(weights), rows);
        for_each_row(execution::sequential{}, objective::pinball{}, p.targets,
                     rows_of(std::as_const(quantiles).data(), p.samples, levels), shared_row(p.tau),
                     rows_of(loss.data(), p.samples, levels), rows_of(slope.data(), p.samples, levels));
        best = std::min(best, mean(row<double const>(loss)));
        aggregator.global_pullback(execution::sequential{}, batch,
                                   rows_of(std::as_const(slope).data(), p.samples, levels), gradient);
        auto const rate = 0.5 / std::sqrt(1.0 + double(t)) / double(p.samples * levels);
        for_each_row(execution::sequential{}, solver::projected_gradient<double>{rate}, one(std::as_const(weights)),
                     one(std::as_const(gradient)), one(weights));
    }
    auto const fitted = best_loss(p, granularity::coarse{});
    CHECK(fitted >= best - 1e-4 * best); // `best` itself is above the optimum by a little
    CHECK(fitted <= 1.02 * best);
}

TEST_CASE("the local network learns by its own gradient, and its gradient is the derivative") {
    auto const p = problem(3);
    auto const features = normals(3, 50, p.samples * 2);
    auto const batch = rows_of(p.predictions.data(), p.samples, models * levels);
    auto const x = rows_of(features.data(), p.samples, 2);
    using network = policy::mlp<double, policy::dense<2, 5, policy::activation::elu>, policy::dense<5, models>>;
    auto const start = network(policy::initialization::glorot{}, random::address{.seed = 5});
    static constexpr auto no_margin = std::array{0.0};
    auto const data = solver::quantile_data<decltype(batch), double>{batch, p.targets, p.tau, no_margin};
    auto objective = solver::quantile_objective(execution::in_lanes{}, data, granularity::coarse{});

    // One step of gradient descent of rate 1 shows the gradient; compare it with central differences.
    auto one_step = solver::local_quantile_fit(objective, start, solver::sgd{.learning_rate = 1.0}, x);
    one_step.step();
    auto const value = [&](network const& net) {
        auto tape = network::tape(p.samples);
        auto gradient = std::vector<double>(p.samples * models);
        return objective(net.forward(x, tape), gradient.data());
    };
    for (std::size_t k = 0; k < network::parameter_count; ++k) {
        auto const slope = start.parameters()[k] - one_step.network().parameters()[k];
        auto up = start, down = start;
        up.parameters()[k] += 1e-6;
        down.parameters()[k] -= 1e-6;
        CHECK(slope == doctest::Approx((value(up) - value(down)) / 2e-6).epsilon(1e-4));
    }
    auto fit = solver::local_quantile_fit(objective, start, solver::adam{.learning_rate = 0.02}, x);
    auto const before = fit.step();
    for (auto t = 0; t < 200; ++t) fit.step();
    CHECK(fit.value() < before);
}

TEST_CASE("aggregation: wrong input is refused by name") {
    auto const predictions = std::vector<double>(12), bad = std::vector{0.0, 1.0};
    CHECK_THROWS_WITH_AS(aggregate<granularity::coarse>(predictions, bad),
                         "quantile_aggregator: argument 'logits': expected 3 elements, got 2", argument_error);
    auto const nan = std::vector{0.0, 1.0, std::numeric_limits<double>::quiet_NaN()};
    CHECK_THROWS_AS(aggregate<granularity::coarse>(predictions, nan), domain_violation);
    using labels = std::array<std::size_t, 2>;
    CHECK_THROWS_AS(aggregate(predictions, std::vector<double>(6), granularity::grouped(labels{0, 1})), argument_error);
    CHECK_THROWS_AS((weighting::quantile_aggregator<double, granularity::coarse>(0, 3)), argument_error);
    CHECK_THROWS_AS((weighting::quantile_aggregator<double, granularity::coarse>(3, 0)), argument_error);
    auto const objective_of = [&](std::span<double const> targets, std::span<double const> all_levels) {
        auto const data = solver::quantile_data<batch<double const>, double>{
            rows_of(predictions.data(), 2, 6), targets, all_levels, {}};
        return solver::quantile_objective(execution::sequential{}, data, granularity::coarse{});
    };
    CHECK_THROWS_WITH_AS(objective_of(predictions, {}),
                         "quantile_data: argument 'levels': expected at least one level, got 0", argument_error);
    CHECK_THROWS_WITH_AS(objective_of({}, std::span(predictions).first(3)),
                         "quantile_objective: argument 'targets': expected at least one sample, got 0", argument_error);
    CHECK_THROWS_WITH_AS(granularity::grouped(std::array{0, -1, 0}),
                         "granularity::grouped: argument 'labels': expected groups from 0 on, got -1",
                         domain_violation);

    auto const cotangent = std::vector<double>(4, 1.0), logits = std::vector<double>(models);
    auto quantiles = std::vector<double>(levels), gradient = logits;
    auto aggregator = weighting::quantile_aggregator<double, granularity::coarse>(models, levels);
    auto const pull = [&](std::vector<double> const& from, std::size_t rows, std::size_t columns) {
        aggregator.global_pullback(execution::sequential{}, one(predictions), rows_of(from.data(), rows, columns),
                                   gradient);
    };
    CHECK_THROWS_AS(pull(cotangent, 1, levels), argument_error); // nothing went forward
    aggregator.forward(execution::sequential{}, one(predictions), shared_row(logits), one(quantiles));
    CHECK_NOTHROW(pull(cotangent, 1, levels));
    CHECK_THROWS_WITH_AS(pull(cotangent, 2, 2),
                         "quantile_aggregator::global_pullback: argument 'cotangent': expected 4 elements, got 2",
                         argument_error);
    CHECK_THROWS_WITH_AS(pull({}, 0, levels),
                         "quantile_aggregator::global_pullback: argument 'cotangent': expected 1, got 0",
                         argument_error);
    CHECK_THROWS_AS(pull({1, nan[2], 1, 1}, 1, levels), domain_violation);
    auto const two = std::vector<double>(24), both = std::vector<double>(8, 1.0);
    auto two_gradients = std::vector<double>(2 * models);
    CHECK_THROWS_WITH_AS(aggregator.pullback(execution::sequential{}, rows_of(two.data(), 2, 12),
                                             rows_of(both.data(), 2, levels), rows_of(two_gradients.data(), 2, models)),
                         "quantile_aggregator::pullback: argument 'predictions': expected as many rows as the logits "
                         "of the forward before it, got 2",
                         argument_error);
}

} // namespace
