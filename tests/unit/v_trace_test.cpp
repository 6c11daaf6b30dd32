#include "everywhere.hpp"

#include "poise/environment/chain.hpp"
#include "poise/estimator/v_trace.hpp"

#include <doctest/doctest.h>

namespace {

using namespace everywhere;
using poise::estimator::v_trace;
static_assert(poise::pipeline_stage<v_trace>);

struct trajectories {
    table rewards, values, terminal, last, now, old;

    trajectories(std::size_t rows, std::size_t length)
        : rewards(random_table(rows, length, 1)),
          values(random_table(rows, length, 2)),
          terminal(random_table(rows, length, 3)),
          last(random_table(rows, 1, 4)),
          now(random_table(rows, length, 5, 0.5)),
          old(random_table(rows, length, 6, 0.5)) {
        for (auto& ends : terminal.values) ends = ends > 3 ? 1 : 0;
    }
    double ratio(std::size_t i, std::size_t t) const { return std::exp(now(i, t) - old(i, t)); }
    double value_after(table const& of, std::size_t i, std::size_t t) const {
        return t + 1 < of.length ? of(i, t + 1) : last(i, 0);
    }
};

/// v_s = V_s + sum_t (prod_{i < t} d_i c_i) delta_t: the sum of equation 1, not the recurrence.
table targets(trajectories const& of, v_trace const& by) {
    auto v = of.values;
    for (std::size_t i = 0; i < v.rows; ++i)
        for (std::size_t s = 0; s < v.length; ++s) {
            auto weight = 1.0;
            for (auto t = s; t < v.length; ++t) {
                auto const discount = by.discount * (1 - of.terminal(i, t));
                v(i, s) += weight * std::min(by.rho_bar, of.ratio(i, t)) *
                           (of.rewards(i, t) + discount * of.value_after(of.values, i, t) - of.values(i, t));
                weight *= discount * by.lambda * std::min(by.c_bar, of.ratio(i, t));
            }
        }
    return v;
}

template <class T, class Layout>
void check_in_every_execution(v_trace const& kernel) {
    in_every_execution([&]<class Execution>(Execution, std::string const& name) {
        for (auto const length : sizes(0, 1, 2, 9, 33))
            for (auto const rows : row_counts) {
                auto const of = trajectories(rows, length);
                auto const of_T = [](table const& values) { return stored<T, Layout>(values); };
                auto const now = of_T(of.now), old = of_T(of.old), rewards = of_T(of.rewards), values = of_T(of.values),
                           terminal = of_T(of.terminal), last = of_T(of.last);
                auto advantages = stored<T, Layout>(rows, length), returns = advantages;
                poise::for_each_row(Execution{}, kernel, now.input(), old.input(), rewards.input(), values.input(),
                                    terminal.input(), last.input(), advantages.output(), returns.output());
                auto const v = targets(of, kernel);
                auto wrong = 0;
                for (std::size_t i = 0; i < rows; ++i)
                    for (std::size_t t = 0; t < length; ++t) {
                        auto const a =
                            std::min(kernel.rho_bar_gradient, of.ratio(i, t)) *
                            (of.rewards(i, t) + kernel.discount * (1 - of.terminal(i, t)) * of.value_after(v, i, t) -
                             of.values(i, t));
                        wrong += !close(returns(i, t), v(i, t), 10 * tolerance<T>);
                        wrong += !close(advantages(i, t), a, 10 * tolerance<T>);
                    }
                INFO(name << ", " << rows << " rows of " << length);
                CHECK(wrong == 0);
            }
    });
}

TEST_CASE("V-trace is its defining sum, everywhere") {
    check_in_every_execution<double, poise::row_contiguous>(
        {.discount = 0.9, .lambda = 0.8, .rho_bar = 1.3, .c_bar = 0.9, .rho_bar_gradient = 1.1});
    check_in_every_execution<float, poise::interleaved>({.discount = 0.9, .rho_bar = 2});
}

TEST_CASE("on-policy V-trace is GAE, whether the ratios are bounded or not") {
    auto const of = trajectories(6, 40);
    auto const rows = of.rewards.rows, length = of.rewards.length;
    auto const whole = [&](std::vector<double> const& values) { return poise::rows_of(values.data(), rows, length); };
    for (auto const lambda : {1.0, 0.7})
        for (auto const bound : {1.0, infinity}) {
            auto advantages = of.rewards, returns = of.rewards, gae = of.rewards, gae_returns = of.rewards;
            auto const out = [&](table& to) { return poise::rows_of(to.values.data(), rows, length); };
            poise::for_each_row(
                execution::simd{},
                v_trace{
                    .discount = 0.95, .lambda = lambda, .rho_bar = bound, .c_bar = bound, .rho_bar_gradient = bound},
                whole(of.now.values), whole(of.now.values), whole(of.rewards.values), whole(of.values.values),
                whole(of.terminal.values), of.last.values, out(advantages), out(returns));
            poise::for_each_row(execution::simd{},
                                poise::estimator::generalized_advantage{.discount = 0.95, .lambda = lambda},
                                whole(of.rewards.values), whole(of.values.values), whole(of.terminal.values),
                                of.last.values, out(gae), out(gae_returns));
            auto wrong = 0, wrong_advantages = 0;
            for (std::size_t k = 0; k < rows * length; ++k) {
                wrong += !close(returns.values[k], gae_returns.values[k], 1e-12);
                wrong_advantages += !close(advantages.values[k], gae.values[k], 1e-12);
            }
            CHECK(wrong == 0);
            // V-trace's advantage looks one step ahead to the target, which is GAE's for lambda = 1 only.
            CHECK((wrong_advantages == 0) == (lambda == 1));
        }
    // And then it is the Monte-Carlo return less the value.
    auto advantages = of.rewards, returns = of.rewards, sums = of.rewards;
    poise::for_each_row(execution::sequential{}, v_trace{.discount = 0.95}, whole(of.now.values), whole(of.now.values),
                        whole(of.rewards.values), whole(of.values.values), whole(of.terminal.values), of.last.values,
                        poise::rows_of(advantages.values.data(), rows, length),
                        poise::rows_of(returns.values.data(), rows, length));
    poise::for_each_row(execution::sequential{}, poise::estimator::reward_to_go{.discount = 0.95},
                        whole(of.rewards.values), whole(of.terminal.values), of.last.values,
                        poise::rows_of(sums.values.data(), rows, length));
    auto wrong = 0;
    for (std::size_t k = 0; k < rows * length; ++k) {
        wrong += !close(returns.values[k], sums.values[k], 1e-12);
        wrong += !close(advantages.values[k], sums.values[k] - of.values.values[k], 1e-12);
    }
    CHECK(wrong == 0);
}

TEST_CASE("without bounds V-trace's targets are unbiased for the other policy's values") {
    auto const environment = poise::environment::chain<double>{.length = 3};
    auto const exact = environment.mdp(0.9);
    auto const pi = std::vector{0.8, 0.2, 0.6, 0.4, 0.7, 0.3}, mu = std::vector{0.5, 0.5, 0.7, 0.3, 0.4, 0.6};
    auto const v_pi = exact.state_values(pi);
    auto const n = std::uint32_t{20'000};
    auto const steps = std::size_t{4};
    // The guess is right at the end and wrong before it, so that the target's expectation is exact after four steps
    // only if every ratio is where it belongs.
    auto total = 0.0, squares = 0.0;
    for (std::uint32_t replica = 0; replica < n; ++replica) {
        auto now = std::vector<double>(), old = now, rewards = now, values = now;
        auto state = environment.reset({.seed = 9, .replica = replica});
        for (std::uint32_t t = 0; t < steps; ++t) {
            auto const action = poise::random::categorical({.seed = 9, .replica = replica, .step = t},
                                                           poise::row<double const>(mu.data() + state * 2, 2));
            now.push_back(std::log(pi[state * 2 + action]));
            old.push_back(std::log(mu[state * 2 + action]));
            values.push_back(3.0 * static_cast<double>(state));
            auto const reached =
                environment.step(state, action, {.seed = 9, .replica = replica, .step = t, .index = 1});
            rewards.push_back(reached.reward);
            state = reached.next;
        }
        auto const last = std::array{v_pi[static_cast<Eigen::Index>(state)]};
        auto const terminal = std::vector<double>(steps);
        auto advantages = terminal, returns = terminal;
        v_trace{.discount = 0.9, .rho_bar = infinity, .c_bar = infinity}(
            poise::row<double const>(now), poise::row<double const>(old), poise::row<double const>(rewards),
            poise::row<double const>(values), poise::row<double const>(terminal), poise::row(last),
            poise::row(advantages), poise::row(returns));
        total += returns[0];
        squares += returns[0] * returns[0];
    }
    auto const mean = total / n, error = std::sqrt((squares / n - mean * mean) / n);
    CHECK(std::abs(mean - v_pi[0]) < 4 * error);
    CHECK(error < 0.01 * v_pi[0]);
    // The policy that acted is worth something else, so that this could fail.
    CHECK(std::abs(exact.state_values(mu)[0] - v_pi[0]) > 10 * error);
}

TEST_CASE("what V-trace refuses") {
    auto const three = std::array{1.0, 2.0, 3.0};
    auto const one = std::array{0.0};
    auto out = three, returns = three;
    auto const whole = poise::rows_of(three.data(), 1, 3);
    auto const run = [&](v_trace kernel, auto const& old) {
        poise::for_each_row(execution::sequential{}, kernel, whole, old, whole, whole, whole, one,
                            poise::rows_of(out.data(), 1, 3), poise::rows_of(returns.data(), 1, 3));
    };
    CHECK_THROWS_WITH_AS(run({.rho_bar = 0}, whole), "v_trace: argument 'rho_bar': expected a number above 0, got 0",
                         poise::domain_violation);
    CHECK_THROWS_AS(run({.c_bar = everywhere::nan}, whole), poise::domain_violation);
    CHECK_THROWS_WITH_AS(run({.discount = -0.1}, whole),
                         "v_trace: argument 'discount': expected a number in [0, 1], got -0.1",
                         poise::domain_violation);
    CHECK_THROWS_AS(run({}, poise::rows_of(three.data(), 1, 2)), poise::argument_error);
}

} // namespace

TEST_CASE("V-trace: a step behind a mask is as if it were not there, whatever it holds") {
    constexpr auto steps = std::size_t{19};
    auto const of = trajectories(1, steps);
    auto const given = std::array{&of.now, &of.old, &of.rewards, &of.values, &of.terminal};
    auto mask = std::vector<double>(steps);
    auto padded = std::array<std::vector<double>, 5>{}, counted = padded;
    for (std::size_t t = 0; t < steps; ++t) {
        mask[t] = t % 4 == 1 || t > 15 ? 0 : 1;
        for (std::size_t j = 0; j < 5; ++j) {
            padded[j].push_back(mask[t] == 1 ? given[j]->values[t] : everywhere::nan);
            if (mask[t] == 1) counted[j].push_back(given[j]->values[t]);
        }
    }
    constexpr auto kernel = v_trace{.discount = 0.9, .lambda = 0.8, .rho_bar = 1.5};
    auto const run = [&](auto execution, auto const& from, auto... masks) {
        auto found = std::array{from[0], from[0]};
        auto const whole = [](auto& values) { return poise::one_row(values); };
        poise::for_each_row(execution, kernel, whole(from[0]), whole(from[1]), whole(from[2]), whole(from[3]),
                            whole(from[4]), of.last.values, whole(found[0]), whole(found[1]), masks...);
        return found;
    };
    auto const expected = run(execution::sequential{}, std::as_const(counted));
    in_every_execution([&](auto execution, std::string const& name) {
        CAPTURE(name);
        auto const found = run(execution, std::as_const(padded), poise::one_row(std::as_const(mask)));
        for (std::size_t j = 0; j < 2; ++j)
            for (std::size_t t = 0, k = 0; t < steps; ++t)
                CHECK(close(found[j][t], mask[t] == 1 ? expected[j][k++] : 0, 1e-12));
    });
}
