#include "everywhere.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/policy_gradient.hpp"

#include <doctest/doctest.h>

namespace {

using namespace poise;
using everywhere::close;
using everywhere::table;

/// mask = 1 for the elements whose |A| H is above the mean of all that count; the greatest of it is written per row.
struct above_the_mean {
    using reads = fields<field::advantage, field::entropy>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<field::mask>;
    using writes_per_row = fields<field::kl_divergence>;

    constexpr void operator()(row_of_reals auto advantage, row_of_reals auto entropy, writable_row auto kept,
                              writable_row auto greatest, row_of_reals auto... mask) const {
        using T = value_of<decltype(kept)>;
        auto const key = [](auto a, auto h, auto... m) {
            if constexpr (sizeof...(m) == 0)
                return math::abs(a) * h;
            else
                return counted(m..., math::abs(a) * h);
        };
        auto const centre =
            T(sum(key, advantage, entropy, mask...)) / estimator::counted_elements<T>(kept.size(), mask...);
        greatest[0] = maximum(key, advantage, entropy, mask...);
        map(
            kept,
            [=](auto... x) {
                using V = std::remove_cvref_t<decltype(key(x...))>;
                return math::select(key(x...) > V(centre), V(1), V(0));
            },
            advantage, entropy, mask...);
    }
};

constexpr std::size_t prompts = 5, rollouts = 4, tokens = 6;

TEST_CASE("a stage over the whole batch: the rewards' mean and deviation") {
    auto const reward = everywhere::random_table(prompts, rollouts, 51);
    auto const rewards = everywhere::stored<double, interleaved>(reward);
    auto total = 0.0, squares = 0.0;
    for (auto const r : reward.values) total += r / (prompts * rollouts);
    for (auto const r : reward.values) squares += (r - total) * (r - total);
    auto const deviation = std::sqrt(squares / (prompts * rollouts - 1));
    everywhere::in_every_execution([&](auto execution, std::string const& name) {
        CAPTURE(name);
        auto centred = everywhere::stored<double, strided>(prompts, rollouts), scaled = centred, both = centred;
        auto const run = [&](auto const& stages, auto& out) {
            evaluate(execution, stages, inputs(field::reward = rewards.input()),
                     outputs(field::advantage = out.output()));
        };
        run(over_batch(estimator::centered{}), centred);
        run(estimator::leave_one_out{} | over_batch(estimator::deviation_scale<estimator::deviation::sample>{0}),
            scaled);
        run(over_batch(estimator::centered{}) | over_batch(estimator::deviation_scale<estimator::deviation::sample>{0}),
            both);
        for (std::size_t i = 0; i < prompts; ++i) {
            auto mean = 0.0;
            for (std::size_t k = 0; k < rollouts; ++k) mean += reward(i, k) / rollouts;
            for (std::size_t k = 0; k < rollouts; ++k) {
                CHECK(close(centred(i, k), reward(i, k) - total, 1e-14));
                CHECK(close(scaled(i, k), (reward(i, k) - mean) * rollouts / (rollouts - 1.0) / deviation, 1e-13));
                CHECK(close(both(i, k), (reward(i, k) - total) / deviation, 1e-13));
            }
        }
    });
}

TEST_CASE("tokens selected from the whole batch, behind a mask, between stages of rows") {
    constexpr auto length = rollouts * tokens;
    auto const reward = everywhere::random_table(prompts, rollouts, 52),
               log_p = everywhere::random_table(prompts, length, 53, 0.3),
               old = everywhere::random_table(prompts, length, 54, 0.3);
    auto entropy = everywhere::random_table(prompts, length, 55), mask = table{prompts, length};
    for (auto& h : entropy.values) h = std::abs(h);
    for (std::size_t k = 0; k < mask.values.size(); ++k) mask.values[k] = k % 5 == 2 ? 0 : 1;

    // by plain loops
    auto advantage = table{prompts, length};
    auto centre = 0.0, count = 0.0, greatest = 0.0;
    for (std::size_t i = 0; i < prompts; ++i) {
        auto mean = 0.0;
        for (std::size_t g = 0; g < rollouts; ++g) mean += reward(i, g) / rollouts;
        for (std::size_t k = 0; k < length; ++k) {
            advantage(i, k) = reward(i, k / tokens) - mean;
            auto const key = mask(i, k) * std::abs(advantage(i, k)) * entropy(i, k);
            centre += key;
            count += mask(i, k);
            greatest = std::max(greatest, key);
        }
    }
    centre /= count;
    auto kept = mask;
    auto objective = std::array<double, prompts>{};
    auto gradient = table{prompts, length};
    for (std::size_t i = 0; i < prompts; ++i) {
        auto selected = 0.0;
        for (std::size_t k = 0; k < length; ++k) {
            kept(i, k) = mask(i, k) != 0 && std::abs(advantage(i, k)) * entropy(i, k) > centre ? 1 : 0;
            selected += kept(i, k);
        }
        REQUIRE(selected > 0);
        for (std::size_t k = 0; k < length; ++k)
            if (kept(i, k) != 0) {
                auto const ratio = std::exp(log_p(i, k) - old(i, k)), a = advantage(i, k);
                auto const clipped = std::clamp(ratio, 0.8, 1.2);
                objective[i] -= std::min(ratio * a, clipped * a) / selected;
                gradient(i, k) = ratio * a <= clipped * a ? -a * ratio / selected / prompts : 0.0;
            }
    }

    auto const of_tokens = [&](auto const& batch) { return sequences_of(batch, rollouts); };
    auto const rewards = everywhere::stored<double, row_contiguous>(reward), log_ps = decltype(rewards)(log_p),
               olds = decltype(rewards)(old), entropies = decltype(rewards)(entropy), masks = decltype(rewards)(mask);
    auto const stages = estimator::centered{} | over_batch(above_the_mean{}) | objective::clipped_surrogate{};
    auto const run = [&](auto execution) {
        auto gradients = everywhere::stored<double, row_contiguous>(prompts, length), selections = gradients;
        auto values = std::array<double, prompts>{}, most = values;
        auto advantages = everywhere::stored<double, row_contiguous>(prompts, rollouts);
        evaluate(execution, stages,
                 inputs(field::reward = rewards.input(), field::log_probability = of_tokens(log_ps.input()),
                        field::old_log_probability = of_tokens(olds.input()),
                        field::entropy = of_tokens(entropies.input()), field::mask = of_tokens(masks.input())),
                 outputs(field::objective = values, field::advantage = advantages.output(), field::kl_divergence = most,
                         field::mask = of_tokens(selections.output()),
                         field::gradient<field::log_probability> = of_tokens(gradients.output())));
        for (std::size_t i = 0; i < prompts; ++i) {
            CHECK(close(values[i], objective[i], 1e-14));
            CHECK(close(most[i], greatest, 1e-15));
            for (std::size_t k = 0; k < length; ++k) {
                CHECK(close(gradients(i, k), gradient(i, k), 1e-14));
                CHECK(selections(i, k) == kept(i, k));
                CHECK(close(advantages(i, k / tokens), advantage(i, k), 1e-15));
            }
        }
    };
    run(execution::sequential{});
    run(execution::simd{});
    run(execution::in_lanes{});
    run(execution::parallel<execution::simd>{});
}

} // namespace
