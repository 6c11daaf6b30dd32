#include "poise/core/dual.hpp"
#include "poise/estimator/bundle_advantage.hpp"
#include "poise/estimator/quantile_tracker.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/pipeline.hpp"
#include "poise/random/continuous.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

using namespace poise;
namespace quantiles = estimator::bundle_quantiles;
namespace credit = estimator::credit;
namespace risk = estimator::risk;

namespace {

using reals = std::vector<double>;

reals draw_reals(std::size_t n, double low, double high) {
    auto const steps = *rc::gen::container<std::vector<int>>(n, rc::gen::inRange(0, 1'000'001));
    auto values = reals(n);
    for (std::size_t k = 0; k < n; ++k) values[k] = low + (high - low) * steps[k] / 1e6;
    return values;
}
double draw_real(double low, double high) { return draw_reals(1, low, high)[0]; }
std::size_t draw_size(std::size_t least, std::size_t most) { return *rc::gen::inRange(least, most + 1); }
/// Few values, so that there are ties.
reals draw_scores(std::size_t n) {
    auto scores = draw_reals(n, 0, 3);
    for (auto& s : scores) s = std::floor(s);
    return scores;
}
reals draw_distribution(std::size_t n) {
    auto p = draw_reals(n, -1.5, 1.5);
    softmax(row<double>(p), row<double const>(p));
    return p;
}

template <class Values>
auto one_row(Values& values) {
    return rows_of(values.data(), 1, values.size());
}
template <class Kernel>
void run(Kernel const& kernel, auto&&... batches) {
    for_each_row(execution::sequential{}, kernel, batches...);
}
bool close(double a, double b, double tolerance = 1e-12) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }
bool close(reals const& a, reals const& b, double tolerance = 1e-12) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [=](auto x, auto y) { return close(x, y, tolerance); });
}
double mean_of(reals const& x) { return mean(row<double const>(x)); }

struct values {
    double cvar, rvar, mvar;
};
values risk_of(reals const& samples, metric::risk_values const& at = {}) {
    auto cvar = reals(1), rvar = reals(1), mvar = reals(1);
    run(at, one_row(samples), cvar, rvar, mvar);
    return {cvar[0], rvar[0], mvar[0]};
}
template <class Kernel>
reals advantage(Kernel const& kernel, reals const& rewards, double low, double high) {
    auto result = rewards;
    run(kernel, one_row(rewards), reals{low}, reals{high}, one_row(result));
    return result;
}
reals quantiles_of(reals const& rewards, reals const& probabilities, reals const& levels) {
    auto found = levels;
    run(estimator::distribution_quantiles{}, one_row(rewards), one_row(probabilities), one_row(levels), one_row(found));
    return found;
}
double positive(double x) { return std::max(x, 0.0); }

/// A bundle problem and what comes of it.
struct bundles {
    std::size_t questions, responses;
    reals scores, permutation, given;
    reals advantages{}, bundle_scores{}, used{}, bundle_advantages{};

    double& score(std::size_t i, std::size_t j) { return scores[i * responses + j]; }
    std::size_t response(std::size_t i, std::size_t j) const {
        return static_cast<std::size_t>(permutation[i * responses + j]);
    }
};
bundles draw_bundles(bool shuffled) {
    auto const questions = draw_size(1, 4), responses = draw_size(1, 6);
    auto of = bundles{questions, responses, draw_scores(questions * responses), {}, draw_reals(2, 0, 4)};
    for (std::size_t i = 0; i < questions; ++i) {
        auto order = std::vector<int>(responses);
        std::iota(order.begin(), order.end(), 0);
        for (std::size_t j = responses; shuffled && j > 1; --j) std::swap(order[j - 1], order[draw_size(0, j - 1)]);
        of.permutation.insert(of.permutation.end(), order.begin(), order.end());
    }
    return of;
}
template <class Quantiles, class Credit, class Risk>
bundles assess(bundles of, estimator::bundle_advantage<Quantiles, Credit, Risk> const& kernel) {
    of.advantages = of.scores;
    of.bundle_scores = of.bundle_advantages = reals(of.responses);
    of.used = reals(2);
    run(kernel, one_row(of.scores), one_row(of.permutation), one_row(of.given), one_row(of.advantages),
        one_row(of.bundle_scores), one_row(of.used), one_row(of.bundle_advantages));
    return of;
}

} // namespace

TEST_CASE("riskpo: the tail is Rockafellar and Uryasev's maximum; the range and the mean lie above it") {
    CHECK(rc::check([] {
        auto const x = draw_reals(draw_size(1, 12), -2, 2);
        auto const alpha = draw_real(0.05, 0.5), beta = draw_real(0.55, 0.95), omega = draw_real(0, 3);
        auto const found = risk_of(x, {alpha, beta, omega});
        auto const integral = [&](double a) {
            auto best = -math::infinity<double>;
            for (auto const q : x) {
                auto shortfall = 0.0;
                for (auto const v : x) shortfall += positive(q - v) / double(x.size());
                best = std::max(best, a * q - shortfall);
            }
            return best;
        };
        RC_ASSERT(close(found.cvar, integral(alpha) / alpha));
        RC_ASSERT(close(found.mvar, omega * integral(alpha) + integral(beta)));
        RC_ASSERT(close(found.rvar, (integral(beta) - integral(alpha)) / (beta - alpha)));
        RC_ASSERT(found.cvar <= found.rvar + 1e-12);
        RC_ASSERT(found.cvar <= mean_of(x) + 1e-12);
        // All of it, and equally likely atoms are a distribution.
        auto sorted = x, cumulative = x;
        std::sort(sorted.begin(), sorted.end());
        auto const equal = reals(x.size(), 1 / double(x.size()));
        cumulative_sum(row<double>(cumulative), row<double const>(equal));
        RC_ASSERT(close(metric::quantile_integral(row<double const>(sorted), row<double const>(cumulative),
                                                  row<double const>(equal), 0.0, 1.0),
                        mean_of(x)));
        auto cvar = reals(1), rvar = reals(1), mvar = reals(1);
        run(metric::distribution_risk_values{alpha, beta, omega}, one_row(x), one_row(equal), cvar, rvar, mvar);
        RC_ASSERT(close(cvar[0], found.cvar) && close(rvar[0], found.rvar) && close(mvar[0], found.mvar));
    }));
}

TEST_CASE("riskpo: the advantage is concave, does not decrease, and is 0 above the upper quantile") {
    CHECK(rc::check([] {
        auto const omega = draw_real(0, 3), low = draw_real(-1, 1), high = draw_real(-1, 1); // these may cross
        auto const ends = draw_reals(2, -2, 2);
        auto const r = reals{std::min(ends[0], ends[1]), (ends[0] + ends[1]) / 2, std::max(ends[0], ends[1])};
        auto const a = advantage(estimator::mixed_value_at_risk{omega}, r, low, high);
        auto const g = advantage(estimator::range_value_at_risk{}, r, low, high);
        for (std::size_t k = 0; k < 3; ++k) {
            auto const range = positive(r[k] - low) - positive(r[k] - high) + low - high;
            RC_ASSERT(close(g[k], range));
            RC_ASSERT(close(a[k], -(1 + omega) * positive(low - r[k]) + range));
            RC_ASSERT(a[k] <= 0);
            if (r[k] >= std::max(low, high)) RC_ASSERT(a[k] == 0);
        }
        RC_ASSERT(a[0] <= a[2]);
        RC_ASSERT(a[1] >= (a[0] + a[2]) / 2 - 1e-12);

        auto const shift = draw_real(-2, 2), scale = draw_real(0.1, 4);
        auto moved = r, scaled = r;
        for (auto& x : moved) x += shift;
        for (auto& x : scaled) x *= scale;
        RC_ASSERT(close(advantage(estimator::mixed_value_at_risk{omega}, moved, low + shift, high + shift), a));
        auto expected = a;
        for (auto& x : expected) x *= scale;
        RC_ASSERT(close(advantage(estimator::mixed_value_at_risk{omega}, scaled, low * scale, high * scale), expected));
    }));
}

TEST_CASE("riskpo: the normalised advantage is the paper's, over the weight and the mass") {
    CHECK(rc::check([] {
        auto const alpha = draw_real(0.05, 0.5), beta = draw_real(0.55, 0.95), omega = draw_real(0, 3);
        auto const low = draw_real(-1, 1), high = draw_real(-1, 1), weight = (1 + omega) * alpha / (beta - alpha);
        auto const r = draw_reals(5, -2, 2);
        auto expected = advantage(estimator::mixed_value_at_risk{omega}, r, low, high);
        for (auto& a : expected) a /= (weight + 1) * (beta - alpha);
        RC_ASSERT(close(advantage(estimator::normalized_value_at_risk<>{alpha, beta, weight, 0}, r, low, high),
                        expected, 1e-11));
    }));
}

TEST_CASE("riskpo: p (A - E A) is the gradient of mixed value at risk in a softmax's logits") {
    CHECK(rc::check([] {
        using D = dual<double>;
        auto const n = draw_size(2, 6);
        auto const rewards = draw_reals(n, -1, 1), logits = draw_reals(n, -1.5, 1.5);
        auto const at = metric::distribution_risk_values{.alpha = 0.2, .beta = 0.8, .omega = draw_real(0, 2)};
        auto p = logits;
        softmax(row<double>(p), row<double const>(logits));
        auto const q = quantiles_of(rewards, p, {at.alpha, at.beta});
        auto const a = advantage(estimator::mixed_value_at_risk{at.omega}, rewards, q[0], q[1]);
        auto const g = advantage(estimator::range_value_at_risk{}, rewards, q[0], q[1]);
        auto const expected = [&](reals const& x) { return weighted_sum(row<double const>(p), row<double const>(x)); };
        for (std::size_t k = 0; k < n; ++k) {
            auto moving = std::vector<D>(logits.begin(), logits.end());
            moving[k].derivative = 1;
            softmax(row<D>(moving), row<D const>(moving));
            auto const atoms = std::vector<D>(rewards.begin(), rewards.end());
            auto cvar = std::vector<D>(1), rvar = cvar, mvar = cvar;
            run(at, one_row(atoms), one_row(moving), cvar, rvar, mvar);
            RC_ASSERT(close(mvar[0].derivative, p[k] * (a[k] - expected(a)), 1e-11));
            RC_ASSERT(close(rvar[0].derivative * (at.beta - at.alpha), p[k] * (g[k] - expected(g)), 1e-11));
        }
    }));
}

TEST_CASE("riskpo: what the advantage's covariance with log pi lacks to the reward's") {
    auto const covariance = [](reals const& p, reals const& x) {
        auto total = 0.0, mean_log = 0.0, mean_x = 0.0;
        for (std::size_t k = 0; k < p.size(); ++k) {
            total += p[k] * std::log(p[k]) * x[k];
            mean_log += p[k] * std::log(p[k]);
            mean_x += p[k] * x[k];
        }
        return total - mean_log * mean_x;
    };
    auto const difference = [&](reals const& p, reals const& r, double omega, double low, double high) {
        return covariance(p, advantage(estimator::mixed_value_at_risk{omega}, r, low, high)) - covariance(p, r);
    };
    CHECK(rc::check([&] {
        auto const n = draw_size(2, 8);
        auto const p = draw_distribution(n), r = draw_reals(n, 0, 1);
        auto const omega = draw_real(0, 3), low = draw_real(0, 0.5), high = draw_real(0.5, 1);
        auto below = r, above = r;
        for (auto& x : below) x = positive(low - x);
        for (auto& x : above) x = positive(x - high);
        RC_ASSERT(close(difference(p, r, omega, low, high), -omega * covariance(p, below) - covariance(p, above)));
    }));
    // It need not be negative: where log pi increases with R and the tail weighs much, entropy is not preserved.
    CHECK(difference({0.1, 0.2, 0.7}, {0, 0.5, 1}, 5, 0.4, 0.9) > 0);
}

TEST_CASE("riskpo: tracked quantiles converge with decreasing steps") {
    auto q = reals{0.5, 0.5, 0.5};
    auto const levels = reals{0.2, 0.5, 0.8};
    auto const draws = random::generator{.seed = 5};
    auto scores = reals(8);
    for (std::size_t t = 0; t < 20'000; ++t) {
        for (std::size_t j = 0; j < scores.size(); ++j) scores[j] = random::uniform<double>(draws.at(t, j));
        run(estimator::quantile_tracker{.learning_rate = 1 / (1.0 + double(t))}, one_row(q), one_row(levels),
            one_row(scores), one_row(q));
    }
    for (std::size_t k = 0; k < 3; ++k) CHECK(std::abs(q[k] - levels[k]) < 0.01);
}

TEST_CASE("riskpo: bundles, credits and quantiles against a plain loop") {
    auto const compare = [](auto kernel, auto const& tail, auto const& credit_of, double of_own) {
        auto const of = assess(draw_bundles(true), kernel);
        auto const b = of.questions, g = of.responses;
        auto score = [&](std::size_t i, std::size_t j) { return of.scores[i * g + of.response(i, j)]; };
        auto const deviation = [](reals const& x, double least) {
            if (x.size() < 2) return 1.0;
            auto const sd = std::sqrt(sample_variance(row<double const>(x)));
            return sd <= least ? 1.0 : sd;
        };
        auto totals = reals(g);
        for (std::size_t j = 0; j < g; ++j)
            for (std::size_t i = 0; i < b; ++i) totals[j] += score(i, j);
        auto sorted = totals;
        std::sort(sorted.begin(), sorted.end());
        auto const quantile = [&](double level, double given) {
            auto const at = level * double(g - 1);
            auto const k = static_cast<std::size_t>(at), next = std::min(k + 1, g - 1);
            auto const own = sorted[k] + (at - double(k)) * (sorted[next] - sorted[k]);
            return of_own * own + (1 - of_own) * given;
        };
        auto const low = quantile(0.2, of.given[0]), high = quantile(0.8, of.given[1]);
        RC_ASSERT(close(of.used, {low, high}));
        RC_ASSERT(of.bundle_scores == totals);
        for (std::size_t j = 0; j < g; ++j) {
            auto const range = (positive(low - totals[j]) - positive(high - totals[j])) / (0.6 + 1e-6);
            auto const a = tail(totals[j], low, high, range) / (deviation(totals, 1e-12) + 1e-6);
            RC_ASSERT(close(of.bundle_advantages[j], a, 1e-9));
            auto lacking = 0.0;
            for (std::size_t i = 0; i < b; ++i)
                lacking += score(i, j) - mean(row<double const>(of.scores.data() + i * g, g));
            for (std::size_t i = 0; i < b; ++i) {
                auto const own =
                    reals(of.scores.begin() + std::ptrdiff_t(i * g), of.scores.begin() + std::ptrdiff_t((i + 1) * g));
                auto const credited = credit_of(a, score(i, j), score(i, j) - mean_of(own), lacking, double(b),
                                                deviation(own, 1e-3) + 1e-6);
                RC_ASSERT(close(of.advantages[i * g + of.response(i, j)], credited, 1e-9));
            }
        }
    };
    auto const averse = [](double r, double low, double, double range) {
        return (1.5 * -positive(low - r) / (0.2 + 1e-6) + range) / 2.5;
    };
    auto const seeking = [](double r, double, double high, double range) {
        return (1.5 * positive(r - high) / (1 - 0.8 + 1e-6) + range) / 2.5;
    };
    auto const only_range = [](double, double, double, double range) { return range; };
    CHECK(rc::check([&] {
        compare(
            estimator::bundle_advantage<>{}, averse,
            [](double a, double, double, double, double, double sd) { return a / sd; }, 0);
        compare(
            estimator::bundle_advantage<quantiles::mixed, credit::by_outcome, risk::seeking>{}, seeking,
            [](double a, double s, double, double, double, double) { return a * (s > 0 ? 0.5 : 1.5); }, 0.5);
        compare(
            estimator::bundle_advantage<quantiles::batch, credit::share_of_deviation, risk::range>{}, only_range,
            [](double a, double, double d, double total, double b, double) {
                return std::abs(total) <= 1e-6 ? a / b : a * d / total;
            },
            1);
        compare(
            estimator::bundle_advantage<quantiles::tracked, credit::uniform, risk::averse>{}, averse,
            [](double a, double, double, double, double, double) { return a; }, 0);
    }));
}

TEST_CASE("riskpo: one permutation of the responses of all questions permutes bundles and advantages alike") {
    CHECK(rc::check([] {
        auto const before = assess(draw_bundles(false), estimator::bundle_advantage<>{});
        auto moved = before;
        auto order = std::vector<std::size_t>(before.responses);
        std::iota(order.begin(), order.end(), std::size_t{0});
        for (std::size_t j = order.size(); j > 1; --j) std::swap(order[j - 1], order[draw_size(0, j - 1)]);
        auto const permuted = [&](reals const& x) {
            auto result = x;
            for (std::size_t k = 0; k < x.size(); ++k)
                result[k] = x[k / order.size() * order.size() + order[k % order.size()]];
            return result;
        };
        moved.scores = permuted(before.scores);
        moved = assess(moved, estimator::bundle_advantage<>{});
        RC_ASSERT(moved.bundle_scores == permuted(before.bundle_scores));
        RC_ASSERT(close(moved.bundle_advantages, permuted(before.bundle_advantages), 1e-9));
        RC_ASSERT(close(moved.advantages, permuted(before.advantages), 1e-9));
    }));
}

TEST_CASE("riskpo: the stage in a pipeline is the kernel without permutation") {
    CHECK(rc::check([] {
        auto const of = draw_bundles(false);
        auto advantages = of.scores, gradient = of.scores, own = of.scores;
        auto const low = reals{of.given[0]}, high = reals{of.given[1]}, log_p = reals(of.scores.size(), -1.0);
        evaluate(execution::sequential{},
                 estimator::bundled<>{.questions = of.questions} | objective::clipped_surrogate{},
                 inputs(field::reward = one_row(of.scores), field::lower_quantile = low, field::upper_quantile = high,
                        field::log_probability = one_row(log_p), field::old_log_probability = one_row(log_p)),
                 outputs(field::advantage = one_row(advantages),
                         field::gradient<field::log_probability> = one_row(gradient)));
        RC_ASSERT(advantages == assess(of, estimator::bundle_advantage<>{}).advantages);
        for (std::size_t k = 0; k < gradient.size(); ++k)
            RC_ASSERT(close(gradient[k] * double(gradient.size()), -advantages[k]));
        using by_batch = estimator::bundled<quantiles::batch, credit::uniform>;
        run(by_batch{.questions = of.questions}, one_row(of.scores), one_row(own));
        RC_ASSERT(own == assess(of, estimator::bundle_advantage<quantiles::batch, credit::uniform>{}).advantages);
    }));
    // The same where each response has tokens.
    auto const scores = reals{1, 0, 1, 1, 0, 0}, low = reals{1}, high = reals{2}, log_p = reals(6 * 3, -1.0);
    auto advantages = scores, gradient = log_p;
    auto const of_tokens = [](auto& values) { return sequences_of(one_row(values), 6); };
    evaluate(
        execution::sequential{}, estimator::bundled<>{.questions = 2} | objective::clipped_surrogate{},
        inputs(field::reward = one_row(scores), field::lower_quantile = low, field::upper_quantile = high,
               field::log_probability = of_tokens(log_p), field::old_log_probability = of_tokens(log_p)),
        outputs(field::advantage = one_row(advantages), field::gradient<field::log_probability> = of_tokens(gradient)));
    CHECK(advantages == assess({2, 3, scores, {0, 1, 2, 0, 1, 2}, {1, 2}}, estimator::bundle_advantage<>{}).advantages);
    for (std::size_t k = 0; k < gradient.size(); ++k) CHECK(close(gradient[k] * 18, -advantages[k / 3]));
    CHECK_THROWS_WITH_AS(estimator::bundled<>{.questions = 3}.check_length(8),
                         "bundled: argument 'reward': expected a multiple of the number of questions (3), got 8",
                         argument_error);
}

TEST_CASE("riskpo: edges") {
    // One sample is every quantile.
    auto const one = risk_of({3});
    CHECK(close(one.cvar, 3));
    CHECK(close(one.rvar, 3));
    CHECK(close(one.mvar, (1.5 * 0.2 + 0.6) * 3));
    // omega = 0 is the lower CVaR at beta.
    CHECK(advantage(estimator::mixed_value_at_risk{0}, {0, 1, 2, 3}, 0.5, 2) == reals{-2, -1, 0, 0});
    // A score equal to the tracked quantile is not counted.
    auto q = reals{1};
    run(estimator::quantile_tracker{}, one_row(q), reals{0.5}, reals{1}, one_row(q));
    CHECK(q[0] == 1 + 0.1 * 0.5);
    // Bundles that are all equal: a deviation of 1, not of 1e-6.
    auto equal = assess({2, 3, {1, 1, 1, 0, 0, 0}, {0, 1, 2, 0, 1, 2}, {2, 3}},
                        estimator::bundle_advantage<quantiles::tracked, credit::uniform, risk::range>{});
    CHECK(close(equal.advantages, reals(6, -1 / (0.6 + 1e-6) / (1 + 1e-6))));
    // One bundle: its own score is both quantiles, and there is no deviation.
    auto single = assess({2, 1, {1, 1}, {0, 0}, {0, 0}}, estimator::bundle_advantage<quantiles::batch>{});
    CHECK(single.used == reals{2, 2});
    CHECK(single.advantages == reals{0, 0});
    CHECK(quantiles_of({3, 1, 2}, {0.2, 0.5, 0.3}, {0, 0.5, 0.51, 1}) == reals{1, 1, 2, 3});
    CHECK(std::isnan(advantage(estimator::mixed_value_at_risk{}, {math::quiet_nan<double>}, 0, 1)[0]));
}

TEST_CASE("riskpo: what is refused") {
    auto const none = reals{}, two = reals{1, 2}, wrong = reals{1, math::quiet_nan<double>};
    auto out = reals(1);
    auto const values = [&](metric::risk_values const& at, reals const& samples) {
        run(at, one_row(samples), out, out, out);
    };
    CHECK_THROWS_WITH_AS(values({}, none), "risk_values: argument 'samples': expected at least 1 element, got 0",
                         argument_error);
    CHECK_THROWS_WITH_AS(values({}, wrong), "risk_values: argument 'samples': expected numbers, not NaN, got nan",
                         domain_violation);
    CHECK_THROWS_WITH_AS(values({.alpha = 0.8, .beta = 0.8}, two),
                         "risk_values: argument 'alpha': expected a level below beta, got 0.8", domain_violation);
    CHECK_THROWS_AS(values({.alpha = 0}, two), domain_violation);
    CHECK_THROWS_AS(values({.beta = 1}, two), domain_violation);
    CHECK_THROWS_AS(values({.omega = -1}, two), domain_violation);
    CHECK_THROWS_AS(advantage(estimator::mixed_value_at_risk{-1}, two, 0, 1), domain_violation);
    CHECK_THROWS_AS(advantage(estimator::normalized_value_at_risk<>{.mixing_weight = -1}, two, 0, 1), domain_violation);
    CHECK_THROWS_WITH_AS(run(estimator::quantile_tracker{}, one_row(two), reals{1, 0.5}, two, one_row(out)),
                         "for_each_row: argument 'levels': expected 1 rows, got 2", argument_error);
    auto tracked = reals(1);
    CHECK_THROWS_WITH_AS(run(estimator::quantile_tracker{}, reals{0}, reals{1}, one_row(two), tracked),
                         "quantile_tracker: argument 'levels': expected numbers strictly between 0 and 1, got 1",
                         domain_violation);
    auto of = bundles{2, 3, reals(6), {0, 1, 2, 0, 1, 2}, {0, 1}};
    CHECK_NOTHROW(assess(of, estimator::bundle_advantage<>{}));
    of.permutation[5] = 1;
    CHECK_THROWS_WITH_AS(assess(of, estimator::bundle_advantage<>{}),
                         "bundle_advantage: argument 'permutation': expected each of 0 … 2 once for every question, "
                         "got 1",
                         domain_violation);
    of.permutation = {0, 1, 2};
    CHECK_THROWS_AS(assess(of, estimator::bundle_advantage<>{}), argument_error);
    of.scores = reals(5);
    CHECK_THROWS_WITH_AS(assess(of, estimator::bundle_advantage<>{}),
                         "bundle_advantage: argument 'scores': expected as many responses to each question as "
                         "bundle_scores (3), got 5",
                         argument_error);
}

namespace {

// Two of five atoms hold the lower 0.4; the middle is 2 and 3.
constexpr auto constant = [] {
    auto const samples = std::array{4.0, 0.0, 3.0, 1.0, 2.0};
    auto cvar = std::array{0.0}, rvar = cvar, mvar = cvar;
    for_each_row(execution::sequential{}, metric::risk_values{.alpha = 0.4, .beta = 0.8, .omega = 1},
                 rows_of<5>(samples.data(), 1, 5), cvar, rvar, mvar);
    return std::array{cvar[0], rvar[0], mvar[0]};
}();
static_assert(math::abs(constant[0] - 0.5) < 1e-15 && math::abs(constant[1] - 2.5) < 1e-14);
static_assert(math::abs(constant[2] - 1.4) < 1e-14);

constexpr auto constant_advantage = [] {
    auto const rewards = std::array{0.0, 1.0, 2.0};
    auto const low = std::array{0.5}, high = std::array{1.5};
    auto result = rewards;
    for_each_row(execution::sequential{}, estimator::mixed_value_at_risk{.omega = 1}, rows_of<3>(rewards.data(), 1, 3),
                 rows_of<1>(low.data(), 1, 1), rows_of<1>(high.data(), 1, 1), rows_of<3>(result.data(), 1, 3));
    return result;
}();
static_assert(constant_advantage == std::array{-2.0, -0.5, 0.0});

} // namespace
