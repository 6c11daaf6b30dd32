#include "poise/estimator/component_rewards.hpp"
#include "poise/estimator/generalized_advantage.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/estimator/optimal_value.hpp"
#include "poise/estimator/whitened.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/objective/optimal_advantage_regression.hpp"
#include "poise/objective/surrogate.hpp"
#include "poise/penalty/kl.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

/// The sheet's theorems, on random batches.
namespace {

using namespace poise;
using objective::surrogate;
using numbers = std::vector<double>;

auto draws = std::mt19937(7);

numbers normal(std::size_t n, double scale = 1) {
    auto result = numbers(n);
    auto law = std::normal_distribution<>(0, scale);
    for (auto& x : result) x = law(draws);
    return result;
}

bool all_close(numbers const& a, numbers const& b, double tolerance = 1e-12) {
    if (a.size() != b.size()) return false;
    for (std::size_t k = 0; k < a.size(); ++k)
        if (!(std::abs(a[k] - b[k]) <= tolerance * (1 + std::abs(b[k])))) return false;
    return true;
}
numbers scaled(numbers x, double by) {
    for (auto& xi : x) xi *= by;
    return x;
}

/// B responses of at most T tokens.
struct responses {
    std::size_t B, T;
    numbers log_p, old, advantage, mask;

    responses(std::size_t sequences, std::size_t tokens, bool equal_lengths, double moved)
        : B(sequences), T(tokens), log_p(B * T), old(B * T), advantage(normal(B)), mask(B * T, 1) {
        auto const difference = normal(B * T, moved);
        for (std::size_t i = 0; i < B; ++i) {
            auto const n = equal_lengths ? T : 1 + draws() % T;
            for (std::size_t t = 0; t < T; ++t) {
                auto const k = i * T + t;
                mask[k] = t < n;
                old[k] = mask[k] * -std::abs(normal(1)[0]);
                log_p[k] = old[k] + mask[k] * difference[k];
            }
        }
    }
    double tokens_of(std::size_t i) const {
        return std::accumulate(mask.begin() + std::ptrdiff_t(i * T), mask.begin() + std::ptrdiff_t((i + 1) * T), 0.0);
    }
    double tokens() const { return std::accumulate(mask.begin(), mask.end(), 0.0); }

    struct result {
        double loss;
        numbers gradient;
    };
    result of(auto const& pipeline) const {
        auto const by_token = [&](auto& x) { return sequences_of(one_row(x), B); };
        auto loss = numbers(1), gradient = numbers(B * T);
        evaluate(execution::sequential{}, pipeline,
                 inputs(field::advantage = one_row(advantage), field::log_probability = by_token(log_p),
                        field::old_log_probability = by_token(old), field::mask = by_token(mask)),
                 outputs(field::objective = loss, field::gradient<field::log_probability> = by_token(gradient)));
        return {loss[0], gradient};
    }
};

constexpr auto per_sequence = aggregation::mean_of_sequences{};
constexpr auto grpo = surrogate<>{} | per_sequence;
constexpr auto rloo = surrogate<ratio::sequence_sum>{} | per_sequence;
constexpr auto gspo = surrogate<ratio::sequence>{} | per_sequence;
constexpr auto luspo = surrogate<ratio::sequence>{} | aggregation::sum_of_sequences{};

TEST_CASE("1: on policy and of equal lengths the losses have one gradient") {
    for (auto const n : {1u, 3u, 8u}) {
        auto const x = responses(5, n, true, 0);
        auto const expected = x.of(grpo).gradient;
        CHECK(std::abs(expected[0]) > 0);
        auto const is_grpo = [&](auto const& pipeline) { return all_close(x.of(pipeline).gradient, expected); };
        CHECK(is_grpo(surrogate<>{} | aggregation::mean_over_batch{}));
        CHECK(is_grpo(surrogate<>{} | aggregation::mean{}));
        CHECK(is_grpo(surrogate<>{} | aggregation::constant_length{double(n)}));
        CHECK(is_grpo(surrogate<ratio::token, trust_region::sigmoid>{} | per_sequence));
        CHECK(is_grpo(surrogate<ratio::token, trust_region::capped_weight>{} | aggregation::mean{}));
        CHECK(is_grpo(surrogate<ratio::sequence_sum, trust_region::gamma_weight>{} | aggregation::mean{}));
        CHECK(is_grpo(surrogate<ratio::clipped_geometric_mean, trust_region::unclipped>{} | per_sequence));
        CHECK(all_close(x.of(luspo).gradient, scaled(expected, n)));
        CHECK(all_close(x.of(rloo).gradient, scaled(expected, n)));
    }
}

TEST_CASE("2: on policy a response of GRPO pulls (sum n) / (B n_i) times as strongly as DAPO's") {
    for (int repeat = 0; repeat < 20; ++repeat) {
        auto const x = responses(4, 6, false, 0);
        auto expected = x.of(surrogate<>{} | aggregation::mean_over_batch{}).gradient;
        for (std::size_t k = 0; k < expected.size(); ++k)
            expected[k] *= x.tokens() / (double(x.B) * x.tokens_of(k / x.T));
        CHECK(all_close(x.of(grpo).gradient, expected));

        auto const one = responses(1, 6, false, 0.3);
        CHECK(all_close(one.of(grpo).gradient, one.of(surrogate<>{} | aggregation::mean{}).gradient));
        auto const token = responses(4, 1, true, 0.3);
        CHECK(all_close(token.of(gspo).gradient, token.of(grpo).gradient));
    }
}

TEST_CASE("3: GSPO-token is GSPO where a response has one advantage; LUSPO's response is n times GSPO's") {
    for (int repeat = 0; repeat < 20; ++repeat) {
        auto const x = responses(4, 6, false, 0.3);
        auto const sequence = x.of(gspo), token = x.of(surrogate<ratio::sequence_token>{} | per_sequence);
        CHECK(token.loss == doctest::Approx(sequence.loss).epsilon(1e-12));
        CHECK(all_close(token.gradient, sequence.gradient));
        auto expected = sequence.gradient;
        for (std::size_t k = 0; k < expected.size(); ++k) expected[k] *= x.tokens_of(k / x.T);
        CHECK(all_close(x.of(luspo).gradient, expected));
    }
}

TEST_CASE("4: limits without a clip") {
    using trust_region::unclipped;
    constexpr auto open = 1e3;
    for (int repeat = 0; repeat < 20; ++repeat) {
        auto const x = responses(4, 6, false, 0.5);
        auto const geometric =
            x.of(surrogate<ratio::clipped_geometric_mean, unclipped>{.ratio = {open, open}} | per_sequence);
        auto const sequence = x.of(surrogate<ratio::sequence, unclipped>{} | per_sequence);
        CHECK(geometric.loss == doctest::Approx(sequence.loss).epsilon(1e-12));
        CHECK(all_close(geometric.gradient, sequence.gradient));
        auto mean = 0.0;
        for (std::size_t i = 0; i < x.B; ++i) {
            auto log_ratio = 0.0;
            for (std::size_t k = i * x.T; k < (i + 1) * x.T; ++k) log_ratio += x.mask[k] * (x.log_p[k] - x.old[k]);
            mean -= x.advantage[i] * std::exp(log_ratio / x.tokens_of(i)) / double(x.B);
        }
        CHECK(sequence.loss == doctest::Approx(mean).epsilon(1e-12));

        auto const plain = x.of(surrogate<ratio::token, unclipped>{} | per_sequence).gradient;
        CHECK(all_close(
            x.of(surrogate<ratio::token, trust_region::sigmoid>{.trust_region = {1e-6, 1e-6}} | per_sequence).gradient,
            plain, 1e-9));
        CHECK(all_close(
            x.of(surrogate<ratio::token, trust_region::capped_weight>{.trust_region = {1e300}} | per_sequence).gradient,
            plain));
    }
    for (auto const tau : {0.1, 1.0, 7.0})
        CHECK(trust_region::sigmoid{tau, tau}(0.0, 1.7).second == doctest::Approx(-1.7).epsilon(1e-14));
}

TEST_CASE("5: bounds of the trust regions and of k3") {
    constexpr auto delta = 1.7;
    for (auto const log_ratio : normal(200, 3)) {
        auto const a = -std::abs(normal(1)[0]);
        CHECK(trust_region::two_sided{.delta = delta}(log_ratio, a).first <= delta * -a * (1 + 1e-15));
        auto const by = trust_region::gamma_weight{};
        CHECK(by.weight(log_ratio, 1.0) <= by.weight(std::log(2.0 / 3), 1.0));
        CHECK(by.weight(log_ratio, -1.0) <= by.weight(std::log(3.0 / 2), -1.0));
        CHECK(penalty::k3{}(log_ratio).first > 0);
    }
    CHECK(trust_region::clipped{}(20.0, -1.0).first > 1e8);
    CHECK(trust_region::gamma_weight{}.weight(0.0, 1.0) == 1);
    CHECK(trust_region::gamma_weight{}.weight(0.0, -1.0) == 1);
    CHECK(penalty::k3{}(0.0).first == 0);

    auto const laws = [] {
        auto z = normal(6);
        auto total = 0.0;
        for (auto const zi : z) total += std::exp(zi);
        for (auto& zi : z) zi -= std::log(total);
        return z;
    };
    for (int repeat = 0; repeat < 20; ++repeat) {
        auto const p = laws(), q = laws();
        auto divergence = 0.0, mean = 0.0;
        for (std::size_t k = 0; k < p.size(); ++k) {
            divergence += std::exp(p[k]) * (p[k] - q[k]);
            mean += std::exp(p[k]) * penalty::k3{}(p[k] - q[k]).first;
        }
        CHECK(mean == doctest::Approx(divergence).epsilon(1e-12));
    }
}

numbers advantages_of(auto const& pipeline, std::size_t groups, numbers const& a, numbers const& b) {
    auto result = numbers(a.size());
    auto const rows = [&](auto& x) { return rows_of(x.data(), groups, a.size() / groups); };
    evaluate(execution::sequential{}, pipeline, inputs(field::component<0> = rows(a), field::component<1> = rows(b)),
             outputs(field::advantage = rows(result)));
    return result;
}

TEST_CASE("6: advantages of groups") {
    using estimator::deviation::sample;
    using sum = estimator::weighted_sum<2>;
    constexpr auto groups = std::size_t{3}, of_group = std::size_t{5};
    for (int repeat = 0; repeat < 20; ++repeat) {
        auto const a = normal(groups * of_group), b = normal(groups * of_group);
        auto const centered = advantages_of(sum{{1, 0.5}} | estimator::centered{}, groups, a, b);
        auto const left_out = advantages_of(sum{{1, 0.5}} | estimator::leave_one_out{}, groups, a, b);
        CHECK(all_close(left_out, scaled(centered, double(of_group) / (of_group - 1.0))));
        for (std::size_t i = 0; i < groups; ++i)
            CHECK(std::abs(std::accumulate(centered.begin() + std::ptrdiff_t(i * of_group),
                                           centered.begin() + std::ptrdiff_t((i + 1) * of_group), 0.0)) < 1e-14);
        auto shifted = a;
        for (auto& x : shifted) x = 3 * x + 7;
        auto const expected = advantages_of(sum{{3, 0.5}} | estimator::centered{}, groups, a, b);
        CHECK(all_close(advantages_of(sum{{1, 0.5}} | estimator::centered{}, groups, shifted, b), expected));

        auto const gdpo = [&](std::array<double, 2> weights, numbers const& first, numbers const& second) {
            return advantages_of(estimator::normalized_component<0>{} | estimator::normalized_component<1>{} |
                                     sum{weights} | over_batch(estimator::group_relative<sample>{1e-4}),
                                 groups, first, second);
        };
        auto const both = gdpo({1, 0.5}, a, b);
        auto mean = 0.0, square = 0.0;
        for (auto const x : both) mean += x / double(both.size());
        for (auto const x : both) square += (x - mean) * (x - mean) / (double(both.size()) - 1);
        CHECK(std::abs(mean) < 1e-14);
        CHECK(std::sqrt(square) == doctest::Approx(1).epsilon(1e-3));
        CHECK(all_close(gdpo({1, 1}, a, shifted), gdpo({2, 0}, a, b), 1e-3));
    }
}

TEST_CASE("7: ends of generalised advantages; whitening") {
    constexpr auto steps = std::size_t{6};
    constexpr auto gamma = 0.9;
    auto const reward = normal(steps), value = normal(steps), never = numbers(steps), nothing_after = numbers(1);
    auto const estimate = [&](double lambda) {
        auto result = std::array{numbers(steps), numbers(steps)};
        for_each_row(execution::sequential{}, estimator::generalized_advantage{gamma, lambda}, one_row(reward),
                     one_row(value), one_row(never), one_row(nothing_after), one_row(result[0]), one_row(result[1]));
        return result;
    };
    auto const returns = estimate(1)[1], errors = estimate(0)[0];
    auto to_go = 0.0;
    for (std::size_t t = steps; t-- > 0;) {
        to_go = reward[t] + gamma * to_go;
        CHECK(returns[t] == doctest::Approx(to_go).epsilon(1e-12));
        CHECK(errors[t] ==
              doctest::Approx(reward[t] + gamma * (t + 1 < steps ? value[t + 1] : 0) - value[t]).epsilon(1e-12));
    }
    auto const x = normal(30, 3);
    auto mask = numbers(x.size(), 1), white = x;
    for (std::size_t k = 0; k < x.size(); k += 4) mask[k] = 0;
    auto const count = std::accumulate(mask.begin(), mask.end(), 0.0);
    for_each_row(execution::sequential{}, estimator::whitened{}, one_row(x), one_row(white), one_row(mask));
    auto mean = 0.0, square = 0.0;
    for (std::size_t k = 0; k < x.size(); ++k) {
        mean += white[k] / count;
        square += white[k] * white[k] / (count - 1);
        CHECK((mask[k] != 0 || white[k] == 0));
    }
    CHECK(std::abs(mean) < 1e-14);
    CHECK(square == doctest::Approx(1).epsilon(1e-8));
}

TEST_CASE("8: the optimal value is between mean and maximum, and solves A*-PO") {
    auto const value_of_rewards = [](numbers const& reward, double temperature) {
        auto value = numbers(1), keep = value;
        for_each_row(execution::sequential{}, estimator::optimal_value{temperature}, one_row(reward), one_row(value),
                     one_row(keep));
        return value[0];
    };
    for (int repeat = 0; repeat < 20; ++repeat) {
        auto const reward = normal(8);
        auto const mean = std::accumulate(reward.begin(), reward.end(), 0.0) / 8,
                   most = *std::ranges::max_element(reward);
        auto const value = value_of_rewards(reward, 0.5);
        CHECK(mean <= value);
        CHECK(value <= most);
        CHECK(value_of_rewards(reward, 1e8) == doctest::Approx(mean).epsilon(1e-6));
        CHECK(value_of_rewards(reward, 1e-4) == doctest::Approx(most).epsilon(1e-2));

        // A uniform reference over the eight responses, and pi proportional to ref e^{r / b}.
        constexpr auto b = 0.7;
        auto const optimum = value_of_rewards(reward, b);
        auto const reference = numbers(8, -std::log(8.0)), optimal = numbers(8, optimum);
        auto log_p = numbers(8), loss = numbers(1), gradient = numbers(8);
        for (std::size_t k = 0; k < 8; ++k) log_p[k] = reference[k] + (reward[k] - optimum) / b;
        evaluate(execution::sequential{}, objective::optimal_advantage_regression{b},
                 inputs(field::log_probability = one_row(log_p), field::reference_log_probability = one_row(reference),
                        field::reward = one_row(reward), field::baseline = one_row(optimal)),
                 outputs(field::objective = loss, field::gradient<field::log_probability> = one_row(gradient)));
        CHECK(loss[0] < 1e-28);
        CHECK(all_close(gradient, numbers(8), 1e-14));
    }
}

} // namespace
