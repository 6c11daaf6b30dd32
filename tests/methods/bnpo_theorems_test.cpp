#include "bnpo_batch.hpp"

#include "poise/core/dual.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/metric/beta_normalized_variance.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/random/random.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

/// The theorems of the sheet on random batches, and the edges.
namespace {

using namespace poise;
using bnpo_test::bnpo;
using table = std::vector<std::vector<double>>;
using metric::beta_normalized_variance;

constexpr auto eighth = std::numbers::pi / 8;

doctest::Approx near(double value, double tolerance = 1e-12) { return doctest::Approx(value).epsilon(tolerance); }
double uniform(std::uint32_t seed, std::uint32_t index, double low, double high) {
    return low + (high - low) * random::uniform<double>({.seed = 77, .step = seed, .index = index});
}

/// Rewards of 0 or 1 of prompts of different difficulty.
table binary_rewards(std::uint32_t seed) {
    auto rewards = table(3 + seed % 5);
    auto index = std::uint32_t{0};
    for (auto& group : rewards) {
        auto const p = uniform(seed, index++, 0, 1);
        group.resize(4 + seed % 4);
        for (auto& r : group) r = uniform(seed, index++, 0, 1) < p;
    }
    return rewards;
}

/// Advantages of one prompt with given parameters, and its weight.
std::vector<double> normalized(std::vector<double> const& rewards, double alpha, double beta, double& weight) {
    auto advantage = rewards;
    auto p = std::array{0.0}, w = p;
    auto const alphas = std::array{alpha}, betas = std::array{beta};
    auto const rows = rows_of(advantage.data(), 1, advantage.size());
    for_each_row(execution::sequential{}, estimator::success_rate{}, rows_of(rewards.data(), 1, rewards.size()), rows,
                 p);
    for_each_row(execution::sequential{}, weighting::beta_normalization{}, rows, p, alphas, betas, rows, w);
    weight = w[0];
    return advantage;
}

} // namespace

TEST_CASE("bnpo theorems 1, 2: alpha = beta = 1 is REINFORCE, 3/2 is pi/8 times GRPO") {
    for (std::uint32_t seed = 0; seed < 100; ++seed)
        for (auto const& group : binary_rewards(seed)) {
            auto weight = 0.0;
            auto const plain = normalized(group, 1, 1, weight);
            CHECK(weight == 1);
            auto const scaled = normalized(group, 1.5, 1.5, weight);
            auto centered = group, grpo = group;
            auto const in = rows_of(group.data(), 1, group.size());
            for_each_row(execution::sequential{}, estimator::centered{}, in, rows_of(centered.data(), 1, group.size()));
            for_each_row(execution::sequential{}, estimator::group_relative<>{.epsilon = 0}, in,
                         rows_of(grpo.data(), 1, group.size()));
            auto const p = sum(row(group)) / double(group.size());
            if (p > 0 && p < 1) CHECK(weight == near(eighth / std::sqrt(p * (1 - p))));
            for (std::size_t k = 0; k < group.size(); ++k) {
                CHECK(plain[k] == near(centered[k]));
                CHECK(scaled[k] == near(eighth * grpo[k]));
            }
        }
}

TEST_CASE("bnpo theorem 3: alpha = 1 + a/3, beta = 1 + b/3 has the least variance") {
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        auto const a = uniform(seed, 0, 0.05, 12), b = uniform(seed, 1, 0.05, 12);
        auto const best = beta_normalized_variance(1 + a / 3, 1 + b / 3, a, b);
        auto const alpha = uniform(seed, 2, 0.1, (a + 3) / 2), beta = uniform(seed, 3, 0.1, (b + 3) / 2);
        auto const away = std::abs(alpha - 1 - a / 3) + std::abs(beta - 1 - b / 3);
        if (away > 1e-3) CHECK(best < beta_normalized_variance(alpha, beta, a, b));
        auto const in_alpha = beta_normalized_variance(dual{1 + a / 3, 1.0}, dual{1 + b / 3}, dual{a}, dual{b});
        auto const in_beta = beta_normalized_variance(dual{1 + a / 3}, dual{1 + b / 3, 1.0}, dual{a}, dual{b});
        CHECK(std::abs(in_alpha.derivative) < 1e-12 * best);
        CHECK(std::abs(in_beta.derivative) < 1e-12 * best);
    }
}

TEST_CASE("bnpo theorems 4, 5: closed forms of the variance") {
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        auto const a = uniform(seed, 0, 0.05, 12), b = uniform(seed, 1, 0.05, 12);
        CHECK(beta_normalized_variance(1.0, 1.0, a, b) == near(a * b / ((a + b) * (a + b + 1))));
        CHECK(beta_normalized_variance(1.5, 1.5, a, b) == near(eighth * eighth));
        auto const closed = std::exp(3 * math::log_beta(1 + a / 3, 1 + b / 3) - math::log_beta(a, b));
        CHECK(beta_normalized_variance(1 + a / 3, 1 + b / 3, a, b) == near(closed));
        CHECK(beta_normalized_variance((a + 3) / 2, 1.0, a, b) == math::infinity<double>);
        CHECK(beta_normalized_variance(1.0, (b + 3) / 2, a, b) == math::infinity<double>);
    }
    CHECK(beta_normalized_variance(1.5, 1.5, 1.5, 1.5) ==
          near(std::exp(3 * math::log_beta(1.5, 1.5) - math::log_beta(1.5, 1.5))));
    // a, b -> 0: the optimum is REINFORCE's, for the variance of prompts that are all solved or all failed
    auto const small = 1e-9;
    CHECK(beta_normalized_variance(1 + small / 3, 1 + small / 3, small, small) ==
          near(beta_normalized_variance(1.0, 1.0, small, small), 1e-8));
    CHECK(std::isnan(beta_normalized_variance(1.0, 1.0, 0.0, 2.0)));
    CHECK(std::isnan(beta_normalized_variance(-1.0, 1.0, 3.0, 2.0)));
}

TEST_CASE("bnpo theorems 6, 7, 8, 10: sums, reflection, other ranges, equal components") {
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        auto const rewards = binary_rewards(seed);
        auto reflected = rewards, mapped = rewards;
        auto const scale = uniform(seed, 90, 0.5, 3), shift = uniform(seed, 91, -2, 2);
        for (std::size_t q = 0; q < rewards.size(); ++q)
            for (std::size_t i = 0; i < rewards[q].size(); ++i) {
                reflected[q][i] = 1 - rewards[q][i];
                mapped[q][i] = shift + scale * rewards[q][i];
            }
        auto const of = bnpo(rewards), mirror = bnpo(reflected),
                   other = bnpo(mapped, {.least = shift, .greatest = shift + scale});
        auto const thrice = bnpo_test::decomposed_bnpo<double>({rewards, rewards, rewards}, {{}, {}, {}});
        CHECK(mirror.alpha == near(of.beta, 1e-9));
        CHECK(mirror.beta == near(of.alpha, 1e-9));
        for (std::size_t q = 0; q < rewards.size(); ++q) {
            CHECK(std::abs(sum(row(of.advantages[q]))) < 1e-9);
            for (std::size_t i = 0; i < rewards[q].size(); ++i) {
                auto const a = of.advantages[q][i];
                CHECK(mirror.advantages[q][i] == near(-a, 1e-9));
                CHECK(other.advantages[q][i] == near(a, 1e-9));
                CHECK(thrice[q][i] == near(a));
            }
        }
    }
}

TEST_CASE("bnpo theorem 9: with the exact p the expected gradient is grad p / f(p)") {
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        auto const p = uniform(seed, 0, 0.02, 0.98);
        auto const alpha = uniform(seed, 1, 1, 4), beta = uniform(seed, 2, 1, 4);
        auto const weight = std::exp(-weighting::log_beta_density(p, alpha, beta));
        // p = sigmoid(theta): d log P(1) = 1 - p, d log P(0) = -p, d p = p (1 - p)
        auto const expected = p * weight * (1 - p) * (1 - p) + (1 - p) * weight * (0 - p) * (-p);
        CHECK(expected == near(weight * p * (1 - p)));

        auto const ascended = [](double q) { return std::numbers::pi / 4 * std::asin(std::sqrt(q)); };
        auto const h = 1e-5 * p * (1 - p);
        CHECK((ascended(p + h) - ascended(p - h)) / (2 * h) ==
              near(std::exp(-weighting::log_beta_density(p, 1.5, 1.5)), 1e-6));
    }
}

TEST_CASE("bnpo: prompts that are all solved or all failed have exactly 0, whatever the weight") {
    for (auto const n : {std::size_t{2}, std::size_t{3}, std::size_t{7}}) {
        auto const rewards = table{std::vector(n, 0.0), std::vector(n, 1.0), std::vector(n, 0.3)};
        auto const of = bnpo(rewards);
        for (auto const& group : of.advantages)
            for (auto const a : group) CHECK(a == 0);
    }
    auto const of = bnpo(table{{0, 0}, {1, 0}, {1, 0}, {0, 1}}, {}, {.greatest_weight = 50});
    CHECK(of.alpha > 1);
    CHECK(of.weights[0] == 50);

    auto const nan_unless_defined = [](double p, double alpha, double beta) {
        return std::isnan(weighting::log_beta_density(p, alpha, beta));
    };
    CHECK(!nan_unless_defined(0.5, 0.5, 2));
    for (auto const p : {-0.1, 1.1, std::nan("")}) CHECK(nan_unless_defined(p, 1, 1));
    for (auto const alpha : {-0.5, 0.0, std::nan("")}) {
        CHECK(nan_unless_defined(0.5, alpha, 1));
        CHECK(nan_unless_defined(0.5, 1, alpha));
    }
}

TEST_CASE("bnpo: batches without a Beta distribution fall back on REINFORCE") {
    auto const fit = [](std::vector<double> const& p) {
        auto a = std::array{0.0}, b = a, alpha = a, beta = a;
        for_each_row(execution::sequential{}, estimator::beta_fit{}, rows_of(p.data(), 1, p.size()), a, b, alpha, beta);
        return std::array{a[0], b[0], alpha[0], beta[0]};
    };
    CHECK(fit({0.1, 0.1, 0.1}) == std::array{0.0, 0.0, 1.0, 1.0}); // the mean is not 0.1
    CHECK(fit({0.6}) == std::array{0.0, -1.0, 1.0, 1.0});
    auto const spread = fit({0.0, 1.0});
    CHECK(spread[0] == near(-0.25));
    CHECK(spread[1] == near(-0.25));
    CHECK(spread[2] == 1);
    CHECK(spread[3] == 1);
}

TEST_CASE("bnpo: groups of any size, and a single rollout where it is accepted") {
    auto const rewards = table{{1, 0, 0}, {1, 1, 0, 1}, {1}, {0, 0, 0, 0, 1}};
    auto const padded = bnpo(rewards, {.single_rollouts = true});
    CHECK(padded.advantages[2][0] == 0);
    CHECK(padded.p[2] == 1);

    auto flat = std::vector<double>{};
    auto offsets = std::vector<std::size_t>{0};
    for (auto const& group : rewards) {
        flat.insert(flat.end(), group.begin(), group.end());
        offsets.push_back(flat.size());
    }
    auto advantage = flat, p = std::vector<double>(4), weights = p;
    auto const alpha = std::array{padded.alpha}, beta = std::array{padded.beta};
    auto const rows = ragged_batch<double>(advantage.data(), offsets);
    for_each_row(execution::sequential{}, estimator::success_rate{.single_rollouts = true},
                 ragged_batch<double const>(flat.data(), offsets), rows, p);
    for_each_row(execution::sequential{}, weighting::beta_normalization{}, rows, std::as_const(p), shared_row(alpha),
                 shared_row(beta), rows, weights);
    for (std::size_t q = 0; q < 4; ++q)
        for (std::size_t i = 0; i < rewards[q].size(); ++i) CHECK(rows(q, i) == near(padded.advantages[q][i]));
}

TEST_CASE("bnpo: in one pipeline, the fit over the batch") {
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
        auto const rewards = binary_rewards(seed);
        auto const whole = bnpo(rewards);
        auto const prompts = rewards.size(), rollouts = rewards[0].size();
        auto flat = std::vector<double>{};
        for (auto const& group : rewards) flat.insert(flat.end(), group.begin(), group.end());
        auto const log_p = std::vector<double>(flat.size(), -1.0);
        auto gradient = flat, weights = std::vector<double>(prompts);
        evaluate(execution::sequential{},
                 estimator::success_rate{} | over_batch(estimator::beta_fit{}) | weighting::beta_normalization{} |
                     objective::policy_gradient{},
                 inputs(field::reward = rows_of(std::as_const(flat).data(), prompts, rollouts),
                        field::log_probability = rows_of(log_p.data(), prompts, rollouts)),
                 outputs(field::gradient<field::log_probability> = rows_of(gradient.data(), prompts, rollouts),
                         field::normalization = weights));
        for (std::size_t q = 0; q < prompts; ++q) {
            CHECK(weights[q] == near(whole.weights[q]));
            for (std::size_t i = 0; i < rollouts; ++i)
                CHECK(gradient[q * rollouts + i] == near(-whole.advantages[q][i] / double(flat.size())));
        }
    }
}

TEST_CASE("bnpo: in a pipeline, with a density of one's own") {
    auto const rewards = table{{1, 0, 0, 1}, {1, 0, 0, 0}, {1, 1, 0, 1}};
    auto const whole = bnpo(rewards);
    auto flat = std::vector<double>{}, log_p = std::vector<double>(12, -1.0), gradient = log_p;
    for (auto const& group : rewards) flat.insert(flat.end(), group.begin(), group.end());
    auto const alpha = std::array{whole.alpha}, beta = std::array{whole.beta};
    evaluate(execution::sequential{},
             estimator::success_rate{} | weighting::beta_normalization{} | objective::policy_gradient{},
             inputs(field::reward = rows_of(std::as_const(flat).data(), 3, 4),
                    field::normalizer_alpha = shared_row(alpha), field::normalizer_beta = shared_row(beta),
                    field::log_probability = rows_of(std::as_const(log_p).data(), 3, 4)),
             outputs(field::gradient<field::log_probability> = rows_of(gradient.data(), 3, 4)));
    for (std::size_t k = 0; k < 12; ++k) CHECK(gradient[k] == near(-whole.advantages[k / 4][k % 4] / 12));
}

TEST_CASE("bnpo: bad input") {
    auto const nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH_AS(bnpo(table{{1, 0}}, {.least = 1, .greatest = 1}),
                         "success_rate: argument 'greatest': expected a finite number above least, got 1",
                         domain_violation);
    CHECK_THROWS_WITH_AS(
        bnpo(table{{1}, {0}}),
        "success_rate: argument 'reward': expected at least 2 elements (or single_rollouts = true), got 1",
        argument_error);
    CHECK_THROWS_AS(bnpo(table{{}, {}}, {.single_rollouts = true}), argument_error);
    CHECK_THROWS_AS(bnpo(table{}), argument_error);
    CHECK_THROWS_WITH_AS(bnpo(table{{1, nan}}),
                         "success_rate: argument 'reward': expected rewards in [least, greatest]: a success rate in "
                         "[0, 1], got nan",
                         domain_violation);
    CHECK_THROWS_AS(bnpo(table{{2, 1}}), domain_violation);
    CHECK_THROWS_WITH_AS(bnpo(table{{1, 0}}, {}, {.greatest_weight = 0}),
                         "beta_normalization: argument 'greatest_weight': expected a finite number above 0, got 0",
                         domain_violation);
    auto weight = 0.0;
    CHECK_THROWS_WITH_AS(normalized({1, 0}, 0, 1, weight),
                         "beta_normalization: argument 'normalizer_alpha': expected numbers above 0, got 0",
                         domain_violation);
    auto const rate = std::array{1.5};
    auto a = std::array{0.0}, b = a, alpha = a, beta = a;
    CHECK_THROWS_WITH_AS(for_each_row(execution::sequential{}, estimator::beta_fit{}, rate, a, b, alpha, beta),
                         "beta_fit: argument 'success_rate': expected numbers in [0, 1], got 1.5", domain_violation);
}

// The density of Beta(1, 1) is 1.
static_assert([] {
    auto const reward = std::array{1.0, 0.0};
    auto const one = std::array{1.0};
    auto advantage = std::array{0.0, 0.0};
    auto p = std::array{0.0}, weight = p;
    for_each_row(execution::sequential{}, estimator::success_rate{}, rows_of<2>(reward.data(), 1, 2),
                 rows_of<2>(advantage.data(), 1, 2), p);
    for_each_row(execution::sequential{}, weighting::beta_normalization{}, rows_of<2>(advantage.data(), 1, 2), p, one,
                 one, rows_of<2>(advantage.data(), 1, 2), weight);
    return p[0] == 0.5 && math::abs(weight[0] - 1) < 1e-15 && math::abs(advantage[0] - 0.5) < 1e-15;
}());
