#include "nash_md_games.hpp"

#include "poise/core/dual.hpp"
#include "poise/core/segment.hpp"
#include "poise/objective/nash_md_policy_gradient.hpp"
#include "poise/solver/two_player_mirror_descent.hpp"

using namespace nash_md_test;
using poise::solver::opponent::geometric_mixture;

TEST_CASE("nash-md, theorem 1: P_tau(p > p) = 1/2 and P_tau(p > q) + P_tau(q > p) = 1") {
    CHECK(rc::check([] {
        auto const g = random_game();
        auto const p = random_distribution(g.n), q = random_distribution(g.n);
        RC_ASSERT(std::abs(preference(g, p, p) - 0.5) < 1e-12);
        RC_ASSERT(std::abs(preference(g, p, q) + preference(g, q, p) - 1) < 1e-12);
    }));
}

TEST_CASE("nash-md, theorem 2: P_tau(q > pi*) = 1/2 - tau KL(q, pi*) for every q") {
    CHECK(rc::check([] {
        auto const g = random_game();
        auto const q = random_distribution(g.n), optimum = nash(g);
        RC_ASSERT(std::abs(preference(g, q, optimum) - (0.5 - g.tau * kl(q, optimum))) < 1e-11);
    }));
}

TEST_CASE("nash-md, theorem 3: the gap is 2 tau KL(p, BR(p)), at least 2 tau KL(p, pi*), and 0 at pi*") {
    CHECK(rc::check([] {
        auto const g = random_game();
        auto const p = random_distribution(g.n), optimum = nash(g);
        RC_ASSERT(std::abs(gap(g, p) - 2 * g.tau * kl(p, best_response(g, p))) < 1e-11);
        RC_ASSERT(gap(g, p) >= 2 * g.tau * kl(p, optimum) - 1e-12);
        RC_ASSERT(std::abs(gap(g, optimum)) < 1e-15);
    }));
}

TEST_CASE("nash-md: the gap of a pair is max_a P_tau(a > q) - min_b P_tau(p > b)") {
    CHECK(rc::check([] {
        auto const g = random_game();
        auto const p = random_distribution(g.n), q = random_distribution(g.n);
        auto const pair = g.solver_game().gap(p, q);
        auto const worst = preference(g, p, best_response(g, p)); // min_b: the best reply to p
        RC_ASSERT(std::abs(pair - (preference(g, best_response(g, q), q) - worst)) < 1e-11);
        RC_ASSERT(std::abs(g.solver_game().gap(p, p) - gap(g, p)) < 1e-13);
        RC_ASSERT(preference(g, random_distribution(g.n), q) <= preference(g, best_response(g, q), q) + 1e-12);
    }));
}

TEST_CASE("nash-md, theorem 4: pi* = BR(pi*) stays under self-play; Nash-MD at a constant step stops at BR(mix)") {
    CHECK(rc::check([] {
        auto const g = random_game();
        auto const optimum = nash(g);
        auto const eta = *rc::gen::inRange(1, 101) / 100.0 / g.tau;
        RC_ASSERT(greatest_difference(best_response(g, optimum), optimum) < 1e-11);
        RC_ASSERT(greatest_difference(step(g, optimum, eta, solver::opponent::self{}), optimum) < 1e-11);
    }));
    // In the cyclic game the bias is 8.3e-4 eta^2 (sheet, toy D).
    auto const g = game{3, {.5, .9, .1, .1, .5, .9, .9, .1, .5}, {.7, .2, .1}, .05};
    auto solver = solver::nash_md(g.solver_game(), solver::constant_step{0.1});
    solver.run(20000);
    CHECK(kl(nash(g), solver.policy()) == doctest::Approx(8.3185e-6).epsilon(1e-3));
    CHECK(greatest_difference(best_response(g, mix(solver.policy(), g.reference, 0.1 * 0.05)), solver.policy()) <
          1e-12);
}

TEST_CASE("nash-md, theorem 5: the one-step inequality, and KL(pi*, pi_T) <= 8 / (tau^2 (T+1))") {
    // docs/methods/nash-md.md proves both with 1/8 for the paper's 2, so KL <= 1 / (2 tau^2 (T+1)).
    CHECK(rc::check([] {
        auto const g = random_game();
        auto const optimum = nash(g), p = random_distribution(g.n);
        auto const eta = *rc::gen::inRange(1, 101) / 100.0 / g.tau;
        auto const after = kl(optimum, step<geometric_mixture>(g, p, eta));
        RC_ASSERT(after <= (1 - eta * g.tau) * kl(optimum, p) + eta * eta / 8 + 1e-12);

        auto solver = solver::nash_md(g.solver_game(), solver::decreasing_step{}, p);
        for (auto T = 1; T <= 60; ++T) {
            solver.step();
            RC_ASSERT(kl(optimum, solver.policy()) <= 1 / (2 * g.tau * g.tau * (T + 1)) + 1e-12);
        }
        auto constant = solver::nash_md(g.solver_game(), solver::constant_step{eta}, p);
        constant.run(30);
        RC_ASSERT(kl(optimum, constant.policy()) <=
                  std::pow(1 - eta * g.tau, 30) * kl(optimum, p) + eta / (8 * g.tau) + 1e-12);
    }));
}

TEST_CASE(
    "nash-md, theorem 6: eta tau = 1 is BR(mu); P = 1/2 gives the mixture; a constant added to P changes nothing") {
    CHECK(rc::check([] {
        auto g = random_game();
        auto const p = random_distribution(g.n);
        RC_ASSERT(greatest_difference(step<geometric_mixture>(g, p, 1 / g.tau), best_response(g, g.reference)) < 1e-12);

        auto const weight = *rc::gen::inRange(0, 101) / 100.0, eta = weight / g.tau;
        auto const stepped = step<geometric_mixture>(g, p, eta);
        auto log_policy = vector(p), log_reference = vector(g.reference), memory = p, opponent_policy = p;
        map(row(log_policy), math::log, row(log_policy));
        map(row(log_reference), math::log, row(log_reference));
        auto shifted = g.preferences;
        for (auto& v : shifted) v += 0.375;
        auto opponent = geometric_mixture{};
        solver::mirror_step(row(log_policy), row(log_reference), row(shifted), {eta, weight}, opponent, row(memory),
                            row(opponent_policy));
        softmax(row(log_policy), row(log_policy));
        RC_ASSERT(greatest_difference(log_policy, stepped) < 1e-12);

        std::fill(g.preferences.begin(), g.preferences.end(), 0.5);
        RC_ASSERT(greatest_difference(step<geometric_mixture>(g, p, eta), mix(p, g.reference, weight)) < 1e-12);
    }));
}

TEST_CASE("nash-md, theorem 7: what the mixture minimises and the step maximises") {
    CHECK(rc::check([] {
        auto const g = random_game();
        auto const p = random_distribution(g.n), q = random_distribution(g.n);
        auto const weight = *rc::gen::inRange(1, 100) / 100.0, eta = weight / g.tau;
        auto const m = mix(p, g.reference, weight), next = step<geometric_mixture>(g, p, eta);
        auto const mixed = [&](vector const& x) { return (1 - weight) * kl(x, p) + weight * kl(x, g.reference); };
        auto const stepped = [&](vector const& x) { return eta * win(g, x, m) - kl(x, m); };
        // Both are strictly convex up to a constant: exactly KL(q, optimum) away from it.
        RC_ASSERT(std::abs(mixed(q) - mixed(m) - kl(q, m)) < 1e-11);
        RC_ASSERT(std::abs(stepped(next) - stepped(q) - kl(q, next)) < 1e-11);
    }));
}

namespace {

struct gradient_of {
    vector opponent, gradient;
};

gradient_of policy_gradient(game const& g, vector const& logits, double tau, double beta) {
    auto result = gradient_of{vector(g.n), vector(g.n)};
    for_each_row(execution::sequential{}, objective::nash_md_policy_gradient{tau, beta},
                 rows_of(g.preferences.data(), 1, g.n * g.n), rows_of(logits.data(), 1, g.n),
                 rows_of(g.reference.data(), 1, g.n), rows_of(result.opponent.data(), 1, g.n),
                 rows_of(result.gradient.data(), 1, g.n));
    return result;
}

/// d f(softmax(z)) / dz_k by dual numbers.
template <class F>
double slope(vector const& logits, std::size_t k, F const& f) {
    auto z = std::vector<dual<double>>(logits.begin(), logits.end());
    z[k].derivative = 1;
    softmax(row(z), row(z));
    return f(z).derivative;
}

} // namespace

TEST_CASE("nash-md, theorem 8: the policy gradient") {
    CHECK(rc::check([] {
        auto const g = random_game();
        auto logits = vector(g.n);
        for (auto& z : logits) z = *rc::gen::inRange(-300, 301) / 100.0;
        auto const beta = *rc::gen::inRange(0, 101) / 100.0;
        auto const [nu, gradient] = policy_gradient(g, logits, g.tau, beta);
        auto const to_dual = [](vector const& x) { return std::vector<dual<double>>(x.begin(), x.end()); };
        auto const P = to_dual(g.preferences), mu = to_dual(g.reference), opponent = to_dual(nu);

        auto policy = logits;
        softmax(row(policy), row(policy));
        RC_ASSERT(greatest_difference(nu, mix(policy, g.reference, beta)) < 1e-13);
        RC_ASSERT(std::abs(sum(row(gradient))) < 1e-14);
        for (std::size_t k = 0; k < g.n; ++k) {
            auto const expected = slope(logits, k, [&](auto const& p) {
                return metric::regularized_win_probability(row(P), row(p), row(opponent), row(mu), dual<double>(g.tau));
            });
            RC_ASSERT(std::abs(gradient[k] - expected) < 1e-12);
            // KL to the frozen mixture has beta times the gradient of KL to the reference.
            auto const to_mixture =
                slope(logits, k, [&](auto const& p) { return kl_divergence(row(p), row(opponent)); });
            auto const to_reference = slope(logits, k, [&](auto const& p) { return kl_divergence(row(p), row(mu)); });
            RC_ASSERT(std::abs(to_mixture - beta * to_reference) < 1e-12);
        }
        // The baseline: a constant added to every payoff.
        auto shifted = vector(g.preferences), log_policy = logits, with_baseline = logits;
        for (auto& v : shifted) v += 0.25;
        log_softmax(row(log_policy), row(logits));
        objective::preference_policy_gradient(row(with_baseline), row(shifted), row(log_policy), row(nu),
                                              row(g.reference), g.tau);
        RC_ASSERT(greatest_difference(gradient, with_baseline) < 1e-13);

        auto optimum = nash(g);
        map(row(optimum), math::log, row(optimum));
        RC_ASSERT(maximum(math::abs, row(policy_gradient(g, optimum, g.tau, 0).gradient)) < 1e-11);
    }));
}

namespace {

/// Sequences of two letters of two: the logits of the first letter, then those of the second after each first.
/// log pi(a), and log pi(b | a) at 2 a + b.
template <class T>
std::array<std::vector<T>, 2> token_log_probabilities(std::vector<T> const& logits) {
    auto result = std::array{std::vector<T>(2), std::vector<T>(4)};
    auto const z = row(logits);
    log_softmax(row(result[0]), segment(z, 0, 2));
    for (std::size_t a = 0; a < 2; ++a) log_softmax(segment(row(result[1]), 2 * a, 2), segment(z, 2 + 2 * a, 2));
    return result;
}
template <class T>
std::vector<T> sequence_probabilities(std::vector<T> const& logits) {
    auto const log_p = token_log_probabilities(logits);
    auto result = std::vector<T>(4);
    for (std::size_t y = 0; y < 4; ++y) result[y] = math::exp(log_p[0][y / 2] + log_p[1][y]);
    return result;
}

/// Minus the surrogate's gradient in the logits, in its mean over y ~ pi and y' ~ nu.
template <class LogRatio>
vector mean_surrogate_gradient(game const& g, vector const& logits, vector const& reference, vector const& opponent,
                               LogRatio log_ratio) {
    auto const kernel = objective::nash_md_surrogate{g.tau, 1, log_ratio};
    auto const log_p = token_log_probabilities(logits), log_mu = token_log_probabilities(reference);
    auto const policy = sequence_probabilities(logits);
    auto result = vector(6);
    for (std::size_t y = 0; y < 4; ++y)
        for (std::size_t other = 0; other < 4; ++other) {
            auto const l = std::array{log_p[0][y / 2], log_p[1][y]}, mu = std::array{log_mu[0][y / 2], log_mu[1][y]},
                       mask = std::array{1., 1.};
            auto const win = std::array{g.preferences[y * 4 + other]};
            auto loss = std::array{0.};
            auto slope_in_l = std::array{0., 0.};
            kernel(row(l), row(mu), row(mask), row(win), row(loss), row(slope_in_l));
            auto const weight = policy[y] * opponent[other];
            for (std::size_t k = 0; k < 2; ++k) { // d log softmax_i / d z_k = [i = k] - p_k
                result[k] -= weight * slope_in_l[0] * (double(k == y / 2) - std::exp(log_p[0][k]));
                auto const at = y / 2 * 2 + k;
                result[2 + at] -= weight * slope_in_l[1] * (double(at == y) - std::exp(log_p[1][at]));
            }
        }
    return result;
}

} // namespace

TEST_CASE("nash-md: the surrogate's mean gradient is that of P_tau(pi > nu), per sequence without bias") {
    auto const problem = [](auto const& number, auto const& probability) {
        auto g = game{4, vector(16, 0.5), vector(4), 0};
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = 0; j < i; ++j)
                g.preferences[j * 4 + i] = 1 - (g.preferences[i * 4 + j] = probability());
        auto logits = vector(6), reference = vector(6);
        for (auto& z : logits) z = number();
        for (auto& z : reference) z = number();
        g.reference = sequence_probabilities(reference);
        return std::tuple{g, logits, reference};
    };
    auto const exact = [](game const& g, vector const& logits, vector const& opponent) {
        auto const to_dual = [](vector const& x) { return std::vector<dual<double>>(x.begin(), x.end()); };
        auto const P = to_dual(g.preferences), mu = to_dual(g.reference), nu = to_dual(opponent);
        auto result = vector(6);
        for (std::size_t k = 0; k < 6; ++k) {
            auto z = to_dual(logits);
            z[k].derivative = 1;
            auto const p = sequence_probabilities(z);
            result[k] =
                metric::regularized_win_probability(row(P), row(p), row(nu), row(mu), dual<double>(g.tau)).derivative;
        }
        return result;
    };
    CHECK(rc::check([&] {
        auto [g, logits, reference] = problem([] { return *rc::gen::inRange(-200, 201) / 100.0; },
                                              [] { return *rc::gen::inRange(0, 129) / 128.0; });
        g.tau = *rc::gen::inRange(0, 101) / 100.0;
        auto const nu = random_distribution(4);
        auto const found = mean_surrogate_gradient(g, logits, reference, nu, objective::log_ratio::per_sequence{});
        RC_ASSERT(greatest_difference(found, exact(g, logits, nu)) < 1e-12);
    }));
    // Token by token what a letter does to the ratio of later ones is left out.
    auto next = 0;
    auto [g, logits, reference] = problem([&] { return std::sin(7.0 * ++next); }, [] { return 0.75; });
    g.tau = 0.5;
    auto const nu = vector{.1, .2, .3, .4};
    auto const biased = mean_surrogate_gradient(g, logits, reference, nu, objective::log_ratio::per_token{});
    CHECK(greatest_difference(biased, exact(g, logits, nu)) > 1e-3);
}

TEST_CASE("nash-md, theorem 9: two players that move together from equal starts are Nash-MD") {
    CHECK(rc::check([] {
        auto const g = random_game();
        auto const p = random_distribution(g.n);
        auto const eta = *rc::gen::inRange(1, 101) / 100.0 / g.tau;
        auto single = solver::nash_md(g.solver_game(), solver::constant_step{eta}, p);
        auto pair = solver::two_player_nash_md(g.solver_game(), solver::constant_step{eta},
                                               solver::move_order::simultaneous{}, p, p);
        for (auto t = 0; t < 20; ++t) {
            single.step();
            pair.step();
            RC_ASSERT(pair.first() == pair.second());
            RC_ASSERT(greatest_difference(single.policy(), pair.first()) < 1e-12);
        }
        RC_ASSERT(std::abs(pair.gap() - single.gap()) < 1e-11);

        auto unregularized = g;
        unregularized.tau = 0; // all are multiplicative weights
        RC_ASSERT(greatest_difference(step<geometric_mixture>(unregularized, p, eta),
                                      step(unregularized, p, eta, solver::opponent::self{})) < 1e-14);
    }));
}

TEST_CASE("nash-md, theorem 10: reward and preference disagree on a constrained class (Bradley-Terry)") {
    auto const rewards = vector{0, std::log(1. / 9), std::log(1. / 2)};
    auto P = vector(9);
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 3; ++j) P[i * 3 + j] = math::sigmoid(rewards[i] - rewards[j]);
    auto const a = vector{2. / 3, 1. / 3, 0}, b = vector{0, 0, 1};
    CHECK(weighted_sum(row(a), row(rewards)) == doctest::Approx(-0.732408).epsilon(1e-6));
    CHECK(weighted_sum(row(b), row(rewards)) == doctest::Approx(-0.693147).epsilon(1e-6));
    CHECK(reward::win_probability(row(P), row(a), row(b)) == doctest::Approx(0.505051).epsilon(1e-6));
}

TEST_CASE("nash-md, theorem 11: the unregularised equilibrium of three kinds of people") {
    for (auto const e : {-0.2, -0.05, 0.0, 0.05, 0.2}) {
        auto const first = 1. / 3 - e / 4, second = 1. / 3 + e / 2, third = 1. / 3 - e / 4;
        auto const p12 = 1 - second, p23 = 1 - third, p31 = 1 - first;
        auto g = game{3, {.5, p12, 1 - p31, 1 - p12, .5, p23, p31, 1 - p23, .5}, {1. / 3, 1. / 3, 1. / 3}, 0};
        auto const equilibrium = vector{1. / 3 + e / 2, 1. / 3 + e / 2, 1. / 3 - e};
        CHECK(std::abs(gap(g, equilibrium)) < 1e-15);
        g.tau = 1e-5;
        CHECK(greatest_difference(nash(g), equilibrium) < 1e-4);
    }
}

TEST_CASE("nash-md: the reference solver, a gap below 1e-15 for tau from 0.3 to 0.001") {
    for (auto const tau : {.3, .1, .03, .01, .005, .001})
        CHECK(rc::check([=] {
            auto g = random_game();
            g.tau = tau;
            RC_ASSERT(std::abs(gap(g, nash(g))) < 1e-15);
        }));
}
