#include "poise/estimator/generalized_advantage.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/estimator/normalized_advantage.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/interop/eigen.hpp"
#include "poise/metric/policy_change.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/objective/value_loss.hpp"
#include "poise/penalty/kl.hpp"

#include "everywhere.hpp"

#include <doctest/doctest.h>

namespace {

using namespace poise;
using everywhere::close;
using everywhere::stored;
using everywhere::table;

constexpr auto groups = std::size_t{37}, rollouts = std::size_t{6}, tokens = std::size_t{5};

/// Numbers of `groups` prompts with `rollouts` each of `tokens` tokens; the mask cuts each rollout somewhere.
struct token_data {
    table reward = everywhere::random_table(groups, rollouts, 1);
    table log_p = everywhere::random_table(groups, rollouts* tokens, 2, 0.3);
    table old = everywhere::random_table(groups, rollouts* tokens, 3, 0.3);
    table reference = everywhere::random_table(groups, rollouts* tokens, 4, 0.3);
    table mask{groups, rollouts* tokens};
    table prompt_weight{groups, 1};

    token_data() {
        for (std::size_t i = 0; i < groups; ++i) {
            prompt_weight(i, 0) = 0.5 + 0.25 * static_cast<double>(i % 5);
            for (std::size_t g = 0; g < rollouts; ++g)
                for (std::size_t t = 0; t < length(i, g); ++t) mask(i, g * tokens + t) = 1;
        }
    }
    std::size_t length(std::size_t i, std::size_t g) const { return 1 + (3 * i + g) % tokens; }
};

struct result {
    std::vector<double> objective;
    table gradient;
    table advantage;
};

/// The same written as one loop: GRPO's advantage, PPO's clipped surrogate and k3, averaged over the tokens of each
/// sequence and then over sequences (or over all tokens of the group), weighted by prompt.
result plain_loop(token_data const& d, bool by_sequence, double coefficient) {
    auto found = result{std::vector<double>(groups), table{groups, rollouts * tokens}, table{groups, rollouts}};
    for (std::size_t i = 0; i < groups; ++i) {
        auto mean = 0.0, square = 0.0, counted = 0.0;
        for (std::size_t g = 0; g < rollouts; ++g) mean += d.reward(i, g) / rollouts;
        for (std::size_t g = 0; g < rollouts; ++g) square += std::pow(d.reward(i, g) - mean, 2) / rollouts;
        for (std::size_t g = 0; g < rollouts; ++g) counted += static_cast<double>(d.length(i, g));
        for (std::size_t g = 0; g < rollouts; ++g) {
            auto const a = found.advantage(i, g) = (d.reward(i, g) - mean) / (std::sqrt(square) + 1e-6);
            for (std::size_t t = 0; t < d.length(i, g); ++t) {
                auto const k = g * tokens + t;
                auto const ratio = std::exp(d.log_p(i, k) - d.old(i, k));
                auto const clipped = std::min(std::max(ratio, 0.8), 1.28);
                auto const distance = d.log_p(i, k) - d.reference(i, k);
                auto const loss =
                    -std::min(a * ratio, a * clipped) + coefficient * (std::exp(-distance) - 1 + distance);
                auto const slope =
                    (a * ratio <= a * clipped ? -a * ratio : 0) + coefficient * (1 - std::exp(-distance));
                auto const share =
                    d.prompt_weight(i, 0) / (by_sequence ? static_cast<double>(d.length(i, g)) * rollouts : counted);
                found.objective[i] += share * loss;
                found.gradient(i, k) = share * slope / groups;
            }
        }
    }
    return found;
}

template <class T, class Layout, class Pipeline>
void check_tokens(Pipeline const& composed, bool by_sequence) {
    auto const d = token_data{};
    auto const expected = plain_loop(d, by_sequence, 0.04);
    auto const reward = stored<T, Layout>(d.reward), log_p = stored<T, Layout>(d.log_p), old = stored<T, Layout>(d.old),
               reference = stored<T, Layout>(d.reference), mask = stored<T, Layout>(d.mask);
    auto const weight = std::vector<T>(d.prompt_weight.values.begin(), d.prompt_weight.values.end());
    everywhere::in_every_execution([&](auto execution, std::string const& name) {
        CAPTURE(name);
        auto objective = std::vector<T>(groups);
        auto gradient = stored<T, Layout>(groups, rollouts * tokens);
        auto advantage = stored<T, Layout>(groups, rollouts);
        evaluate(execution, composed,
                 inputs(field::reward = reward.input(), field::weight = weight,
                        field::log_probability = sequences_of(log_p.input(), rollouts),
                        field::old_log_probability = sequences_of(old.input(), rollouts),
                        field::reference_log_probability = sequences_of(reference.input(), rollouts),
                        field::mask = sequences_of(mask.input(), rollouts)),
                 outputs(field::objective = objective, field::advantage = advantage.output(),
                         field::gradient<field::log_probability> = sequences_of(gradient.output(), rollouts)));
        auto wrong = 0;
        for (std::size_t i = 0; i < groups; ++i) {
            wrong += !close(static_cast<double>(objective[i]), expected.objective[i], everywhere::tolerance<T>);
            for (std::size_t g = 0; g < rollouts; ++g)
                wrong += !close(advantage(i, g), expected.advantage(i, g), everywhere::tolerance<T>);
            for (std::size_t k = 0; k < rollouts * tokens; ++k)
                wrong += !close(gradient(i, k), expected.gradient(i, k), everywhere::tolerance<T>);
        }
        CHECK(wrong == 0);
    });
}

constexpr auto grpo =
    estimator::group_relative{} | objective::clipped_surrogate{.high = 0.28} | penalty::kl_k3{.coefficient = 0.04};

} // namespace

TEST_CASE("a pipeline on tokens is the formula written as one loop, in every execution and layout") {
    check_tokens<double, row_contiguous>(grpo | aggregation::mean_of_sequences{}, true);
    check_tokens<double, interleaved>(grpo | aggregation::mean_of_sequences{}, true);
    check_tokens<float, strided>(grpo | aggregation::mean{}, false);
    check_tokens<double, row_contiguous>(grpo, false); // the mean without being told
}

TEST_CASE("sequences of different lengths need no mask") {
    auto const d = token_data{};
    auto const expected = plain_loop(d, true, 0.04);
    auto offsets = std::vector<std::size_t>{0};
    auto log_p = std::vector<double>{}, old = log_p, reference = log_p, slope = log_p;
    for (std::size_t i = 0; i < groups; ++i)
        for (std::size_t g = 0; g < rollouts; ++g) {
            for (std::size_t t = 0; t < d.length(i, g); ++t) {
                auto const k = g * tokens + t;
                log_p.push_back(d.log_p(i, k));
                old.push_back(d.old(i, k));
                reference.push_back(d.reference(i, k));
                slope.push_back(expected.gradient(i, k));
            }
            offsets.push_back(log_p.size());
        }
    auto const ragged = [&](auto& values) { return ragged_sequences_of(values.data(), offsets, rollouts); };
    auto const run = [&](auto execution) {
        auto objective = std::vector<double>(groups), gradient = std::vector<double>(log_p.size());
        evaluate(execution, grpo | aggregation::mean_of_sequences{},
                 inputs(field::reward = rows_of(d.reward.values.data(), groups, rollouts),
                        field::weight = per_row(d.prompt_weight.values), field::log_probability = ragged(log_p),
                        field::old_log_probability = ragged(old), field::reference_log_probability = ragged(reference)),
                 outputs(field::objective = objective, field::gradient<field::log_probability> = ragged(gradient)));
        auto wrong = 0;
        for (std::size_t i = 0; i < groups; ++i) wrong += !close(objective[i], expected.objective[i], 1e-12);
        for (std::size_t k = 0; k < slope.size(); ++k) wrong += !close(gradient[k], slope[k], 1e-12);
        CHECK(wrong == 0);
    };
    run(execution::sequential{});
    run(execution::along{});
    run(execution::parallel<execution::along>{});
}

TEST_CASE("a stage per sequence sees each rollout of a group; without tokens, the row is the sequence") {
    auto const rewards = everywhere::random_table(7, 12, 5), values = everywhere::random_table(7, 12, 6);
    auto terminal = table{7, 12};
    for (std::size_t i = 0; i < 7; ++i) terminal(i, 3) = terminal(i, 8) = 1;
    auto const run = [&](auto execution, std::size_t rows, auto const& view, auto const& last) {
        auto advantage = std::vector<double>(84), returns = advantage;
        evaluate(execution, estimator::generalized_advantage{} | objective::value_loss{},
                 inputs(field::reward = view(rewards.values, rows), field::value = view(values.values, rows),
                        field::terminal = view(terminal.values, rows), field::last_value = last),
                 outputs(field::advantage = view(advantage, rows), field::returns = view(returns, rows)));
        return advantage;
    };
    auto const last_of = std::vector<double>{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4};
    auto const plain = [](auto& values_of, std::size_t rows) {
        return rows_of(values_of.data(), rows, values_of.size() / rows);
    };
    auto const nested = [](auto& values_of, std::size_t rows) {
        return sequences_of(rows_of(values_of.data(), rows, values_of.size() / rows), 2);
    };
    auto const one_by_one = run(execution::sequential{}, 14, plain, per_row(last_of));
    CHECK(run(execution::sequential{}, 7, nested, rows_of(last_of.data(), 7, 2)) == one_by_one);
    auto const along = run(execution::along{}, 7, nested, rows_of(last_of.data(), 7, 2));
    for (std::size_t k = 0; k < 84; ++k) CHECK(close(along[k], one_by_one[k], 1e-13));
}

namespace {

POISE_FIELD(surprise, replaced);

struct squared_log_probability {
    using reads = fields<field::log_probability>;
    using writes = fields<surprise>;
    constexpr void operator()(row_of_reals auto log_p, writable_row auto out) const {
        map(out, [](auto v) { return v * v; }, log_p);
    }
};
struct weight_by_surprise {
    double power = 1;
    using reads = fields<surprise>;
    using writes = fields<field::weight>;
    constexpr void operator()(row_of_reals auto s, writable_row auto weight) const {
        map(weight, [p = power](auto v) { return math::pow(v, real_of<decltype(v)>(p)); }, s);
    }
};
struct double_reward { // reads and writes the same field
    using reads = fields<field::reward>;
    using writes = fields<field::reward>;
    constexpr void operator()(row_of_reals auto r, writable_row auto out) const {
        map(out, [](auto v) { return v + v; }, r);
    }
};

} // namespace

TEST_CASE("without tokens, what aggregates sequences takes the row for one; a loss per sequence is a sequence's own") {
    auto const log_p = std::vector{-1.0, -2.0, -3.0, -6.0}, advantage = std::vector{1.0, 1.0, 1.0, 1.0};
    auto const aggregated = [&](auto aggregation, auto... tokens) {
        auto objective = std::vector<double>(1), gradient = std::vector<double>(4);
        evaluate(execution::sequential{}, objective::policy_gradient{} | aggregation,
                 inputs(field::log_probability = one_row(log_p), field::advantage = one_row(advantage), tokens...),
                 outputs(field::objective = objective, field::gradient<field::log_probability> = one_row(gradient)));
        CHECK(gradient[0] * -12 == doctest::Approx(objective[0]));
        return objective[0];
    };
    CHECK(aggregated(aggregation::mean{}) == 3);
    CHECK(aggregated(aggregation::mean_of_sequences{}) == 3);
    CHECK(aggregated(aggregation::constant_length{8}) == 1.5);
    auto const entropies = std::vector<double>(12);
    CHECK(aggregated(aggregation::mean_of_sequences{}, field::entropy = sequences_of(one_row(entropies), 4)) == 3);
}

TEST_CASE("weights multiply, losses add, a field may be written again") {
    auto const rewards = everywhere::random_table(9, 5, 7), log_p = everywhere::random_table(9, 5, 8),
               given = everywhere::random_table(9, 5, 9);
    constexpr auto composed = double_reward{} | double_reward{} | estimator::centered{} | squared_log_probability{} |
                              weight_by_surprise{} | weight_by_surprise{.power = 2} | objective::policy_gradient{} |
                              objective::negative_log_likelihood{} | aggregation::sum{};
    everywhere::in_every_execution([&](auto execution, std::string const& name) {
        CAPTURE(name);
        auto objective = std::vector<double>(9), gradient = std::vector<double>(45), weight = gradient;
        auto const rows = [](auto& t) { return rows_of(t.data(), 9, 5); };
        evaluate(execution, composed,
                 inputs(field::reward = rows(rewards.values), field::log_probability = rows(log_p.values),
                        field::weight = rows(given.values)),
                 outputs(field::objective = objective, field::weight = rows(weight),
                         field::gradient<field::log_probability> = rows(gradient)));
        for (std::size_t i = 0; i < 9; ++i) {
            auto mean = 0.0, total = 0.0;
            for (std::size_t k = 0; k < 5; ++k) mean += rewards(i, k) / 5;
            for (std::size_t k = 0; k < 5; ++k) {
                auto const w = given(i, k) * std::pow(log_p(i, k), 6), a = 4 * (rewards(i, k) - mean);
                total += w * (-a * log_p(i, k) - log_p(i, k));
                CHECK(close(weight[i * 5 + k], w, 1e-12));
                CHECK(close(gradient[i * 5 + k], w * (-a - 1) / 9, 1e-12));
            }
            CHECK(close(objective[i], total, 1e-11));
        }
    });
}

namespace {

/// A weight for each prompt, each rollout, each token: the same numbers whatever the order of the stages.
struct weight_of_prompt {
    using reads = fields<field::reward>;
    using writes = fields<>;
    using writes_per_row = fields<field::weight>;
    constexpr void operator()(row_of_reals auto r, writable_row auto weight) const { weight[0] = maximum(r); }
};
struct weight_of_rollout {
    using reads = fields<field::reward>;
    using writes = fields<field::weight>;
    constexpr void operator()(row_of_reals auto r, writable_row auto weight) const {
        map(weight, [](auto v) { return v * v; }, r);
    }
};
struct weight_of_token {
    using reads = fields<field::log_probability>;
    using writes = fields<field::weight>;
    constexpr void operator()(row_of_reals auto log_p, writable_row auto weight) const {
        map(weight, math::exp, log_p);
    }
};

} // namespace

TEST_CASE("weights of prompts, rollouts and tokens multiply, in any order, with one that is given") {
    auto const d = token_data{};
    auto const check = [&](auto const& composed, auto execution) {
        auto gradient = std::vector<double>(groups * rollouts * tokens), weight = gradient;
        auto const per_token = [&](auto& values) {
            return sequences_of(rows_of(values.data(), groups, rollouts * tokens), rollouts);
        };
        evaluate(
            execution, composed,
            inputs(field::reward = rows_of(d.reward.values.data(), groups, rollouts),
                   field::weight = per_row(d.prompt_weight.values), field::log_probability = per_token(d.log_p.values)),
            outputs(field::gradient<field::log_probability> = per_token(gradient), field::weight = per_token(weight)));
        auto wrong = 0;
        for (std::size_t i = 0; i < groups; ++i) {
            auto greatest = d.reward(i, 0);
            for (std::size_t g = 0; g < rollouts; ++g) greatest = std::max(greatest, d.reward(i, g));
            for (std::size_t g = 0; g < rollouts; ++g)
                for (std::size_t t = 0; t < tokens; ++t) {
                    auto const k = (i * rollouts + g) * tokens + t;
                    auto const expected =
                        d.prompt_weight(i, 0) * greatest * std::pow(d.reward(i, g), 2) * std::exp(d.log_p.values[k]);
                    wrong += !close(weight[k], expected, 1e-13);
                    wrong += !close(gradient[k], -expected / groups, 1e-13);
                }
        }
        CHECK(wrong == 0);
    };
    constexpr auto loss = objective::negative_log_likelihood{} | aggregation::sum{};
    check(weight_of_prompt{} | weight_of_rollout{} | weight_of_token{} | loss, execution::sequential{});
    check(weight_of_token{} | weight_of_rollout{} | weight_of_prompt{} | loss, execution::along{});
    check(weight_of_rollout{} | weight_of_token{} | weight_of_prompt{} | loss, execution::in_lanes{});
}

TEST_CASE("padding may hold anything, and a group of padding only counts nothing") {
    auto const nan = everywhere::nan;
    auto const log_p = std::vector{-1.0, nan, -2.0, -0.5, nan, nan}, mask = std::vector{1.0, 0.0, 1.0, 1.0, 0.0, 0.0},
               empty = std::vector(6, 0.0);
    auto const run = [&](auto const& counts) {
        auto objective = std::vector<double>(2), gradient = std::vector<double>(6);
        evaluate(
            execution::along{}, objective::negative_log_likelihood{} | aggregation::mean{},
            inputs(field::log_probability = rows_of(log_p.data(), 2, 3), field::mask = rows_of(counts.data(), 2, 3)),
            outputs(field::objective = objective,
                    field::gradient<field::log_probability> = rows_of(gradient.data(), 2, 3)));
        objective.insert(objective.end(), gradient.begin(), gradient.end());
        return objective;
    };
    CHECK(run(mask) == std::vector{1.5, 0.5, -0.25, 0.0, -0.25, -0.5, 0.0, 0.0});
    CHECK(run(empty) == std::vector(8, 0.0));
}

TEST_CASE("diagnostics are numbers per row; results come back in the caller's matrices") {
    auto const log_p = Eigen::MatrixXd(Eigen::MatrixXd::Random(11, 4)),
               old = Eigen::MatrixXd(Eigen::MatrixXd::Random(11, 4));
    Eigen::MatrixXd loss(11, 4);
    Eigen::VectorXd fraction(11), divergence(11);
    evaluate(execution::simd{},
             objective::negative_log_likelihood{} | metric::clip_fraction{} | metric::sampled_kl_divergence{},
             inputs(field::log_probability = log_p, field::old_log_probability = old),
             outputs(field::loss = loss, field::clip_fraction = fraction, field::kl_divergence = divergence));
    auto const ratio = Eigen::ArrayXXd((log_p - old).array().exp());
    CHECK((loss + log_p).norm() == 0);
    for (Eigen::Index i = 0; i < 11; ++i) {
        CHECK(fraction[i] == static_cast<double>(((ratio.row(i) < 0.8) || (ratio.row(i) > 1.2)).count()) / 4);
        CHECK(close(divergence[i], (ratio.row(i) - 1 - ratio.row(i).log()).mean(), 1e-13));
    }
}

TEST_CASE("errors name the field, what was expected and what came") {
    auto const numbers = std::vector<double>(12, -1.0);
    auto gradient = std::vector<double>(12, 7.0);
    auto const run = [&](auto const& reward, auto const& log_p, auto const& stage) {
        evaluate(execution::simd{}, estimator::centered{} | stage,
                 inputs(field::reward = reward, field::log_probability = log_p, field::old_log_probability = log_p),
                 outputs(field::gradient<field::log_probability> = rows_of(gradient.data(), 3, 4)));
    };
    CHECK_THROWS_WITH_AS(
        run(rows_of(numbers.data(), 3, 3), rows_of(numbers.data(), 3, 4), objective::policy_gradient{}),
        "evaluate: argument 'log_probability': expected 3 elements in each row, got 4", argument_error);
    CHECK_THROWS_WITH_AS(
        run(rows_of(numbers.data(), 2, 4), rows_of(numbers.data(), 3, 4), objective::policy_gradient{}),
        "for_each_row: argument 'log_probability': expected 2 rows, got 3", argument_error);
    CHECK_THROWS_WITH_AS(
        run(rows_of(numbers.data(), 3, 4), rows_of(numbers.data(), 3, 4), objective::clipped_surrogate{.low = 1.5}),
        "clipped_surrogate: argument 'low': expected a number in [0, 1), got 1.5", domain_violation);
    CHECK_THROWS_WITH_AS(run(rows_of(numbers.data(), 3, 4), rows_of(numbers.data(), 3, 4),
                             objective::policy_gradient{} | aggregation::constant_length{0}),
                         "constant_length: argument 'length': expected a number above 0, got 0", domain_violation);
    auto advantages = gradient;
    auto const estimate = [&](auto const& stage) {
        auto const given = rows_of(numbers.data(), 3, 4);
        evaluate(execution::simd{}, stage,
                 inputs(field::reward = given, field::step_reward = given, field::value = given,
                        field::terminal = given, field::last_value = given),
                 outputs(field::advantage = rows_of(advantages.data(), 3, 4)));
    };
    CHECK_THROWS_WITH_AS(estimate(estimator::generalized_advantage{.lambda = 2}),
                         "generalized_advantage: argument 'lambda': expected a number in [0, 1], got 2",
                         domain_violation);
    CHECK_THROWS_WITH_AS(estimate(estimator::reward_to_go{.discount = 2}),
                         "reward_to_go: argument 'discount': expected a number in [0, 1], got 2", domain_violation);
    CHECK_THROWS_WITH_AS(sequences_of(rows_of(numbers.data(), 3, 4), 3),
                         "sequences_of: argument 'sequences': expected a number that divides 4 elements, got 3",
                         argument_error);
    CHECK(gradient == std::vector<double>(12, 7.0));
}

TEST_CASE("what a mask hides counts in no stage, objective or diagnostic, and has no gradient") {
    auto const nan = everywhere::nan;
    auto const mask = std::vector{1.0, 1.0, 0.0, 1.0, 0.0, 0.0}, weight = std::vector{1.0, 2.0, nan, 0.5, 1.0, 2.0};
    auto const hidden = [&](std::vector<double> values) {
        for (auto const k : {2, 4, 5}) values[static_cast<std::size_t>(k)] = nan;
        return values;
    };
    auto const log_p = hidden({-1, -1.5, 0, -0.5, 0, 0}), old = hidden({-1.1, -1, 0, -0.6, 0, 0}),
               reference = hidden({-1.2, -1.4, 0, -0.7, 0, 0}), entropy = hidden({0.1, 0.2, 0, 0.3, 0, 0}),
               advantage = hidden({2, -1, 0, 0.5, 0, 0});
    // two sequences of three tokens, and the same without what is hidden
    auto const short_log_p = std::vector{-1.0, -1.5, -0.5}, short_old = std::vector{-1.1, -1.0, -0.6},
               short_reference = std::vector{-1.2, -1.4, -0.7}, short_entropy = std::vector{0.1, 0.2, 0.3},
               short_advantage = std::vector{2.0, -1.0, 0.5}, short_weight = std::vector{1.0, 2.0, 0.5};
    auto const offsets = std::vector<std::size_t>{0, 2, 3};
    auto const check = [&](auto aggregation) {
        auto const stages = estimator::normalized_advantage{} | objective::clipped_surrogate{} |
                            penalty::kl_k3{.coefficient = 0.3} | objective::entropy_bonus{} | aggregation |
                            metric::clip_fraction{} | metric::sampled_kl_divergence{};
        auto const run = [&](auto execution, auto const& tokens, auto const& values, auto... masks) {
            auto const n = values[0]->size();
            auto results = std::array{std::vector<double>(1), std::vector<double>(1), std::vector<double>(1),
                                      std::vector<double>(n), std::vector<double>(n)};
            evaluate(execution, stages,
                     inputs(field::log_probability = tokens(*values[0]), field::old_log_probability = tokens(*values[1]),
                            field::reference_log_probability = tokens(*values[2]), field::entropy = tokens(*values[3]),
                            field::advantage = tokens(*values[4]), field::weight = tokens(*values[5]), masks...),
                     outputs(field::objective = results[0], field::clip_fraction = results[1],
                             field::kl_divergence = results[2],
                             field::gradient<field::log_probability> = tokens(results[3]),
                             field::gradient<field::entropy> = tokens(results[4])));
            return results;
        };
        auto const ragged = [&](auto& values) { return ragged_sequences_of(values.data(), offsets, 2); };
        auto const padded = [](auto& values) { return sequences_of(one_row(values), 2); };
        auto const expected =
            run(execution::sequential{}, ragged,
                std::array{&short_log_p, &short_old, &short_reference, &short_entropy, &short_advantage, &short_weight});
        everywhere::in_every_execution([&](auto execution, std::string const& name) {
            CAPTURE(name);
            auto const found = run(execution, padded, std::array{&log_p, &old, &reference, &entropy, &advantage, &weight},
                                   field::mask = padded(mask));
            for (std::size_t j = 0; j < 3; ++j) CHECK(close(found[j][0], expected[j][0], 1e-13));
            for (std::size_t j = 3; j < 5; ++j)
                for (std::size_t k = 0, counted = 0; k < 6; ++k)
                    CHECK(close(found[j][k], mask[k] == 1 ? expected[j][counted++] : 0, 1e-13));
        });
    };
    check(aggregation::mean{});
    check(aggregation::sum{});
    check(aggregation::mean_of_sequences{});
    check(aggregation::constant_length{3});
}

TEST_CASE("a mask of tokens is not one of rollouts: a stage on rollouts does without it") {
    auto const advantages = std::vector{1.0, 3.0}, log_p = std::vector(4, -1.0), mask = std::vector{1.0, 0.0, 1.0, 0.0};
    auto normalized = std::vector<double>(2);
    evaluate(execution::sequential{}, estimator::normalized_advantage{.epsilon = 0} | objective::policy_gradient{},
             inputs(field::advantage = one_row(advantages), field::log_probability = sequences_of(one_row(log_p), 2),
                    field::mask = sequences_of(one_row(mask), 2)),
             outputs(field::advantage = one_row(normalized)));
    CHECK(close(normalized[0], -std::sqrt(0.5), 1e-15));
    CHECK(close(normalized[1], std::sqrt(0.5), 1e-15));
}

TEST_CASE("the only advantage before a mask is normalised to 0") {
    auto const given = std::vector{5.0, everywhere::nan}, mask = std::vector{1.0, 0.0}, none = std::vector(2, 0.0);
    auto out = std::vector(2, 7.0);
    for_each_row(execution::sequential{}, estimator::normalized_advantage{}, one_row(given), one_row(out),
                 one_row(mask));
    CHECK(out == none);
    for_each_row(execution::along{}, estimator::normalized_advantage{}, one_row(given), one_row(out), one_row(none));
    CHECK(out == none);
}

TEST_CASE("a single rollout is refused in a pipeline as it is alone") {
    auto const one = std::vector(6, 1.0);
    auto out = std::vector<double>(6);
    auto const run = [&](auto const& stages, auto... given) {
        evaluate(execution::simd{}, stages, inputs(given...), outputs(field::advantage = rows_of(out.data(), 3, 1)));
    };
    auto const rewards = field::reward = rows_of(one.data(), 3, 1);
    auto const tokens = field::log_probability = sequences_of(rows_of(one.data(), 3, 2), 1);
    auto const message = "leave_one_out: argument 'reward': expected at least 2 elements, got 1";
    CHECK_THROWS_WITH_AS(run(estimator::leave_one_out{} | aggregation::mean{}, rewards), message, argument_error);
    CHECK_THROWS_WITH_AS(run(double_reward{} | estimator::leave_one_out{} | objective::policy_gradient{}, rewards, tokens),
                         message, argument_error);
    CHECK_THROWS_WITH_AS(run(estimator::centered{} | estimator::normalized_advantage{}, rewards),
                         "normalized_advantage: argument 'advantages': expected at least 2 elements, got 1",
                         argument_error);
    // rows of tokens that differ in length: two in the first, one in the second
    auto const offsets = std::vector<std::size_t>{0, 2, 3};
    auto const ragged = field::advantage = ragged_sequences_of(one.data(), offsets, 1);
    auto slopes = std::vector<double>(3);
    CHECK_THROWS_AS(evaluate(execution::sequential{}, estimator::normalized_advantage{} | aggregation::mean{},
                             inputs(ragged), outputs(field::advantage = ragged_sequences_of(slopes.data(), offsets, 1))),
                    argument_error);
}

// Too late is too late for a number per row and for a field that is read if given.
struct mask_of_rollouts {
    using reads = fields<field::reward>;
    using writes = fields<field::mask>;
};
struct penalty_on_clipping {
    using reads = fields<field::clip_fraction>;
    using writes = fields<field::cost>;
};
template <class A, class B>
constexpr bool in_order = std::is_same_v<poise::detail::fault_of_order<A, B>, poise::detail::no_fault>;
static_assert(in_order<metric::clip_fraction, penalty_on_clipping>);
static_assert(!in_order<penalty_on_clipping, metric::clip_fraction>);
static_assert(in_order<mask_of_rollouts, estimator::normalized_advantage>);
static_assert(!in_order<estimator::normalized_advantage, mask_of_rollouts>);

// A pipeline in a constant expression: rewards 1 and 3 of two rollouts, log-probabilities -1 and -2.
static_assert([] {
    auto const rewards = std::array{1.0, 3.0}, log_p = std::array{-1.0, -2.0};
    auto objective = std::array{0.0};
    evaluate(execution::sequential{}, estimator::centered{} | objective::policy_gradient{},
             inputs(field::reward = rows_of<2>(rewards.data(), 1, 2),
                    field::log_probability = rows_of<2>(log_p.data(), 1, 2)),
             outputs(field::objective = objective));
    return objective[0];
}() == 0.5);
