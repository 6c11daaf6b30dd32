#include "everywhere.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/execution/evaluate.hpp"

#include <doctest/doctest.h>

namespace {

using namespace poise;
using everywhere::close;
using everywhere::nan;
using everywhere::table;

/// By the formula, of the elements whose mask is not 0.
std::vector<double> expected(std::vector<double> const& r, std::vector<double> const& mask, double freedom_lost,
                             double epsilon, bool uncentered) {
    auto n = 0.0, mean = 0.0, squares = 0.0;
    for (std::size_t k = 0; k < r.size(); ++k)
        if (mask[k] != 0) n += 1, mean += r[k];
    mean /= n;
    for (std::size_t k = 0; k < r.size(); ++k)
        if (mask[k] != 0) squares += (r[k] - mean) * (r[k] - mean);
    auto const scale = std::sqrt(squares / std::max(n - freedom_lost, 1.0)) + epsilon;
    auto advantages = std::vector<double>(r.size());
    for (std::size_t k = 0; k < r.size(); ++k)
        if (mask[k] != 0) advantages[k] = n == 1 && uncentered ? r[k] / (1 + epsilon) : (r[k] - mean) / scale;
    return advantages;
}

template <class T, class Stage>
void check_stage(Stage const& stage, double freedom_lost, bool uncentered) {
    constexpr auto rows = std::size_t{9};
    for (auto const length : everywhere::sizes(1, 2, 5, 16, 70)) {
        auto reward = everywhere::random_table(rows, length, 41);
        auto mask = table{rows, length};
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t k = 0; k < length; ++k) {
                mask(i, k) = (i + k) % 3 == 0 || k == i % length ? 1 : 0; // at least one, in some rows only one
                if (mask(i, k) == 0) reward(i, k) = nan;
            }
        auto const stored_reward = everywhere::stored<T, interleaved>(reward),
                   stored_mask = decltype(stored_reward)(mask);
        everywhere::in_every_execution([&](auto execution, std::string const& name) {
            auto advantage = everywhere::stored<T, interleaved>(rows, length);
            evaluate(execution, stage,
                     inputs(field::reward = stored_reward.input(), field::sample_mask = stored_mask.input()),
                     outputs(field::advantage = advantage.output()));
            CAPTURE(name);
            CAPTURE(length);
            for (std::size_t i = 0; i < rows; ++i) {
                auto const right = expected(reward.row(i), mask.row(i), freedom_lost, stage.epsilon, uncentered);
                for (std::size_t k = 0; k < length; ++k)
                    CHECK(close(advantage(i, k), right[k], everywhere::tolerance<T>));
            }
        });
    }
}

TEST_CASE_TEMPLATE("group-relative advantages of the rollouts that count", T, double, float) {
    using namespace estimator;
    check_stage<T>(group_relative<deviation::population, singleton::zero>{1e-6}, 0, false);
    check_stage<T>(group_relative<deviation::sample, singleton::uncentered>{1e-4}, 1, true);
}

TEST_CASE("group_relative is the centred advantages over the deviation of the rewards") {
    using namespace estimator;
    auto const reward = everywhere::random_table(6, 8, 43);
    auto const rewards = everywhere::stored<double, row_contiguous>(reward);
    auto fused = everywhere::stored<double, row_contiguous>(6, 8), composed = fused, left_out = fused;
    auto const run = [&](auto const& stages, auto& out) {
        evaluate(execution::simd{}, stages, inputs(field::reward = rewards.input()),
                 outputs(field::advantage = out.output()));
    };
    run(group_relative<deviation::sample>{1e-3}, fused);
    run(centered{} | deviation_scale<deviation::sample>{1e-3}, composed);
    run(leave_one_out{} | deviation_scale<deviation::sample>{1e-3}, left_out);
    for (std::size_t i = 0; i < 6; ++i)
        for (std::size_t k = 0; k < 8; ++k) {
            CHECK(close(composed(i, k), fused(i, k), 1e-15));
            CHECK(close(left_out(i, k), fused(i, k) * 8 / 7, 1e-14));
        }
}

} // namespace
