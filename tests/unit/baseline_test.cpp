#include "everywhere.hpp"

#include "poise/environment/bandit.hpp"
#include "poise/estimator/baseline.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/policy/tabular_softmax.hpp"

#include <doctest/doctest.h>

#include <numeric>

namespace {

using namespace everywhere;
using poise::estimator::constant_baseline, poise::estimator::leave_one_out, poise::estimator::moving_average_baseline;
static_assert(poise::pipeline_stage<leave_one_out> && poise::pipeline_stage<constant_baseline<>>);

template <class T, class Layout, class Kernel, class Expected>
void check_in_every_execution(Kernel const& kernel, Expected const& expected) {
    in_every_execution([&]<class Execution>(Execution, std::string const& name) {
        for (auto const length : sizes(2, 3, 8, 9, 65))
            for (auto const rows : row_counts) {
                auto const rewards = random_table(rows, length, 1);
                auto const in = stored<T, Layout>(rewards);
                auto out = stored<T, Layout>(rows, length);
                poise::for_each_row(Execution{}, kernel, in.input(), out.output());
                auto wrong = 0;
                for (std::size_t i = 0; i < rows; ++i)
                    for (std::size_t k = 0; k < length; ++k)
                        wrong += !close(out(i, k), expected(rewards.row(i), k), tolerance<T>);
                INFO(name << ", " << rows << " rows of " << length);
                CHECK(wrong == 0);
            }
    });
}

TEST_CASE("leave-one-out is the reward less the mean of the others, everywhere") {
    auto const expected = [](std::vector<double> const& r, std::size_t k) {
        auto others = 0.0;
        for (std::size_t j = 0; j < r.size(); ++j) others += j == k ? 0 : r[j];
        return r[k] - others / static_cast<double>(r.size() - 1);
    };
    check_in_every_execution<double, poise::row_contiguous>(leave_one_out{}, expected);
    check_in_every_execution<float, poise::interleaved>(leave_one_out{}, expected);
    auto const one = std::array{1.0};
    auto out = one;
    CHECK_THROWS_WITH_AS(poise::for_each_row(execution::sequential{}, leave_one_out{}, one, out),
                         "leave_one_out: argument 'reward': expected at least 2 elements, got 1",
                         poise::argument_error);
    leave_one_out{}(poise::row(one), poise::row(out));
    CHECK(std::isnan(out[0]));
}

TEST_CASE("a constant baseline is subtracted, everywhere") {
    auto const expected = [](std::vector<double> const& r, std::size_t k) { return r[k] - 0.75; };
    check_in_every_execution<double, poise::row_contiguous>(constant_baseline{0.75}, expected);
    check_in_every_execution<float, poise::interleaved>(constant_baseline{0.75}, expected);
    // One per lane.
    using pack = poise::lanes<double>;
    auto rewards = std::array{pack(1), pack(2)};
    constant_baseline{pack::iota(0.5)}(poise::row(rewards), poise::row(rewards));
    for (std::size_t lane = 0; lane < pack::size; ++lane) CHECK(rewards[1][lane] == 1.5 - static_cast<double>(lane));
}

TEST_CASE("a moving average weighs batches by their age") {
    auto average = moving_average_baseline{.decay = 0.5};
    auto const means = std::array{4.0, 8.0, -2.0};
    CHECK(average.value() == 0);
    for (auto const m : means) {
        auto const batch = std::array{m - 1, m, m + 1};
        average.update(poise::row(batch));
    }
    CHECK(close(average.value(), (4 * 0.25 + 8 * 0.5 - 2) / 1.75, 1e-15));
    auto out = std::array{1.0, 0.0};
    average.baseline()(poise::row(out), poise::row(out));
    CHECK(close(out[0] - 1, -average.value(), 1e-15));
    // With decay 1 it is the mean of all; with decay 0 the last; in packs each lane has its own.
    using pack = poise::lanes<double>;
    auto lanes_of = moving_average_baseline<pack>{.decay = poise::math::min(pack::iota(0.0), pack(1))};
    for (auto const m : means) lanes_of.update(poise::row(std::array{pack(m)}));
    CHECK(lanes_of.value()[0] == -2);
    CHECK(close(lanes_of.value()[1], 10.0 / 3, 1e-15));
}

/// The mean over many groups of the policy gradient of a bandit estimated with some advantages, less the exact one, in
/// standard errors; and its total variance.
template <class Kernel>
std::pair<double, double> worst_error(Kernel const& kernel) {
    auto const arms = poise::environment::bandit<double>({0.2, 0.5, 0.9});
    auto policy = poise::policy::tabular_softmax<double>(1, 3);
    auto const logits = std::array{0.4, 0.0, -0.6};
    poise::copy(policy.parameters(), poise::row(logits));
    auto probabilities = std::vector<double>(3);
    poise::softmax(poise::row(probabilities), poise::row(logits));
    auto const exact = arms.mdp().policy_gradient(probabilities);

    auto const groups = std::uint32_t{20'000}, size = std::uint32_t{4};
    auto totals = std::array<double, 3>{}, squares = totals;
    for (std::uint32_t g = 0; g < groups; ++g) {
        auto actions = std::array<std::size_t, 4>{};
        auto rewards = std::array<double, 4>{}, advantages = rewards;
        for (std::uint32_t k = 0; k < size; ++k) {
            actions[k] = policy.sample(0, {.seed = 2, .step = g, .index = 2 * k});
            rewards[k] = arms.step(0, actions[k], {.seed = 2, .step = g, .index = 2 * k + 1}).reward;
        }
        kernel(poise::row(rewards), poise::row(advantages));
        auto gradient = std::array<double, 3>{};
        for (std::uint32_t k = 0; k < size; ++k) policy.pullback(0, actions[k], advantages[k] / size, gradient);
        for (std::size_t a = 0; a < 3; ++a) {
            totals[a] += gradient[a];
            squares[a] += gradient[a] * gradient[a];
        }
    }
    auto worst = 0.0, variance = 0.0;
    for (std::size_t a = 0; a < 3; ++a) {
        auto const mean = totals[a] / groups;
        auto const here = squares[a] / groups - mean * mean;
        worst = std::max(worst, std::abs(mean - exact[static_cast<Eigen::Index>(a)]) / std::sqrt(here / groups));
        variance += here;
    }
    return {worst, variance};
}

struct group_centered { // biased by (n - 1) / n: what leave-one-out is there to avoid
    void operator()(auto rewards, auto advantages) const {
        auto const centre = poise::mean(rewards);
        poise::map(advantages, [=](auto r) { return r - centre; }, rewards);
    }
};

TEST_CASE("with leave-one-out and with baselines the policy gradient is unbiased, and of less variance") {
    auto const [plain, plain_variance] = worst_error(constant_baseline{0.0});
    auto const [shifted, shifted_variance] = worst_error(constant_baseline{0.5});
    auto const [left_out, left_out_variance] = worst_error(leave_one_out{});
    CHECK(plain < 3.5);
    CHECK(shifted < 3.5);
    CHECK(left_out < 3.5);
    CHECK(left_out_variance < plain_variance);
    CHECK(shifted_variance < plain_variance);
    CHECK(worst_error(group_centered{}).first > 5); // so many groups do tell
}

} // namespace
