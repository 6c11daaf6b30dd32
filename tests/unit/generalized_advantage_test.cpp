#include "everywhere.hpp"

#include "poise/estimator/generalized_advantage.hpp"

#include <doctest/doctest.h>

namespace {

using namespace everywhere;
using poise::estimator::generalized_advantage, poise::estimator::reward_to_go;

struct trajectories {
    table rewards, values, terminal, last;

    trajectories(std::size_t rows, std::size_t length)
        : rewards(random_table(rows, length, 1)),
          values(random_table(rows, length, 2)),
          terminal(random_table(rows, length, 3)),
          last(random_table(rows, 1, 4)) {
        for (auto& ends : terminal.values) ends = ends > 3 ? 1 : 0;
    }
    double follows(std::size_t i, std::size_t t) const { return 1 - terminal(i, t); }
};

/// A_t = sum_l (discount lambda)^l delta_{t+l} up to the end of the episode: the definition, not the recurrence.
double advantage(trajectories const& of, std::size_t i, std::size_t t, double discount, double lambda) {
    auto total = 0.0, weight = 1.0;
    auto const T = of.rewards.length;
    for (auto k = t; k < T; ++k) {
        auto const next = k + 1 < T ? of.values(i, k + 1) : of.last(i, 0);
        total += weight * (of.rewards(i, k) + discount * of.follows(i, k) * next - of.values(i, k));
        weight *= discount * lambda * of.follows(i, k);
    }
    return total;
}

double sum_of_rewards(trajectories const& of, std::size_t i, std::size_t t, double discount) {
    auto total = 0.0, weight = 1.0;
    for (auto k = t; k < of.rewards.length; ++k) {
        total += weight * of.rewards(i, k);
        weight *= discount * of.follows(i, k);
    }
    return total + weight * of.last(i, 0);
}

template <class T, class Layout>
void check_in_every_execution() {
    in_every_execution([]<class Execution>(Execution, std::string const& name) {
        for (auto const length : sizes(0, 1, 2, 9, 65))
            for (auto const rows : row_counts) {
                auto const of = trajectories(rows, length);
                auto const rewards = stored<T, Layout>(of.rewards), values = stored<T, Layout>(of.values),
                           terminal = stored<T, Layout>(of.terminal), last = stored<T, Layout>(of.last);
                auto advantages = stored<T, Layout>(rows, length), returns = advantages, sums = advantages;
                poise::for_each_row(Execution{}, generalized_advantage{.discount = 0.9, .lambda = 0.8}, rewards.input(),
                                    values.input(), terminal.input(), last.input(), advantages.output(),
                                    returns.output());
                poise::for_each_row(Execution{}, reward_to_go{.discount = 0.9}, rewards.input(), terminal.input(),
                                    last.input(), sums.output());
                auto wrong = 0;
                for (std::size_t i = 0; i < rows; ++i)
                    for (std::size_t t = 0; t < length; ++t) {
                        auto const expected = advantage(of, i, t, 0.9, 0.8);
                        wrong += !close(advantages(i, t), expected, 2 * tolerance<T>);
                        wrong += !close(returns(i, t), expected + of.values(i, t), 2 * tolerance<T>);
                        wrong += !close(sums(i, t), sum_of_rewards(of, i, t, 0.9), 2 * tolerance<T>);
                    }
                INFO(name << ", " << rows << " rows of " << length);
                CHECK(wrong == 0);
            }
    });
}

TEST_CASE("GAE and reward-to-go are their defining sums, everywhere") {
    check_in_every_execution<double, poise::row_contiguous>();
    check_in_every_execution<float, poise::interleaved>();
}

TEST_CASE("channels share the ends of the episodes") {
    auto const rewards = std::array{1.0, 2.0, 3.0, 10.0, 20.0, 30.0}, values = std::array<double, 6>{};
    auto const terminal = std::array{0, 1, 0};
    auto const last = std::array{100.0, 200.0};
    auto sums = std::array<double, 6>{}, advantages = sums, returns = sums;
    poise::for_each_row(execution::in_lanes{}, reward_to_go{}, poise::rows_of(rewards.data(), 2, 3),
                        poise::shared_row(terminal), last, poise::rows_of(sums.data(), 2, 3));
    CHECK(sums == std::array{3.0, 2.0, 103.0, 30.0, 20.0, 230.0});
    poise::for_each_row(execution::along{}, generalized_advantage{.discount = 1, .lambda = 1},
                        poise::rows_of(rewards.data(), 2, 3), poise::rows_of(values.data(), 2, 3),
                        poise::shared_row(terminal), last, poise::rows_of(advantages.data(), 2, 3),
                        poise::rows_of(returns.data(), 2, 3));
    CHECK(advantages == sums);
}

TEST_CASE("what GAE refuses") {
    auto const three = std::array{1.0, 2.0, 3.0};
    auto const one = std::array{0.0};
    auto out = three, returns = three;
    auto const run = [&](generalized_advantage kernel, auto const& values, auto const& last) {
        poise::for_each_row(execution::sequential{}, kernel, poise::rows_of(three.data(), 1, 3), values,
                            poise::shared_row(three), last, poise::rows_of(out.data(), 1, 3),
                            poise::rows_of(returns.data(), 1, 3));
    };
    auto const whole = poise::rows_of(three.data(), 1, 3);
    CHECK_THROWS_WITH_AS(run({.discount = 1.5}, whole, one),
                         "generalized_advantage: argument 'discount': expected a number in [0, 1], got 1.5",
                         poise::domain_violation);
    CHECK_THROWS_AS(run({.lambda = everywhere::nan}, whole, one), poise::domain_violation);
    CHECK_THROWS_AS(run({}, poise::rows_of(three.data(), 1, 2), one), poise::argument_error);
    CHECK_THROWS_AS(run({}, whole, poise::rows_of(three.data(), 1, 2)), poise::argument_error);
}

TEST_CASE("a step behind a mask is as if it were not there, whatever it holds") {
    constexpr auto rows = std::size_t{5}, steps = std::size_t{19};
    auto const of = trajectories(rows, steps);
    auto mask = table{rows, steps};
    auto rewards = of.rewards, values = of.values, terminal = of.terminal;
    for (std::size_t k = 0; k < mask.values.size(); ++k) {
        mask.values[k] = k % 4 == 1 || k % 7 == 3 || k % steps >= 14 + k / steps ? 0 : 1;
        if (mask.values[k] == 0) rewards.values[k] = values.values[k] = terminal.values[k] = everywhere::nan;
    }
    constexpr auto gae = generalized_advantage{.discount = 0.9, .lambda = 0.8};
    constexpr auto to_go = reward_to_go{.discount = 0.9};
    auto expected = std::array{table{rows, steps}, table{rows, steps}, table{rows, steps}};
    for (std::size_t i = 0; i < rows; ++i) {
        auto counted = std::array<std::vector<double>, 3>{};
        for (std::size_t t = 0; t < steps; ++t)
            if (mask(i, t) == 1) {
                counted[0].push_back(of.rewards(i, t));
                counted[1].push_back(of.values(i, t));
                counted[2].push_back(of.terminal(i, t));
            }
        auto const [r, v, ends] = counted;
        auto const last = std::array{of.last(i, 0)};
        auto found = std::array{r, r, r};
        gae(poise::row(r), poise::row(v), poise::row(ends), poise::row(last), poise::row(found[0]),
            poise::row(found[1]));
        to_go(poise::row(r), poise::row(ends), poise::row(last), poise::row(found[2]));
        for (std::size_t t = 0, k = 0; t < steps; ++t)
            if (mask(i, t) == 1) {
                for (std::size_t j = 0; j < 3; ++j) expected[j](i, t) = found[j][k];
                ++k;
            }
    }
    in_every_execution([&](auto execution, std::string const& name) {
        CAPTURE(name);
        auto const whole = [&](auto& of_them) { return poise::rows_of(of_them.values.data(), rows, steps); };
        auto found = std::array{table{rows, steps}, table{rows, steps}, table{rows, steps}};
        poise::for_each_row(execution, gae, whole(std::as_const(rewards)), whole(std::as_const(values)),
                            whole(std::as_const(terminal)), of.last.values, whole(found[0]), whole(found[1]),
                            whole(std::as_const(mask)));
        poise::for_each_row(execution, to_go, whole(std::as_const(rewards)), whole(std::as_const(terminal)),
                            of.last.values, whole(found[2]), whole(std::as_const(mask)));
        for (std::size_t j = 0; j < 3; ++j)
            for (std::size_t k = 0; k < rows * steps; ++k)
                CHECK(close(found[j].values[k], expected[j].values[k], 1e-12));
    });
}

} // namespace
