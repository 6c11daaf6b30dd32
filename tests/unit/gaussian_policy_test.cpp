#include "policy_checks.hpp"

#include "poise/policy/tanh_gaussian.hpp"

namespace {

using namespace policy_checks;
using namespace poise::policy;

template <class T>
using plain = diagonal_gaussian<T, dense<4, 9, activation::tanh>, dense<9, 3>>;
template <class T>
using squashed = tanh_gaussian<T, dense<4, 9, activation::tanh>, dense<9, 3>>;

template <class P>
P random_policy(std::uint64_t seed) {
    using in_double = typename P::template over<double>;
    return P(scattered(in_double(initialization::glorot{}, {.seed = seed}), seed + 1, 0.4));
}

template <class T>
std::vector<std::array<T, 4>> random_contexts(std::size_t n) {
    auto const x = everywhere::random_table(n, 4, 95, 1);
    auto contexts = std::vector<std::array<T, 4>>(n);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < 4; ++k) contexts[i][k] = static_cast<T>(x(i, k));
    return contexts;
}

/// Mean and standard error of f(draw) over draws from the policy.
template <class P, class F>
std::array<double, 2> mean_over_draws(P const& policy, auto const& context, F const& f) {
    constexpr std::uint32_t draws = 20000;
    auto values = std::vector<double>(draws);
    for (std::uint32_t i = 0; i < draws; ++i) values[i] = f(policy.sample(context, {.seed = 96, .index = i}));
    return {mean(row(values)), std::sqrt(variance(row(values)) / draws)};
}

template <class P>
void check_by_draws(P const& policy, P const& other, auto const& context) {
    auto const within = [&](double expected, auto const& f) {
        auto const [value, error] = mean_over_draws(policy, context, f);
        CHECK(std::abs(value - expected) < 4 * error);
    };
    within(policy.entropy(context), [&](auto const& a) { return -policy.log_probability(context, a); });
    within(policy.kl_divergence(context, other),
           [&](auto const& a) { return policy.log_probability(context, a) - other.log_probability(context, a); });
    // The mean score along a direction is 0.
    auto const v = random_numbers(policy.parameters().size(), 97);
    within(0, [&](auto const& a) {
        auto const score = gradient_by(policy, [&](auto const& p, auto g) { p.pullback(context, a, 1.0, g); });
        return weighted_sum(row(v), row(score));
    });
    CHECK(policy.sample(context, {.seed = 2}) == policy.sample(context, {.seed = 2}));
    CHECK(policy.sample(context, {.seed = 2}) != policy.sample(context, {.seed = 3}));
}

TEST_CASE("diagonal Gaussian: density, entropy, divergence, pullbacks, draws") {
    static_assert(concepts::batched_policy<plain<double>> && concepts::batched_policy<plain<float>> &&
                  concepts::policy<plain<lanes<double>>> && !concepts::finite_policy<plain<double>>);
    auto const policy = random_policy<plain<double>>(1), other = random_policy<plain<double>>(5);
    auto const context = random_contexts<double>(1)[0];
    auto const action = std::array{0.3, -1.2, 0.8};
    auto const mu = policy.mean(context);
    auto expected = 0.0;
    for (std::size_t k = 0; k < 3; ++k) {
        auto const sigma = std::exp(policy.log_deviations()[k]), z = (action[k] - mu[k]) / sigma;
        expected += std::log(std::exp(-z * z / 2) / (sigma * std::sqrt(2 * 3.14159265358979324)));
    }
    CHECK(policy.log_probability(context, action) == doctest::Approx(expected).epsilon(1e-13));
    check_derivatives(policy, other, context, action);
    check_by_draws(policy, other, context);
    // The components are independent of each other: their correlations are 0, their variances sigma^2.
    for (std::size_t j = 0; j < 3; ++j)
        for (std::size_t k = 0; k <= j; ++k) {
            auto const [value, error] =
                mean_over_draws(policy, context, [&](auto const& a) { return (a[j] - mu[j]) * (a[k] - mu[k]); });
            auto const sigma = std::exp(policy.log_deviations()[j]);
            CHECK(std::abs(value - (j == k ? sigma * sigma : 0)) < 4 * error);
        }
    CHECK(plain<double>().entropy(context) == doctest::Approx(1.5 * std::log(2 * 3.14159265358979324) + 1.5));
    CHECK_THROWS_AS(policy.entropy(std::vector<double>(3)), argument_error);
    auto short_gradient = std::vector<double>(5);
    CHECK_THROWS_AS(policy.pullback(context, action, 1.0, short_gradient), argument_error);
}

TEST_CASE("tanh Gaussian: density, entropy, divergence, pullbacks, draws") {
    static_assert(concepts::batched_policy<squashed<double>> && concepts::batched_policy<squashed<float>>);
    auto const policy = random_policy<squashed<double>>(1), other = random_policy<squashed<double>>(5);
    auto const context = random_contexts<double>(1)[0];
    auto const action = squashed_action<double, 3>{{0.3, -1.2, 0.8}};
    check_derivatives(policy, other, context, action);
    check_by_draws(policy, other, context);
    auto const same = plain<double>(random_policy<plain<double>>(1));
    CHECK(policy.kl_divergence(context, other) == same.kl_divergence(context, random_policy<plain<double>>(5)));
    auto const drawn = policy.sample(context, {.seed = 7});
    auto const before = same.sample(context, {.seed = 7});
    for (std::size_t k = 0; k < 3; ++k) CHECK(drawn[k] == std::tanh(before[k]));
}

TEST_CASE("the density of a tanh Gaussian integrates to 1, and its slope is accurate where tanh is 1") {
    auto policy = tanh_gaussian<double, dense<1, 1>>();
    policy.parameters()[1] = 0.4; // the bias: the mean
    policy.log_deviations()[0] = std::log(0.7);
    auto const context = std::array{1.0};
    auto total = 0.0, entropy = 0.0;
    constexpr int n = 20000;
    for (int j = 0; j < n; ++j) {
        auto const a = -1 + (j + 0.5) * 2 / n;
        auto const log_p = policy.log_probability(context, squashed_action<double, 1>{{std::atanh(a)}});
        total += std::exp(log_p) * 2 / n;
        entropy -= std::exp(log_p) * log_p * 2 / n;
    }
    CHECK(total == doctest::Approx(1).epsilon(1e-6));
    CHECK(policy.entropy(context) == doctest::Approx(entropy).epsilon(1e-6));
    CHECK(tanh_squash::log_slope(50.0) == doctest::Approx(2 * std::log(2.0) - 100).epsilon(1e-15));
    CHECK(tanh_squash::log_slope(-50.0) == doctest::Approx(2 * std::log(2.0) - 100).epsilon(1e-15));
    CHECK(tanh_squash::log_slope(0.5) == doctest::Approx(std::log(1 - std::tanh(0.5) * std::tanh(0.5))));
    // The quadrature's own error, against a rule with a step eight times finer.
    for (auto const deviation : {0.1, 1.0, 2.0, 5.0}) {
        auto fine = 0.0, weights = 0.0;
        for (int j = -400; j <= 400; ++j) {
            auto const x = j / 32.0;
            weights += std::exp(-x * x / 2);
            fine += std::exp(-x * x / 2) * tanh_squash::log_slope(0.3 + deviation * x);
        }
        auto const error = std::abs(tanh_squash::expected_log_slope(0.3, deviation)[0] - fine / weights);
        CHECK(error < (deviation > 2 ? 1e-3 : 1e-8));
    }
}

TEST_CASE_TEMPLATE("Gaussian policies: batches", P, plain<double>, plain<float>, squashed<double>, squashed<float>) {
    check_batch(random_policy<P>(1), random_contexts<typename P::value_type>(20));
}

TEST_CASE("a Gaussian per lane draws and scores what the replicas would") {
    using pack = lanes<double>;
    auto const packed = squashed<pack>(initialization::glorot{}, {.seed = 3});
    auto const context = random_contexts<double>(1)[0];
    auto const action = packed.sample(context, {.seed = 4});
    auto const log_p = packed.log_probability(context, action);
    for (std::uint32_t lane = 0; lane < pack::size; ++lane) {
        auto const alone = squashed<double>(initialization::glorot{}, {.seed = 3, .replica = lane});
        auto const a = alone.sample(context, {.seed = 4, .replica = lane});
        for (std::size_t k = 0; k < 3; ++k) CHECK(close(action[k][lane], a[k], 1e-13));
        CHECK(close(log_p[lane], alone.log_probability(context, a), 1e-12));
    }
}

} // namespace
