#include "nash_md_games.hpp"

#include "poise/concepts.hpp"
#include "poise/core/lanes.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/nash_md_policy_gradient.hpp"
#include "poise/policy/exponential_moving_average.hpp"
#include "poise/reward/preference_table.hpp"
#include "poise/solver/sampled_opponent.hpp"
#include "poise/solver/two_player_mirror_descent.hpp"

#include <string>

using namespace nash_md_test;
namespace opponent = poise::solver::opponent;

namespace {

constexpr auto infinity = math::infinity<double>;

constexpr auto cyclic = reward::preference_game<double, 3>{{.5, .9, .1, .1, .5, .9, .9, .1, .5}, {.7, .2, .1}, .05};
constexpr auto policy3 = std::array{.5, .3, .2};

template <class F>
std::string message_of(F const& f) {
    try {
        f();
    } catch (std::exception const& error) {
        return error.what();
    }
    return "nothing was thrown";
}

template <class F>
void throws(F const& f, std::string const& expected) {
    CHECK_MESSAGE(message_of(f).find(expected) != std::string::npos, "got: " << message_of(f));
}

template <class T>
auto cyclic_of() {
    auto game = reward::preference_game<T, 3>{};
    for (std::size_t k = 0; k < 9; ++k) game.preferences[k] = T(real_of<T>(cyclic.preferences[k]));
    for (std::size_t k = 0; k < 3; ++k) game.reference[k] = T(real_of<T>(cyclic.reference[k]));
    game.regularization = T(real_of<T>(cyclic.regularization));
    return game;
}

} // namespace

TEST_CASE("nash-md: the ends of a geometric mixture are exact, and zeros stay zeros inside") {
    auto const p = vector{.25, .75, 0}, q = vector{.1, 0, .9};
    CHECK(mix(p, q, 0) == p);
    CHECK(mix(p, q, 1) == q);
    CHECK(mix(p, q, .3) == vector{1, 0, 0});
    throws([&] { mix({1, 0}, {0, 1}, .5); }, "geometric_mixture: argument 'reference': expected an action that has "
                                             "probability in both distributions, got disjoint supports");
    CHECK(mix({1, 0}, {0, 1}, 1) == vector{0, 1});
    throws([&] { mix({1, 0}, {.5, .5}, 1.5); },
           "geometric_mixture: argument 'weight': expected a weight in [0, 1], got 1.5");

    auto const none = -infinity;
    auto mixture = std::array{0., 0.}, logits = std::array{1., none}, other = std::array{none, 2.};
    policy::log_geometric_mixture(row(mixture), row(logits), row(other), 0.0);
    CHECK(mixture == std::array{0., none});
    policy::log_geometric_mixture(row(mixture), row(logits), row(other), 1.0);
    CHECK(mixture == std::array{none, 0.});
}

TEST_CASE("nash-md: the weight of the mixture from epoch to epoch: the last of the list repeats") {
    constexpr auto weights = std::array{.5, .25, .125};
    static_assert(policy::mixture_weight_in_epoch(weights, 0) == .5);
    static_assert(policy::mixture_weight_in_epoch(weights, 2) == .125);
    static_assert(policy::mixture_weight_in_epoch(weights, 7) == .125);
    throws([] { policy::mixture_weight_in_epoch({}, 0); },
           "mixture_weight_in_epoch: argument 'weights': expected at least one weight, got 0");
}

TEST_CASE("nash-md: the reward of an action is its win probability minus 1/2") {
    using table = reward::preference_table<double>;
    static_assert(concepts::compares_actions<table> && concepts::scores_actions<reward::win_margin<table>>);
    auto preferences = vector(cyclic.preferences.begin(), cyclic.preferences.end());
    for (auto k = 0; k < 9; ++k) preferences.push_back(.5); // a second context, without preferences
    auto const games = table(preferences, 3);
    CHECK(games.contexts() == 2);
    CHECK(games.preference(0, 0, 1) == .9);
    auto const nu = vector{.2, .5, .3, 1, 0, 0};
    auto const margin = reward::win_margin<table>(games, nu, 3);
    auto mean = 0.;
    for (std::size_t y = 0; y < 3; ++y) {
        mean += policy3[y] * margin.score(0, y);
        CHECK(margin.score(1, y) == 0);
    }
    CHECK(mean ==
          doctest::Approx(reward::win_probability(row(cyclic.preferences), row(policy3), row(std::array{.2, .5, .3})) -
                          .5));
    throws([] { table({.5, .5}, 2); }, "reward::preference_table: argument 'preferences': expected a square matrix");
    throws([] { table({.5, .8, .3, .5}, 2); },
           "reward::preference_table: argument 'preferences': expected P[i][j] + P[j][i] = 1");
    throws([&] { reward::win_margin<table>(games, {.5, .4, .2}, 3); },
           "reward::win_margin: argument 'opponents': expected probabilities that sum to 1, got 1.1");
}

TEST_CASE("nash-md: an action of probability 0 keeps it, unless eta tau is 1 up to rounding") {
    auto const start = std::array{.6, .4, 0.};
    auto solver = solver::nash_md(cyclic, solver::constant_step{0.3}, start);
    solver.run(50);
    CHECK(solver.policy()[2] == 0);
    CHECK(solver.policy()[0] > 0);

    auto game = cyclic;
    game.regularization = 0.1;
    auto const eta = 1 / 0.1 * (1 - 1e-15); // eta tau misses 1 by a rounding
    auto forgets = solver::nash_md(game, solver::constant_step{eta}, start);
    forgets.step();
    CHECK(forgets.policy()[2] > 0);
    CHECK_NOTHROW(solver::nash_md(game, solver::constant_step{1 / 0.1 * (1 + 1e-15)}));
    CHECK(solver::mixture_weight(1 / 0.3f, 0.3f) == 1.0f);
    CHECK(solver::mixture_weight(1.0, 1 - 1e-11) < 1.0);

    auto decreasing = solver::nash_md(game, solver::decreasing_step{}, start);
    decreasing.step();
    CHECK(decreasing.policy()[2] > 0);
    CHECK(solver::decreasing_step{}(0, 0.3).mixture_weight == 1.0);
    CHECK(solver::decreasing_step{}(1, 0.3).step_size == doctest::Approx(2 / (0.3 * 3)));
}

TEST_CASE("nash-md: a policy outside the support of the reference") {
    auto const mu = vector{.5, .5, 0}, outside = vector{.25, .25, .5}, inside = vector{.5, .5, 0};
    auto const P = row(cyclic.preferences);
    auto const value = [&](vector const& p, vector const& q, double tau) {
        return metric::regularized_win_probability(P, row(p), row(q), row(mu), tau);
    };
    auto payoffs = vector(3);
    CHECK(value(outside, inside, .1) == -infinity);
    CHECK(value(inside, outside, .1) == infinity);
    CHECK(std::isnan(value(outside, outside, .1)));
    CHECK(metric::gap_of_policy(P, row(outside), row(mu), .1, row(payoffs)) == infinity);
    CHECK(value(outside, inside, 0) == doctest::Approx(.25 * (.25 + .45) + .25 * (.05 + .25) + .5 * (.45 + .05)));
    CHECK(std::isfinite(metric::gap_of_policy(P, row(outside), row(mu), 0.0, row(payoffs))));
    CHECK(metric::gap_of_policy(P, row(outside), row(mu), 0.0, row(payoffs)) ==
          doctest::Approx(2 * (maximum(row(payoffs))))); // payoffs are left minus 1/2
    // The equilibrium leaves out what the reference leaves out.
    auto const g = game{3, {cyclic.preferences.begin(), cyclic.preferences.end()}, mu, .1};
    CHECK(nash(g)[2] == 0);
    CHECK(sum(row(nash(g))) == doctest::Approx(1));
}

TEST_CASE("nash-md: one action, no regularisation, hardly any") {
    auto single = solver::nash_md(reward::preference_game<double, 1>{{.5}, {1}, .1}, solver::decreasing_step{});
    single.run(10);
    CHECK(single.policy() == std::array{1.});
    CHECK(single.gap() == 0);

    auto unregularized = cyclic;
    unregularized.regularization = 0;
    CHECK(unregularized.gap({1. / 3, 1. / 3, 1. / 3}) == doctest::Approx(0).epsilon(1e-15));
    CHECK(unregularized.gap({1, 0, 0}) == doctest::Approx(2 * .4));

    auto const opponent_policy = vector{.2, .2, .6}, reference = vector{.7, .2, .1};
    auto const P = vector(cyclic.preferences.begin(), cyclic.preferences.end());
    auto policy = vector(3), value = vector(1);
    auto const best_response = [&](double tau) {
        for_each_row(execution::sequential{}, policy::regularized_best_response{tau}, rows_of(P.data(), 1, 9),
                     rows_of(opponent_policy.data(), 1, 3), rows_of(reference.data(), 1, 3),
                     rows_of(policy.data(), 1, 3), value);
    };
    best_response(1e-4); // u / tau is in the thousands
    CHECK(policy == vector{0, 1, 0});
    CHECK(value[0] ==
          doctest::Approx(.2 * .1 + .2 * .5 + .6 * .9 + 1e-4 * (std::log(.2) + kl(opponent_policy, reference))));
    throws([&] { best_response(0); }, "regularized_best_response: argument 'regularization': expected tau > 0");

    auto const rock = vector{1, 0, 0}, even = vector(4, .5);
    for_each_row(execution::sequential{}, policy::tied_best_response{}, rows_of(P.data(), 1, 9),
                 rows_of(rock.data(), 1, 3), rows_of(policy.data(), 1, 3));
    CHECK(policy == vector{0, 0, 1});
    auto tied = vector(2);
    for_each_row(execution::sequential{}, policy::tied_best_response{}, rows_of(even.data(), 1, 4),
                 rows_of(rock.data(), 1, 2), rows_of(tied.data(), 1, 2));
    CHECK(tied == vector{.5, .5});
}

TEST_CASE("nash-md: NaN in, NaN out") {
    auto log_policy = std::array{0., math::quiet_nan<double>, -1.}, memory = log_policy, nu = log_policy;
    auto const log_reference = std::array{-1., -1., -1.};
    auto against = opponent::geometric_mixture{};
    solver::mirror_step(row(log_policy), row(log_reference), row(cyclic.preferences), {.1, .2}, against, row(memory),
                        row(nu));
    for (auto const v : log_policy) CHECK(std::isnan(v));
}

TEST_CASE("nash-md: arguments outside their domain are refused by name") {
    auto const solve = [](reward::preference_game<double> const& game, double eta, vector const& start) {
        return solver::nash_md(game, solver::constant_step{eta}, start);
    };
    auto const P = vector{.5, .8, .2, .5}, mu = vector{.4, .6};
    auto const name = std::string("mirror_descent_solver: argument ");
    throws([&] { solve({P, mu, .5}, 3, mu); }, name + "'step_size': expected eta tau <= 1, got 1.5");
    throws([&] { solve({P, mu, .5}, -1, mu); }, name + "'step_size': expected a finite step size eta >= 0, got -1");
    throws([&] { solve({P, mu, -.5}, 1, mu); }, name + "'regularization': expected tau >= 0, got -0.5");
    throws([&] { solve({{.5, .8, .2}, mu, .5}, 1, mu); }, name + "'preferences': expected a square matrix");
    throws([&] { solve({{.5, .8, .3, .5}, mu, .5}, 1, mu); }, name + "'preferences': expected P[i][j] + P[j][i] = 1");
    throws([&] { solve({{.5, 1.2, -.2, .5}, mu, .5}, 1, mu); },
           name + "'preferences': expected probabilities in [0, 1]");
    throws([&] { solve({P, {.4, .7}, .5}, 1, mu); },
           name + "'reference': expected probabilities that sum to 1, got 1.1");
    throws([&] { solve({P, {-.4, 1.4}, .5}, 1, mu); },
           name + "'reference': expected probabilities that are not negative, got -0.4");
    throws([&] { solve({P, mu, .5}, 1, {.4, .4}); }, name + "'start': expected probabilities that sum to 1, got 0.8");
    throws([&] { solve({P, mu, .5}, 1, {1}); }, name + "'start': expected 2, got 1");
    throws([&] { solve({P, {1, 0}, .5}, 1, {0, 1}); },
           name + "'start': expected an action that has probability in the reference");
    throws([&] { solve({P, {math::quiet_nan<double>, 1}, .5}, 1, mu); }, name + "'reference'");
    throws([&] { solver::nash_md(reward::preference_game<double>{P, mu, 0}, solver::decreasing_step{}); },
           name + "'regularization': expected tau > 0, got 0");
    throws(
        [] { // in one lane only
            auto game = cyclic_of<lanes<double>>();
            game.regularization = lanes<double>::iota(-1);
            solver::nash_md(game, solver::constant_step{0.1});
        },
        name + "'regularization': expected tau >= 0, got -1");

    auto square = Eigen::MatrixXd(2, 2);
    square << .5, .8, .2, .5;
    auto const reference = Eigen::VectorXd::Constant(2, .5);
    throws([&] { solver::regularized_nash(square, reference, 0); },
           "regularized_nash: argument 'regularization': expected tau > 0, got 0");
    throws([&] { solver::regularized_nash(square, Eigen::VectorXd::Constant(3, 1. / 3), .1); },
           "regularized_nash: argument 'preferences'");

    auto const kernel = solver::nash_md_run<>{.regularization = .5};
    auto out = vector(2);
    throws(
        [&] {
            for_each_row(execution::sequential{}, kernel, rows_of(P.data(), 1, 4), rows_of(mu.data(), 1, 2),
                         rows_of(mu.data(), 1, 2), rows_of(out.data(), 1, 2), rows_of(out.data(), 1, 1));
        },
        "mirror_descent: argument 'policy': expected 2, got 1");
    // Every row is looked at, also where the start is shared, or the games differ in size.
    auto const games = vector{.5, .8, .2, .5, .5, .8, .2, .5}, references = vector{.5, .5, 0, 1}, rock = vector{1, 0};
    auto last = vector(4), policies = vector(4);
    throws(
        [&] {
            for_each_row(execution::sequential{},
                         solver::nash_md_run<solver::constant_step<>>{.regularization = .5, .steps = 2},
                         rows_of(games.data(), 2, 4), shared_row(rock), rows_of(references.data(), 2, 2),
                         rows_of(last.data(), 2, 2), rows_of(policies.data(), 2, 2));
        },
        "mirror_descent: argument 'start': expected an action that has probability in the reference");
    throws(
        [&] {
            for_each_row(execution::sequential{}, policy::geometric_mixture{.5}, shared_row(rock),
                         rows_of(references.data(), 2, 2), rows_of(policies.data(), 2, 2));
        },
        "geometric_mixture: argument 'reference': expected an action that has probability in both distributions");
    auto const sizes = std::array{std::size_t{0}, std::size_t{4}, std::size_t{5}};
    auto const ragged = vector{.5, .8, .2, .5, .5};
    auto two_gaps = vector(2);
    throws(
        [&] {
            for_each_row(execution::sequential{}, metric::duality_gap{.5}, ragged_batch(ragged.data(), sizes),
                         shared_row(rock), shared_row(mu), two_gaps);
        },
        "duality_gap: argument 'policy': expected 1, got 2");

    throws(
        [&] {
            for_each_row(execution::sequential{}, metric::duality_gap{.5}, rows_of(P.data(), 1, 4),
                         rows_of(mu.data(), 1, 2), rows_of(mu.data(), 1, 2), rows_of(out.data(), 1, 2));
        },
        "duality_gap: argument 'gap': expected one number per row, got 2");

    auto const mask = vector{1, .5}, win = vector{.5};
    auto loss = vector(1);
    throws(
        [&] {
            for_each_row(execution::sequential{}, objective::nash_md_surrogate<>{}, rows_of(mu.data(), 1, 2),
                         rows_of(mu.data(), 1, 2), rows_of(mask.data(), 1, 2), win, loss, rows_of(out.data(), 1, 2));
        },
        "nash_md_surrogate: argument 'mask': expected 0 or 1, got 0.5");
}

TEST_CASE("nash-md: the surrogate's loss and gradient by their formula; masked tokens count for nothing") {
    auto const check = [](auto ratio_kind) {
        auto const l = std::array{-.5, -1.25, -2.}, reference = std::array{-.75, -1., -.5},
                   mask = std::array{1., 1., 1.};
        auto const kernel = objective::nash_md_surrogate{.3, .5, ratio_kind};
        auto const win = std::array{.8};
        auto loss = std::array{0.};
        auto gradient = std::array{0., 0., 0.};
        kernel(row(l), row(reference), row(mask), row(win), row(loss), row(gradient));
        constexpr auto whole = std::is_same_v<decltype(ratio_kind), objective::log_ratio::per_sequence>;
        auto const total = l[0] - reference[0] + l[1] - reference[1] + l[2] - reference[2];
        auto expected = 0.0;
        for (std::size_t t = 0; t < 3; ++t) {
            auto const ratio = whole ? total : l[t] - reference[t];
            CHECK(gradient[t] == doctest::Approx(.5 * (.3 * ratio - .3)));
            expected += .5 * (.3 * ratio - .3) * l[t];
        }
        CHECK(loss[0] == doctest::Approx(expected));

        auto const padded = std::array{-.5, -infinity, math::quiet_nan<double>}, first = std::array{1., 0., 0.};
        kernel(row(padded), row(reference), row(first), row(win), row(loss), row(gradient));
        CHECK(gradient[1] == 0);
        CHECK(gradient[2] == 0);
        CHECK(loss[0] == doctest::Approx(.5 * (.3 * .25 - .3) * -.5));

        // At tau = 0 the log-ratio is left out, infinite or not.
        auto const excluded = std::array{-.75, -infinity, -.5};
        auto const unregularized = objective::nash_md_surrogate{0, 1, ratio_kind};
        unregularized(row(l), row(excluded), row(mask), row(win), row(loss), row(gradient));
        for (auto const g : gradient) CHECK(g == doctest::Approx(-.3));
        CHECK(loss[0] == doctest::Approx(-.3 * (l[0] + l[1] + l[2])));
    };
    check(objective::log_ratio::per_token{});
    check(objective::log_ratio::per_sequence{});
}

TEST_CASE("nash-md: an averaged opponent is self-play at decay 0 and the frozen start at decay 1") {
    using memory = std::array<double, 3>;
    using averaged = opponent::exponential_moving_average<memory>;
    auto const run = [](auto against) {
        auto solver = solver::mirror_descent_solver(cyclic, solver::constant_step{0.2}, policy3, against);
        solver.run(30);
        return solver;
    };
    CHECK(run(averaged{.decay = 0}).policy() == run(opponent::self{}).policy());
    auto const frozen = run(averaged{.decay = 1}).opponent_policy();
    for (std::size_t k = 0; k < 3; ++k) CHECK(frozen[k] == doctest::Approx(policy3[k]));
    // theta_bar_2 = d (d theta_0 + (1 - d) theta_1) + (1 - d) theta_2, used in the third step.
    auto slow = solver::mirror_descent_solver(cyclic, solver::constant_step{0.2}, policy3, averaged{.decay = .75});
    auto average = slow.log_policy();
    for (auto t = 0; t < 3; ++t) {
        if (t > 0)
            for (std::size_t k = 0; k < 3; ++k) average[k] = .75 * average[k] + .25 * slow.log_policy()[k];
        slow.step();
        auto expected = average;
        softmax(row(expected), row(average));
        for (std::size_t k = 0; k < 3; ++k) CHECK(slow.opponent_policy()[k] == doctest::Approx(expected[k]));
    }
}

TEST_CASE("nash-md: a solver gives the same in lanes, in float, on sizes known at run time, and as a kernel") {
    auto const solve = []<class T>(T) {
        auto solver = solver::nash_md(cyclic_of<T>(), solver::decreasing_step{});
        solver.run(100);
        return std::pair{solver.policy(), solver.gap()};
    };
    auto const [expected, gap] = solve(0.0);
    auto const [single, single_gap] = solve(0.0f);
    auto const [packed, packed_gap] = solve(lanes<double>(0.0));
    auto const [packed_single, packed_single_gap] = solve(lanes<float>(0.0f));
    auto dynamic_solver = solver::nash_md(
        reward::preference_game<double>{{cyclic.preferences.begin(), cyclic.preferences.end()}, {.7, .2, .1}, .05},
        solver::decreasing_step{});
    dynamic_solver.run(100);
    for (std::size_t k = 0; k < 3; ++k) {
        CHECK(dynamic_solver.policy()[k] == expected[k]);
        CHECK(single[k] == doctest::Approx(expected[k]).epsilon(1e-5));
        for (std::size_t i = 0; i < lanes<double>::size; ++i) CHECK(std::abs(packed[k][i] - expected[k]) < 1e-14);
        for (std::size_t i = 0; i < lanes<float>::size; ++i)
            CHECK(std::abs(double(packed_single[k][i]) - expected[k]) < 1e-5);
    }
    CHECK(std::abs(packed_gap[0] - gap) < 1e-14);
    CHECK(std::abs(double(single_gap) - gap) < 1e-6);
    CHECK(std::abs(double(packed_single_gap[1]) - gap) < 1e-6);
}

TEST_CASE("nash-md: without steps the policy is the start, and so is the opponent") {
    auto const P = vector{.5, .8, .2, .5}, mu = vector{.5, .5}, start = vector{.25, .75};
    auto const check = [&](auto execution) {
        auto opponent = vector(2), policy = vector(2);
        for_each_row(execution, solver::nash_md_run<>{.regularization = .1, .steps = 0}, rows_of(P.data(), 1, 4),
                     rows_of(start.data(), 1, 2), rows_of(mu.data(), 1, 2), rows_of(opponent.data(), 1, 2),
                     rows_of(policy.data(), 1, 2));
        CHECK(opponent == start);
        CHECK(greatest_difference(policy, start) < 1e-15);
    };
    check(execution::sequential{});
    check(execution::in_lanes{});
    check(execution::along{});
}

TEST_CASE("nash-md: a sampled opponent draws the same in every lane as alone") {
    using sampled = opponent::sampled<opponent::geometric_mixture>;
    auto packed =
        solver::mirror_descent_solver(cyclic_of<lanes<double>>(), solver::decreasing_step{}, sampled{.draws = {7, 20}});
    packed.run(40);
    for (std::size_t i = 0; i < lanes<double>::size; ++i) {
        auto alone = solver::mirror_descent_solver(cyclic, solver::decreasing_step{},
                                                   sampled{.draws = {7, std::uint32_t(20 + i)}});
        alone.run(40);
        for (std::size_t k = 0; k < 3; ++k) {
            CHECK(std::abs(packed.policy()[k][i] - alone.policy()[k]) < 1e-12);
            CHECK(packed.opponent_policy()[k][i] == alone.opponent_policy()[k]);
        }
        CHECK(sum(row(alone.opponent_policy())) == 1);
    }
    CHECK(packed.policy()[0][0] != packed.policy()[0][1]);
}
