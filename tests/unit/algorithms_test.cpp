#include "composition_problem.hpp"

#include "poise/algorithms.hpp"

namespace {

using namespace composition_problem;
using objective::surrogate;

auto responses_of(numbers const& x) { return rows_of(x.data(), problem::groups, problem::of_group); }
auto tokens_of(numbers const& x) {
    return sequences_of(rows_of(x.data(), problem::groups, problem::of_group * problem::length), problem::of_group);
}

TEST_CASE("published algorithms against one plain loop") {
    auto const on = problem{};
    auto const reward = on.advantages(baseline::none, scale::none);
    auto const centered = on.advantages(baseline::mean, scale::none);
    auto const standardized = on.advantages(baseline::mean, scale::group);
    constexpr auto none = divergence::none;
    constexpr auto sequences = total::mean_of_sequences, batch = total::mean_over_batch;
    auto const score = surrogate<ratio::none, trust_region::unclipped>{};
    auto const ppo_clip = surrogate<>{};
    auto const gspo_clip = surrogate<ratio::sequence>{.trust_region = {3e-4, 4e-4}};

    CHECK(on.agrees(algorithms::reinforce, reward, score, none, 0, sequences));
    CHECK(on.agrees(algorithms::rloo, on.advantages(baseline::leave_one_out, scale::none),
                    surrogate<ratio::sequence_sum>{}, none, 0, sequences));
    CHECK(on.agrees(algorithms::grpo, standardized, ppo_clip, divergence::k3, 0.04, sequences));
    CHECK(on.agrees(algorithms::dr_grpo(greatest_length), centered, ppo_clip, none, 0, total::constant_length));
    CHECK(on.agrees(algorithms::dapo, standardized, surrogate<>{.trust_region = {0.2, 0.28}}, none, 0, batch));
    CHECK(on.agrees(algorithms::gspo, standardized, gspo_clip, none, 0, sequences));
    CHECK(on.agrees(algorithms::gspo_token, standardized,
                    surrogate<ratio::sequence_token>{.trust_region = {3e-4, 4e-4}}, none, 0, sequences));
    CHECK(on.agrees(algorithms::gmpo, standardized,
                    surrogate<ratio::clipped_geometric_mean, trust_region::unclipped>{.ratio = {0.4, 0.4}}, none, 0,
                    sequences));
    CHECK(on.agrees(algorithms::cispo, standardized,
                    surrogate<ratio::token, trust_region::capped_weight>{.trust_region = {5}}, none, 0, batch));
    CHECK(on.agrees(algorithms::sapo, standardized,
                    surrogate<ratio::token, trust_region::sigmoid>{.trust_region = {1, 1.05}}, none, 0, sequences));
    CHECK(on.agrees(algorithms::luspo, standardized, gspo_clip, none, 0, total::sum_of_sequences));
    CHECK(on.agrees(algorithms::vespo, standardized,
                    surrogate<ratio::sequence_sum, trust_region::gamma_weight>{.trust_region = {2, 3, 3, 2}}, none, 0,
                    batch));
    CHECK(on.agrees(algorithms::reinforce_plus_plus, on.advantages(baseline::batch_mean, scale::batch), ppo_clip,
                    divergence::k2, 0.01, batch));
    CHECK(
        on.agrees(algorithms::asymre, on.advantages(baseline::shifted_mean, scale::none), score, none, 0, total::mean));
    CHECK(on.agrees(algorithms::opmd, centered, score, divergence::k2_to_old, 0.1, total::mean));
    CHECK(on.agrees(algorithms::soft_grpo, on.advantages(baseline::mean, scale::group, 1e-6),
                    surrogate<>{.trust_region = {0.2, 0.2, 3}}, divergence::k3, 1e-3, batch));
    auto const entropy = numbers(problem::tokens, 1);
    CHECK(on.agrees(algorithms::d3s(problem::responses, 1), on.advantages(baseline::mean, scale::group, 1e-6), ppo_clip,
                    none, 0, batch, field::entropy = tokens_of(entropy)));
}

TEST_CASE("PPO whitens advantages that are given") {
    auto const on = problem{};
    auto mean = 0.0, square = 0.0;
    for (auto const a : on.reward) mean += a / problem::responses;
    for (auto const a : on.reward) square += (a - mean) * (a - mean) / (problem::responses - 1.0);
    auto white = on.reward;
    for (auto& a : white) a = (a - mean) / std::sqrt(square + 1e-8);
    CHECK(on.agrees(algorithms::ppo, white, surrogate<>{}, divergence::none, 0, total::mean_over_batch,
                    field::advantage = responses_of(on.reward)));

    auto const value = numbers{0.5, -1, 2}, old = numbers{0.4, 0, 2}, returns = numbers{1, 1, 1};
    auto loss = numbers(1), gradient = numbers(3);
    evaluate(execution::sequential{}, algorithms::ppo_value,
             inputs(field::value = one_row(value), field::old_value = one_row(old), field::returns = one_row(returns)),
             outputs(field::objective = loss, field::gradient<field::value> = one_row(gradient)));
    CHECK(loss[0] == doctest::Approx(0.1 / 2 * (0.25 + 4 + 1) / 3));
    CHECK(gradient[0] == doctest::Approx(0.1 * -0.5 / 3));
    CHECK(gradient[1] == doctest::Approx(0.1 * -2 / 3)); // held at -0.2, whose error is smaller
    CHECK(gradient[2] == doctest::Approx(0.1 * 1 / 3));
}

TEST_CASE("A2PO regresses log-ratios on advantages") {
    auto const log_p = numbers{-1, -4}, reference = numbers{-2, -3}, reward = numbers{1, 0}, value = numbers{0.5, 0.5};
    auto loss = numbers(1), gradient = numbers(2);
    evaluate(execution::sequential{}, algorithms::a2po,
             inputs(field::log_probability = one_row(log_p), field::reference_log_probability = one_row(reference),
                    field::reward = one_row(reward), field::baseline = one_row(value)),
             outputs(field::objective = loss, field::gradient<field::log_probability> = one_row(gradient)));
    auto const first = 1e-3 - 0.5, second = -1e-3 + 0.5;
    CHECK(loss[0] == doctest::Approx((first * first + second * second) / 2));
    CHECK(gradient[0] == doctest::Approx(1e-3 * first));
    CHECK(gradient[1] == doctest::Approx(1e-3 * second));
}

TEST_CASE("GDPO normalises each reward in its group and their sum over the batch") {
    auto on = problem{};
    auto const given = on.reward;
    auto const other = numbers{0, 1, 1, 0, 0.5, 0.1, 0.9, 0.2};
    auto sum = numbers(problem::responses);
    for (auto const* component : {&given, &other}) {
        on.reward = *component;
        auto const z = on.advantages(baseline::mean, scale::group);
        for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += (component == &other ? 2 : 1) * z[k];
    }
    on.reward = sum;
    auto const advantage = on.advantages(baseline::batch_mean, scale::batch);
    CHECK(on.agrees(algorithms::gdpo({1, 2}), advantage, surrogate<>{}, divergence::none, 0, total::mean_of_sequences,
                    field::component<0> = responses_of(given), field::component<1> = responses_of(other)));
}

TEST_CASE("BNPO divides by a Beta density fitted to the success rates") {
    auto on = problem{};
    on.reward = {1, 0, 0, 1, 1, 1, 0, 1};
    auto const rates = std::array{0.5, 0.75};
    auto const m = 0.625, v = 2 * 0.125 * 0.125, c = m * (1 - m) / v - 1;
    auto const alpha = std::max(1.0, 1 + c * m / 3), beta = std::max(1.0, 1 + c * (1 - m) / 3);
    auto advantage = on.reward;
    for (std::size_t k = 0; k < advantage.size(); ++k) {
        auto const p = rates[k / problem::of_group];
        auto const density = std::pow(p, alpha - 1) * std::pow(1 - p, beta - 1) *
                             std::exp(std::lgamma(alpha + beta) - std::lgamma(alpha) - std::lgamma(beta));
        advantage[k] = (advantage[k] - p) / density;
    }
    CHECK(on.agrees(algorithms::bnpo, advantage, surrogate<>{.trust_region = {0.2, 0.28, 10}}, divergence::none, 0,
                    total::sum_of_sequences));
}

TEST_CASE("Trust-GRPO adds thinking rewards as far as they are trusted") {
    auto on = problem{};
    auto const outcome = numbers{1, 0, 0, 1, 1, 0, 1, 0}, thinking = numbers{0.2, 0.9, 0.5, 0.4, 0.9, 0.1, 0.8, 0.3};
    auto const trust = std::array{std::exp(0.3 - 0.7), 1.0};
    for (std::size_t k = 0; k < outcome.size(); ++k)
        on.reward[k] = outcome[k] + 0.3 * trust[k / problem::of_group] * thinking[k];
    CHECK(on.agrees(algorithms::trust_grpo, on.advantages(baseline::mean, scale::group), surrogate<>{}, divergence::k3,
                    0.04, total::mean_of_sequences, field::outcome = responses_of(outcome),
                    field::thinking_reward = responses_of(thinking)));
}

} // namespace
