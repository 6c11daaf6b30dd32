#include "poise/core/dual.hpp"
#include "poise/estimator/component_rewards.hpp"
#include "poise/estimator/kl_shaped_reward.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/estimator/optimal_value.hpp"
#include "poise/estimator/whitened.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/metric/clip_fractions.hpp"
#include "poise/objective/clipped_value_loss.hpp"
#include "poise/objective/optimal_advantage_regression.hpp"
#include "poise/objective/surrogate.hpp"
#include "poise/objective/weighted.hpp"
#include "poise/penalty/importance_corrected_kl.hpp"
#include "poise/solver/adaptive_entropy.hpp"
#include "poise/solver/fixed_length_step.hpp"
#include "poise/solver/prioritized_replay.hpp"
#include "poise/weighting/off_policy_sequence.hpp"
#include "poise/weighting/sampling_correction.hpp"
#include "poise/weighting/top_entropy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

/// Edge cases, errors, gradients against dual numbers, and constant expressions.
namespace {

using namespace poise;
using numbers = std::vector<double>;
constexpr auto nan = math::quiet_nan<double>;
constexpr auto infinity = math::infinity<double>;

void in_rows(auto const& kernel, auto const&... batches) { for_each_row(execution::sequential{}, kernel, batches...); }
bool same(numbers const& a, numbers const& b) { return a == b; }

std::string message(auto const& run) {
    try {
        run();
    } catch (std::exception const& error) {
        return error.what();
    }
    return "";
}
bool mentions(std::string const& text, std::string const& a, std::string const& b) {
    return text.find(a) != std::string::npos && text.find(b) != std::string::npos;
}

// ---- advantages

numbers advantages_of(auto const& pipeline, std::size_t groups, numbers const& a, numbers const& b) {
    auto result = numbers(a.size(), 7);
    auto const rows = [&](auto& x) { return rows_of(x.data(), groups, a.size() / groups); };
    evaluate(execution::sequential{}, pipeline, inputs(field::component<0> = rows(a), field::component<1> = rows(b)),
             outputs(field::advantage = rows(result)));
    return result;
}

TEST_CASE("groups without a difference, with one score, with none") {
    using estimator::deviation::sample;
    auto const sum = estimator::weighted_sum<2>{{1, 1}};
    // a group of equal rewards; one of which one is scored; one of which none is
    auto const a = numbers{0.3, 0.3, 0.3, 1, nan, nan, nan, nan, nan},
               b = numbers{1, 1, 1, nan, nan, nan, nan, nan, nan};
    auto const zero = numbers(9);
    CHECK(same(advantages_of(sum | estimator::group_relative<sample>{1e-4}, 3, a, b), zero));
    CHECK(same(advantages_of(sum | estimator::comparable{} | estimator::leave_one_out{}, 3, a, b), zero));
    auto const each = estimator::normalized_component<0>{} | estimator::normalized_component<1>{} | sum;
    CHECK(same(advantages_of(each | over_batch(estimator::group_relative<sample>{1e-4}), 3, a, b), zero));
    // a group of one
    CHECK(same(advantages_of(sum | estimator::group_relative<sample>{1e-4}, 9, a, b), zero));
}

TEST_CASE("a masked leave-one-out compares with the others that count") {
    auto const reward = numbers{1, nan, 4, 10}, mask = numbers{1, 0, 1, 1};
    auto advantage = numbers(4);
    in_rows(estimator::leave_one_out{}, one_row(reward), one_row(advantage), one_row(mask));
    CHECK(advantage[0] == doctest::Approx(1 - 7.0));
    CHECK(advantage[1] == 0);
    CHECK(advantage[2] == doctest::Approx(4 - 5.5));
    CHECK(advantage[3] == doctest::Approx(10 - 2.5));
}

TEST_CASE("a response's reward stands behind its last token, or at the end of a full row") {
    auto const reward = numbers{5, 7}, length = numbers{2, 3}, log_p = numbers{-1, -2, 0, -1, -1, -1},
               reference = numbers{-2, -2, 0, -1, -1, -3};
    auto steps = numbers(6);
    auto const rows = [](auto& x) { return rows_of(x.data(), 2, 3); };
    in_rows(estimator::kl_shaped_reward<>{0.1}, per_row(reward), per_row(length), rows(log_p), rows(reference),
            rows(steps));
    auto const expected = numbers{-0.1, 0, 5, 0, 0, -0.2 + 7};
    for (std::size_t k = 0; k < 6; ++k) CHECK(steps[k] == doctest::Approx(expected[k]));
}

TEST_CASE("rewards that nothing solves are dropped; rewards of any size have a value") {
    auto const reward = numbers{0, 0, 0, 1e6, -1e6, 0, 3, 3, 3};
    auto value = numbers(3), keep = value;
    in_rows(estimator::optimal_value{}, rows_of(reward.data(), 3, 3), per_row(value), per_row(keep));
    CHECK(same(keep, {0, 0, 1}));
    CHECK(value[0] == 0);
    CHECK(value[1] == doctest::Approx(1e6));
    CHECK(value[2] == doctest::Approx(3));
}

// ---- factors

TEST_CASE("sampling corrections at their bounds and behind the mask") {
    auto const old = numbers{0, 0, std::log(4.0), nan}, sampling = numbers{0, std::log(4.0), 0, nan},
               mask = numbers{1, 1, 1, 0};
    auto weight = numbers(4), of_sequence = numbers(1);
    using weighting::bound::truncated;
    in_rows(weighting::token_sampling_correction<>{0.5, 3}, one_row(old), one_row(sampling), one_row(weight),
            one_row(mask));
    CHECK(same(weight, {1, 0, 0, 1}));
    in_rows(weighting::token_sampling_correction<truncated>{0.5, 3}, one_row(old), one_row(sampling), one_row(weight),
            one_row(mask));
    CHECK(same(weight, {1, 0.5, 3, 1}));
    in_rows(weighting::sequence_sampling_correction<>{}, one_row(old), one_row(sampling), one_row(of_sequence),
            one_row(mask));
    CHECK(of_sequence[0] == doctest::Approx(1));
    auto const far = numbers{40}, near = numbers{0};
    auto one = numbers(1);
    in_rows(weighting::token_sampling_correction<>{}, one_row(far), one_row(near), one_row(one));
    CHECK(one[0] == 0); // not infinity times 0
}

TEST_CASE("a response that was bad and that the policy has left pulls no more") {
    auto const advantage = numbers{1, -1, -1, -1}, log_p = numbers{-2, -2, 0, nan}, sampling = numbers{-1, -1, -1, nan},
               mask = numbers{1, 1, 1, 0};
    auto keep = numbers(4), divergence = numbers(4);
    in_rows(weighting::off_policy_sequence{0.5}, per_row(advantage), rows_of(log_p.data(), 4, 1),
            rows_of(sampling.data(), 4, 1), per_row(keep), per_row(divergence), rows_of(mask.data(), 4, 1));
    CHECK(same(keep, {1, 0, 1, 1}));
    CHECK(same(divergence, {1, 1, -1, 0}));
}

TEST_CASE("tokens of greatest entropy: all of them, ties, none that counts") {
    auto const entropy = numbers{0.1, 0.5, 0.5, 0.9, 3}, mask = numbers{1, 1, 1, 1, 0}, nothing = numbers(5);
    auto weight = numbers(5);
    auto const select = [&](double fraction, numbers const& counts) {
        in_rows(weighting::top_entropy{fraction}, one_row(entropy), one_row(weight), one_row(counts));
        return weight;
    };
    CHECK(same(select(1, mask), {1, 1, 1, 1, 0}));
    CHECK(same(select(0.5, mask), {0, 1, 1, 1, 0}));
    CHECK(same(select(0.01, mask), {0, 0, 0, 1, 0}));
    CHECK(same(select(0.5, nothing), nothing));
}

// ---- losses against dual numbers

/// d (sum of losses) / d x_k by the kernel on dual numbers is what it writes as a gradient.
template <std::size_t Others>
void check_gradient(auto const& stage, numbers const& at, std::array<numbers, Others> const& others) {
    using number = dual<double>;
    for (std::size_t moved = 0; moved < at.size(); ++moved) {
        auto x = std::vector<number>{};
        for (std::size_t k = 0; k < at.size(); ++k) x.push_back({at[k], k == moved ? 1.0 : 0.0});
        auto constants = std::array<std::vector<number>, Others>{};
        for (std::size_t j = 0; j < Others; ++j)
            for (auto const c : others[j]) constants[j].push_back({c, 0});
        auto loss = std::vector<number>(at.size()), gradient = loss;
        [&]<std::size_t... J>(std::index_sequence<J...>) {
            in_rows(stage, one_row(std::as_const(x)), one_row(std::as_const(constants[J]))..., one_row(loss),
                    one_row(gradient));
        }(std::make_index_sequence<Others>{});
        auto total = number{0};
        for (auto const l : loss) total += l;
        CHECK(total.derivative == doctest::Approx(gradient[moved].value).epsilon(1e-12));
    }
}

TEST_CASE("gradients of value losses, regressions and divergences") {
    auto const x = numbers{0.3, -1.2, 0.7, 2.5}, y = numbers{0.1, -1.1, -0.4, 1.9}, z = numbers{-0.2, 0.4, 0.5, 2.0},
               w = numbers{1, 0, 0.5, 2};
    check_gradient<2>(objective::clipped_value_loss{0.3, 0.2}, x, {y, z});
    check_gradient<3>(objective::optimal_advantage_regression{0.2}, x, {y, z, w});
    check_gradient<2>(penalty::importance_corrected_kl<>{0.3}, x, {y, z});
    check_gradient<2>(penalty::importance_corrected_kl<penalty::k2>{0.3}, x, {y, z});
    check_gradient<2>(objective::weighted_by<field::length>(penalty::kl_k3{0.3}), x, {y, w});
}

TEST_CASE("a value held at the bound of its step does not pull when the held error is the greater") {
    auto const value = numbers{1, 1}, old = numbers{0, 0}, returns = numbers{3, -3};
    auto loss = numbers(2), gradient = numbers(2), fraction = numbers(1);
    in_rows(objective::clipped_value_loss{1, 0.2}, one_row(value), one_row(old), one_row(returns), one_row(loss),
            one_row(gradient));
    CHECK(loss[0] == doctest::Approx(0.5 * 2.8 * 2.8));
    CHECK(gradient[0] == 0);
    CHECK(gradient[1] == doctest::Approx(4));
    in_rows(metric::value_clip_fraction{0.2}, one_row(value), one_row(old), one_row(returns), one_row(fraction));
    CHECK(fraction[0] == 0.5);
}

TEST_CASE("nothing that counts: no loss, no gradient; ratios of any size stay finite") {
    auto const advantage = numbers{1, -1}, mask = numbers(4), all = numbers(4, 1), old = numbers{0, 0, 0, 0},
               far = numbers{40, 40, -40, -40};
    auto const tokens = [](auto& x) { return sequences_of(one_row(x), 2); };
    auto const check = [&](auto const& pipeline) {
        auto loss = numbers(1, 7), gradient = numbers(4, 7);
        auto const run = [&](numbers const& counts) {
            evaluate(execution::sequential{}, pipeline,
                     inputs(field::advantage = one_row(advantage), field::log_probability = tokens(far),
                            field::old_log_probability = tokens(old), field::mask = tokens(counts)),
                     outputs(field::objective = loss, field::gradient<field::log_probability> = tokens(gradient)));
        };
        run(mask);
        CHECK(loss[0] == 0);
        CHECK(same(gradient, numbers(4)));
        run(all);
        CHECK(std::isfinite(loss[0]));
        for (auto const g : gradient) CHECK(std::isfinite(g));
    };
    using objective::surrogate;
    constexpr auto of_sequences = aggregation::mean_of_sequences{};
    check(surrogate<>{} | of_sequences);
    check(surrogate<ratio::sequence>{} | of_sequences);
    check(surrogate<ratio::sequence_sum, trust_region::gamma_weight>{} | of_sequences);
    check(surrogate<ratio::token, trust_region::sigmoid>{} | of_sequences);
    check(surrogate<ratio::clipped_geometric_mean, trust_region::unclipped>{} | of_sequences);
}

// ---- solvers

TEST_CASE("a coefficient of entropy stays within its bounds and is applied below the target only") {
    auto const entropies = numbers{0.1, 0.1, 0.5, 0.5, 0.1};
    auto applied = numbers(5), coefficient = numbers(5);
    in_rows(solver::adaptive_entropy{.initial = 0, .target = 0.2, .step = 1, .least = 0, .most = 1.5},
            one_row(entropies), one_row(applied), one_row(coefficient));
    CHECK(same(coefficient, {1, 1.5, 0.5, 0, 1}));
    CHECK(same(applied, {0, 1, 1.5, 0, 0}));
}

TEST_CASE("a replay buffer keeps the greatest scores and draws by them") {
    auto buffer = solver::prioritized_replay<char>(2);
    CHECK(mentions(message([&] { buffer.draw(1, [](auto) { return 0.0; }); }), "draw", "holds something"));
    CHECK(buffer.offer(1, 'a'));
    CHECK(buffer.offer(0, 'b'));
    CHECK_FALSE(buffer.offer(0, 'c')); // strictly larger
    CHECK(buffer.offer(3, 'd'));
    CHECK(same(buffer.probabilities(), {0.25, 0.75}));
    auto const at = [&](std::size_t count, double u) { return buffer.draw(count, [u](auto) { return u; }); };
    CHECK(at(1, 0.2) == std::vector<std::size_t>{0});
    CHECK(at(1, 0.3) == std::vector<std::size_t>{1});
    CHECK(at(2, 0.9) == std::vector<std::size_t>{1, 0}); // without replacement
    CHECK(at(3, 0.9) == std::vector<std::size_t>{1, 1, 1});
    CHECK(mentions(message([&] { buffer.offer(nan, 'e'); }), "score", "finite number not below 0"));
    CHECK(mentions(message([] { solver::prioritized_replay<int>(0); }), "capacity", "at least 1"));
}

TEST_CASE("steps of a fixed length, none without a gradient") {
    auto const step = [](auto const& rule, numbers const& gradient) {
        auto w = numbers{1, 2};
        rule(row<double>(w), row<double const>(gradient), std::array<row<double>, 0>{}, 1);
        return w;
    };
    CHECK(same(step(solver::fixed_length_step<>{0.5}, {0, -8}), {1, 2.5}));
    CHECK(same(step(solver::fixed_length_step<norm::absolute>{0.5}, {-4, 4}), {1.25, 1.75}));
    CHECK(same(step(solver::fixed_length_step<>{0.5}, {0, 0}), {1, 2}));
}

// ---- errors name the argument and what was expected

TEST_CASE("errors") {
    auto const wrong = [](auto const& stage, char const* argument, char const* expected) {
        auto const text = message([&] { stage.check_hyperparameters(); });
        INFO(text);
        CHECK(mentions(text, argument, expected));
    };
    using weighting::bound::truncated;
    wrong(weighting::token_sampling_correction<>{2, 1}, "most", "a number above least");
    wrong(weighting::token_sampling_correction<truncated>{0, infinity}, "most", "a bound");
    wrong(weighting::sequence_sampling_correction<>{-1, 1}, "least", "a number not below 0");
    wrong(weighting::top_entropy{0}, "fraction", "a number in (0, 1]");
    wrong(weighting::off_policy_sequence{nan}, "threshold", "a finite number");
    wrong(trust_region::two_sided{.delta = -1}, "delta", "a number above 0");
    wrong(trust_region::capped_weight{0}, "cap", "a number above 0");
    wrong(trust_region::sigmoid{0, 1}, "positive_temperature", "a number above 0");
    wrong(estimator::weighted_sum<2>{{1, nan}}, "weights", "finite numbers");
    wrong(estimator::clipped_reward{1, 0}, "least", "a number not above most");
    wrong(estimator::whitened{-1}, "epsilon", "a number not below 0");
    wrong(estimator::optimal_value{0}, "temperature", "a finite number above 0");
    wrong(objective::clipped_value_loss{0.1, -1}, "clip", "a number not below 0");
    wrong(objective::optimal_advantage_regression{0}, "coefficient", "a finite number above 0");
    wrong(penalty::importance_corrected_kl<>{-1}, "coefficient", "a finite number not below 0");

    auto const x = numbers{1, 2, 3}, one = numbers{0, 1, 0};
    auto out = numbers(3);
    CHECK(mentions(message([&] { in_rows(estimator::whitened{}, one_row(x), one_row(out), one_row(one)); }), "mask",
                   "at least 2 elements that count"));
}

// ---- constant expressions

constexpr auto held_value = [] {
    auto const value = std::array{1.0}, old = std::array{0.0}, returns = std::array{3.0};
    auto loss = std::array{0.0}, gradient = std::array{1.0};
    objective::clipped_value_loss{2, 0.5}(row<double const>(value.data(), 1), row<double const>(old.data(), 1),
                                          row<double const>(returns.data(), 1), row<double>(loss.data(), 1),
                                          row<double>(gradient.data(), 1));
    return std::pair{loss[0], gradient[0]};
}();
static_assert(held_value.first == 6.25 && held_value.second == 0);
static_assert(solver::adaptive_entropy{.step = 0.25}.next(0.5, 0.1) == 0.75);

} // namespace
