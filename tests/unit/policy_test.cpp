#include "everywhere.hpp"

#include "poise/core/dual.hpp"
#include "poise/distributed/communicator.hpp"
#include "poise/metric/expected_reward.hpp"
#include "poise/policy/simplex.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/reward/table.hpp"

#include <doctest/doctest.h>

namespace {

using namespace poise;

constexpr std::size_t contexts = 3, actions = 5;

/// A policy with parameters that give distributions, and a direction in which to move them.
template <template <class> class Policy, class T>
Policy<T> random_policy(double direction_of = -1) {
    auto made = Policy<T>(contexts, actions);
    auto const logits = everywhere::random_table(contexts, actions, 71, 1);
    for (std::size_t c = 0; c < contexts; ++c) {
        auto values = logits.row(c);
        if constexpr (std::is_same_v<Policy<T>, policy::simplex<T>>) softmax(row(values), row(values));
        for (std::size_t a = 0; a < actions; ++a) {
            auto const k = c * actions + a;
            made.parameters()[k] = T(values[a]);
            if constexpr (requires(T x) { x.derivative; })
                made.parameters()[k].derivative = static_cast<double>(k) == direction_of ? 1.0 : 0.0;
        }
    }
    return made;
}

template <template <class> class Policy>
void check_policy() {
    auto const made = random_policy<Policy, double>();
    auto const cotangent = everywhere::random_table(contexts, actions, 72, 1);
    for (std::size_t c = 0; c < contexts; ++c) {
        auto log_p = std::vector<double>(actions);
        made.log_probabilities(c, row(log_p));
        CHECK(log_sum_exp(row(log_p)) == doctest::Approx(0).epsilon(1e-14));
        auto h = 0.0;
        for (std::size_t a = 0; a < actions; ++a) {
            CHECK(made.log_probability(c, a) == doctest::Approx(log_p[a]).epsilon(1e-14));
            h -= std::exp(log_p[a]) * log_p[a];
        }
        CHECK(made.entropy(c) == doctest::Approx(h).epsilon(1e-13));

        // The pullbacks against dual numbers; other contexts' parameters have no part.
        auto of_all = std::vector<double>(contexts * actions, 0.5), of_one = of_all;
        auto const weights = cotangent.row(c);
        made.pullback(c, row(weights), of_all);
        made.pullback(c, 2, 1.5, of_one);
        for (std::size_t k = 0; k < contexts * actions; ++k) {
            auto const moved = random_policy<Policy, dual<double>>(static_cast<double>(k));
            auto out = std::vector<dual<double>>(actions);
            moved.log_probabilities(c, row(out));
            auto expected = 0.5;
            for (std::size_t a = 0; a < actions; ++a) expected += weights[a] * out[a].derivative;
            CHECK(of_all[k] == doctest::Approx(expected).epsilon(1e-13));
            CHECK(of_one[k] == doctest::Approx(0.5 + 1.5 * out[2].derivative).epsilon(1e-13));
        }

        // Frequencies of draws, within five standard errors; the same address gives the same action.
        constexpr std::uint32_t draws = 20000;
        auto counts = std::vector<double>(actions);
        for (std::uint32_t i = 0; i < draws; ++i) counts[made.sample(c, {.seed = 73, .index = i})] += 1;
        for (std::size_t a = 0; a < actions; ++a) {
            auto const p = std::exp(log_p[a]);
            CHECK(std::abs(counts[a] / draws - p) < 5 * std::sqrt(p * (1 - p) / draws));
        }
        CHECK(made.sample(c, {.seed = 73, .index = 9}) == made.sample(c, {.seed = 73, .index = 9}));
    }
}

TEST_CASE("tabular policies: log-probabilities, entropy, pullbacks, draws") {
    SUBCASE("softmax") { check_policy<policy::tabular_softmax>(); }
    SUBCASE("simplex") { check_policy<policy::simplex>(); }
}

TEST_CASE("they start uniform") {
    auto log_p = std::array<double, 4>{};
    policy::tabular_softmax<double>(2, 4).log_probabilities(1, row(log_p));
    for (auto const value : log_p) CHECK(value == doctest::Approx(-std::log(4.0)));
    policy::simplex<double>(2, 4).log_probabilities(1, row(log_p));
    for (auto const value : log_p) CHECK(value == doctest::Approx(-std::log(4.0)));
    CHECK_THROWS_AS(policy::tabular_softmax<double>(2, 0), argument_error);
    CHECK_THROWS_AS(policy::simplex<double>(2, 0), argument_error);
}

TEST_CASE("actions of probability 0") {
    auto soft = policy::tabular_softmax<double>(1, 3);
    soft.logits(0)[1] = -everywhere::infinity;
    auto direct = policy::simplex<double>(1, 3);
    direct.probabilities(0)[0] = 0.5, direct.probabilities(0)[1] = 0, direct.probabilities(0)[2] = 0.5;
    auto const check = [](auto const& made) {
        CHECK(made.log_probability(0, 1) == -everywhere::infinity);
        CHECK(made.entropy(0) == doctest::Approx(std::log(2.0)));
        for (std::uint32_t i = 0; i < 500; ++i) CHECK(made.sample(0, {.seed = 1, .index = i}) != 1);
        auto gradient = std::array<double, 3>{};
        auto const cotangent = std::array{1.0, 0.0, 2.0};
        made.pullback(0, row(cotangent), gradient);
        CHECK(gradient[1] == 0);
        for (auto const value : gradient) CHECK(std::isfinite(value));
    };
    check(soft);
    check(direct);
}

TEST_CASE("logits of any size") {
    auto made = policy::tabular_softmax<double>(1, 2);
    made.logits(0)[0] = 1000;
    made.logits(0)[1] = -1000;
    CHECK(made.log_probability(0, 0) == 0);
    CHECK(made.log_probability(0, 1) == -2000);
    CHECK(made.entropy(0) == 0);
}

TEST_CASE("a policy per lane draws what the replicas would draw") {
    using pack = lanes<double>;
    auto const packed = random_policy<policy::tabular_softmax, pack>();
    auto const alone = random_policy<policy::tabular_softmax, double>();
    for (std::uint32_t step = 0; step < 20; ++step) {
        auto const drawn = packed.sample(1, {.seed = 5, .step = step});
        for (std::uint32_t lane = 0; lane < pack::size; ++lane)
            CHECK(drawn[lane] == static_cast<double>(alone.sample(1, {.seed = 5, .replica = lane, .step = step})));
    }
    CHECK(packed.entropy(2)[0] == doctest::Approx(alone.entropy(2)));
}

TEST_CASE("rewards: tables, Bradley-Terry, expectations") {
    auto const scores = reward::table<double>({1, 2, 3, 4, 5, -6}, 3);
    CHECK(scores.contexts() == 2);
    CHECK(scores.score(1, 2) == -6);
    CHECK_THROWS_WITH_AS(reward::table<double>({1, 2, 3}, 2),
                         "reward::table: argument 'scores': expected a multiple of 2 actions, got 3", argument_error);
    auto const preference = reward::bradley_terry<reward::table<double>>{scores};
    CHECK(preference.preference(0, 1, 0) == doctest::Approx(1 / (1 + std::exp(-1.0))));
    CHECK(preference.preference(0, 2, 1) + preference.preference(0, 1, 2) == doctest::Approx(1));
    auto policy = policy::tabular_softmax<double>(2, 3);
    auto workspace = std::array<double, 3>{};
    CHECK(metric::expected_reward(policy, scores, std::size_t{0}, workspace) == doctest::Approx(2));
    CHECK(metric::expected_reward(policy, scores, std::size_t{1}, workspace) == doctest::Approx(1));
    policy.logits(1)[2] = -everywhere::infinity;
    CHECK(metric::expected_reward(policy, scores, std::size_t{1}, workspace) == doctest::Approx(4.5));
}

TEST_CASE("a single process is the sum of itself") {
    auto const process = distributed::single_process{};
    auto values = std::array{1.0, 2.0};
    process.all_reduce_sum(row(values));
    process.broadcast(row(values));
    CHECK(values == std::array{1.0, 2.0});
    CHECK(process.rank() == 0);
    CHECK(process.size() == 1);
}

} // namespace
