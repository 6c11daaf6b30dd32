#include "constrained_rlhf_problem.hpp"

#include "poise/estimator/generalized_advantage.hpp"
#include "poise/estimator/mixed_advantage.hpp"
#include "poise/estimator/normalized_advantage.hpp"
#include "poise/metric/proxy_point.hpp"
#include "poise/random/continuous.hpp"
#include "poise/solver/multiplier_descent.hpp"
#include "poise/solver/nelder_mead.hpp"

/// The theorems of the sheet, as properties of random problems.
using namespace constrained_rlhf_test;
namespace squash = weighting::squash;
namespace base = estimator::base;

namespace {

struct weights {
    double base;
    reals of_rewards;
    double sum() const { return poise::sum(row<double const>(of_rewards)); }
};

template <class Squash>
weights weigh(reals const& multipliers) {
    auto base = reals(1), of_rewards = reals(multipliers.size());
    for_each_row(execution::sequential{}, weighting::lagrange_weights<Squash>{},
                 rows_of(multipliers.data(), 1, multipliers.size()), base,
                 rows_of(of_rewards.data(), 1, multipliers.size()));
    return {base[0], of_rewards};
}

template <class Base>
reals mix(reals const& kl, reals const& channels, weights const& by) {
    auto mixed = kl;
    for_each_row(execution::sequential{}, estimator::mixed_advantage<Base>{}, rows_of(kl.data(), 1, kl.size()),
                 rows_of(channels.data(), 1, channels.size()), reals{by.base},
                 rows_of(by.of_rewards.data(), 1, by.of_rewards.size()), rows_of(mixed.data(), 1, mixed.size()));
    return mixed;
}

reals normalized(reals channels, std::size_t samples) {
    auto const rows = rows_of(channels.data(), channels.size() / samples, samples);
    for_each_row(execution::sequential{}, estimator::normalized_advantage{}, rows, rows);
    return channels;
}

struct minibatch {
    std::size_t samples = draw_size(2, 9), count = draw_size(1, 4);
    reals kl = draw_reals(samples, -2, 2), channels = draw_reals(samples * count, -2, 2);
    reals multipliers = draw_reals(count, -3, 3);
};

} // namespace

TEST_CASE("constrained-rlhf theorem 1: the weights sum to N and the base weight keeps its sign") {
    CHECK(rc::check([] {
        auto const multipliers = draw_reals(draw_size(1, 5), -12, 12);
        auto const n = static_cast<double>(multipliers.size());
        auto const sigmoid = weigh<squash::sigmoid>(multipliers), tanh = weigh<squash::tanh>(multipliers);
        RC_ASSERT(close(sigmoid.base + sigmoid.sum(), n, 1e-14));
        RC_ASSERT(close(tanh.base + tanh.sum(), n, 1e-14));
        RC_ASSERT((sigmoid.base > 0 && sigmoid.base < n));
        RC_ASSERT((tanh.base > 0 && tanh.base < 2 * n));
        RC_ASSERT(weigh<squash::none>(multipliers).base == 1);
        RC_ASSERT(weigh<squash::none>(multipliers).of_rewards == multipliers);
    }));
}

TEST_CASE("constrained-rlhf theorem 2: effective multipliers") {
    CHECK(rc::check([] {
        auto const of = minibatch{};
        auto const by = weigh<squash::sigmoid>(of.multipliers);
        auto const mixed = mix<base::kl>(of.kl, of.channels, by);
        for (std::size_t b = 0; b < of.samples; ++b) {
            auto total = of.kl[b];
            for (std::size_t i = 0; i < of.count; ++i)
                total +=
                    by.of_rewards[i] / (static_cast<double>(of.count) - by.sum()) * of.channels[i * of.samples + b];
            RC_ASSERT(close(mixed[b], by.base * total, 1e-12));
        }
        auto const lambda = draw_reals(1, -4, 4);
        auto const sigmoid = weigh<squash::sigmoid>(lambda), tanh = weigh<squash::tanh>(lambda);
        RC_ASSERT(close(sigmoid.of_rewards[0] / sigmoid.base, std::exp(lambda[0]), 1e-12));
        RC_ASSERT(close(tanh.of_rewards[0] / tanh.base, (std::exp(2 * lambda[0]) - 1) / 2, 1e-9));
        RC_ASSERT(tanh.of_rewards[0] / tanh.base > -0.5);
    }));
}

TEST_CASE("constrained-rlhf theorem 3: multipliers 0") {
    for (std::size_t n = 1; n < 6; ++n) {
        auto const sigmoid = weigh<squash::sigmoid>(reals(n)), tanh = weigh<squash::tanh>(reals(n));
        CHECK(sigmoid.base == static_cast<double>(n) / 2);
        CHECK(sigmoid.of_rewards == reals(n, 0.5));
        CHECK(tanh.base == static_cast<double>(n));
        CHECK(tanh.of_rewards == reals(n, 0.0));
    }
}

TEST_CASE("constrained-rlhf theorem 4: the scale and origin of a normalised channel do not matter") {
    CHECK(rc::check([] {
        auto of = minibatch{};
        // The 1e-8 in the denominator is to be small beside the standard deviation.
        of.channels[0] = 3, of.channels[1] = -3;
        for (std::size_t i = 1; i < of.count; ++i)
            of.channels[i * of.samples] = 3, of.channels[i * of.samples + 1] = -3;
        auto moved = of.channels;
        auto const scales = draw_reals(of.count, 0.5, 20), shifts = draw_reals(of.count, -20, 20);
        for (std::size_t k = 0; k < moved.size(); ++k)
            moved[k] = scales[k / of.samples] * moved[k] + shifts[k / of.samples];
        auto const by = weigh<squash::tanh>(of.multipliers);
        RC_ASSERT(close(mix<base::kl>(of.kl, normalized(of.channels, of.samples), by),
                        mix<base::kl>(of.kl, normalized(moved, of.samples), by), 1e-6));
        RC_ASSERT(close(mix<base::all>(of.kl, normalized(of.channels, of.samples), by),
                        mix<base::all>(of.kl, normalized(moved, of.samples), by), 1e-6));
    }));
}

TEST_CASE_TEMPLATE("constrained-rlhf theorem 5: multipliers rest where constraints are tight, and move little", Sense,
                   constraint::at_least, constraint::equal_to, constraint::at_most) {
    CHECK(rc::check([] {
        auto const n = draw_size(1, 4), steps = draw_size(1, 20);
        auto const start = draw_reals(n, -3, 3), thresholds = draw_reals(n, -2, 2);
        auto values = draw_reals(n * steps, -5, 5);
        values[0] = thresholds[0];
        auto path = values, loss = reals(1), gradient = reals(n);
        using squash::sigmoid;
        auto const first = reals(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n));
        for_each_row(execution::sequential{}, solver::multiplier_loss<sigmoid, Sense>{}, rows_of(start.data(), 1, n),
                     rows_of(first.data(), 1, n), rows_of(thresholds.data(), 1, n), loss,
                     rows_of(gradient.data(), 1, n));
        for (std::size_t i = 0; i < n; ++i) {
            RC_ASSERT((gradient[i] == 0) == (first[i] == thresholds[i]));
            // Descent raises the multiplier of a violated constraint.
            RC_ASSERT(gradient[i] * Sense::slack(first[i], thresholds[i]) >= 0);
        }
        auto const rate = 0.01 + draw_reals(1, 0, 1)[0];
        for_each_row(execution::sequential{},
                     solver::multiplier_descent<sigmoid, Sense>{{.rule = {rate, 0.1}, .maximum = 0.5}},
                     rows_of(start.data(), 1, n), rows_of(values.data(), 1, values.size()),
                     rows_of(thresholds.data(), 1, n), rows_of(path.data(), 1, path.size()));
        for (std::size_t k = 0; k < path.size(); ++k) {
            auto const before = k < n ? start[k] : path[k - n];
            RC_ASSERT(std::abs(path[k] - before) <= rate * 0.5 / (1 - 0.1) + 1e-15);
        }
    }));
}

TEST_CASE("constrained-rlhf theorem 6: weak duality, and a convex dual") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        auto const n = of.count();
        auto const tilt = draw_reals(n, -2, 2), other = draw_reals(n, -2, 2);
        auto const lagrangian = [&](reals const& policy) {
            auto const v = of.values(policy);
            auto total = -of.beta * of.kl(policy);
            for (std::size_t i = 0; i < n; ++i) total += tilt[i] * (v[i] - of.thresholds[i]);
            return total;
        };
        auto const at = dual_at(of, tilt);
        RC_ASSERT(lagrangian(draw_distribution(of.actions())) <= at.value + 1e-12);
        RC_ASSERT(close(lagrangian(at.policy), at.value, 1e-11));
        auto middle = tilt;
        for (std::size_t i = 0; i < n; ++i) middle[i] = (tilt[i] + other[i]) / 2;
        RC_ASSERT(dual_at(of, middle).value <= (at.value + dual_at(of, other).value) / 2 + 1e-12);
        // Hess D = Cov / beta is positive semi-definite.
        auto form = 0.0;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j) form += other[i] * at.hessian[i * n + j] * other[j];
        RC_ASSERT(form >= -1e-12);
    }));
}

TEST_CASE("constrained-rlhf theorem 7: without discounting the return is the reward-to-go, whatever the values") {
    CHECK(rc::check([] {
        auto const steps = draw_size(1, 20);
        auto const rewards = draw_reals(steps, -1, 1), values = draw_reals(steps, -5, 5), last = draw_reals(1, -5, 5);
        auto terminal = draw_reals(steps, 0, 1);
        for (auto& ends : terminal) ends = ends > 0.8 ? 1 : 0;
        terminal.back() = 1;
        auto advantages = rewards, returns = rewards, sums = rewards;
        auto const whole = [&](auto& x) { return rows_of(x.data(), 1, steps); };
        for_each_row(execution::sequential{}, estimator::generalized_advantage{.discount = 1, .lambda = 1},
                     whole(rewards), whole(values), whole(terminal), last, whole(advantages), whole(returns));
        for_each_row(execution::sequential{}, estimator::reward_to_go{}, whole(rewards), whole(terminal), last,
                     whole(sums));
        RC_ASSERT(close(returns, sums, 1e-12));
    }));
}

TEST_CASE("constrained-rlhf theorem 8: the fit finds the peak of a concave quadratic") {
    CHECK(rc::check([] {
        auto const n = draw_size(1, 3), points = std::size_t{30};
        auto const centre = draw_reals(n, -1, 1), root = draw_reals(n * n, -1, 1);
        auto x = reals(points * n); // in general position
        auto const seed = *rc::gen::arbitrary<std::uint32_t>();
        for (std::size_t k = 0; k < x.size(); ++k)
            x[k] = random::normal<double>({.seed = seed, .index = static_cast<std::uint32_t>(k)});
        auto scores = reals(points, 0.7);
        for (std::size_t p = 0; p < points; ++p)
            for (std::size_t i = 0; i < n; ++i) { // -|(I + root) (x - centre)|^2 / 2 - |x - centre|^2
                auto part = x[p * n + i] - centre[i];
                scores[p] -= part * part;
                for (std::size_t j = 0; j < n; ++j) part += root[i * n + j] * (x[p * n + j] - centre[j]);
                scores[p] -= part * part / 2;
            }
        auto const fit = metric::joint_proxy_point<double>(view(x), view(scores));
        RC_ASSERT(fit.concave);
        RC_ASSERT(close(fit.peak, centre, 1e-7));
        for (auto& s : scores) s = -s;
        auto const valley = metric::joint_proxy_point<double>(view(x), view(scores));
        RC_ASSERT(!valley.concave);
        for (auto const p : valley.peak) RC_ASSERT(std::isnan(p));
    }));
}

TEST_CASE("constrained-rlhf theorem 8: Nelder-Mead never loses its best point") {
    CHECK(rc::check([] {
        auto const n = draw_size(1, 3);
        auto const centre = draw_reals(n, -1, 1);
        // Not convex, with a kink.
        auto const f = [&](row<double const> x) {
            auto total = 0.0;
            for (std::size_t k = 0; k < n; ++k) total += std::abs(x[k] - centre[k]) + 0.3 * std::sin(9 * x[k]);
            return total;
        };
        auto search = solver::nelder_mead(f, draw_reals((n + 1) * n, -2, 2), n);
        for (int step = 0; step < 40; ++step) {
            auto const best = search.value(0);
            search.step();
            RC_ASSERT(search.value(0) <= best);
            RC_ASSERT(search.value(0) == f(search.point(0)));
            for (std::size_t i = 1; i <= n; ++i) RC_ASSERT(search.value(i - 1) <= search.value(i));
        }
    }));
}

TEST_CASE("constrained-rlhf theorem 9: the optima are exponential tilts") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        auto const n = of.count();
        auto const q = draw_distribution(of.actions());
        auto const v = of.values(q);
        auto const sum = [](reals const& x) { return poise::sum(row<double const>(x)); };
        auto const is_tilt = [&](auto const& found) {
            return close(found.policy, dual_at(of, found.tilt).policy, 1e-12) &&
                   close(found.values, of.values(found.policy), 1e-12);
        };
        // PPO with fixed weights: no policy is better than the tilt by the weights.
        auto const alpha = draw_reals(n, -1, 2);
        auto const score = [&](reals const& policy) {
            auto const values = of.values(policy);
            return weighted_sum(row<double const>(alpha), row<double const>(values)) - of.beta * of.kl(policy);
        };
        RC_ASSERT(score(q) <= score(dual_at(of, alpha).policy) + 1e-12);

        auto const least = solve(constraint::at_least{}, of);
        RC_ASSERT((least.converged && is_tilt(least)));
        auto feasible = true, all_tight = true;
        for (std::size_t i = 0; i < n; ++i) {
            feasible = feasible && v[i] >= of.thresholds[i];
            all_tight = all_tight && least.multipliers[i] > 1e-6;
            RC_ASSERT(least.multipliers[i] >= -1e-9);
            RC_ASSERT(least.values[i] >= of.thresholds[i] - 1e-9);
            RC_ASSERT(std::abs(least.multipliers[i] * (least.values[i] - of.thresholds[i])) <= 1e-8);
        }
        if (feasible) RC_ASSERT(-of.beta * of.kl(q) <= -of.beta * of.kl(least.policy) + 1e-9);

        auto const equal = solve(constraint::equal_to{}, of);
        RC_ASSERT((equal.converged && is_tilt(equal)));
        if (all_tight) RC_ASSERT(close(equal.policy, least.policy, 1e-8));

        auto const most = solve(constraint::at_most{}, of);
        RC_ASSERT((most.converged && is_tilt(most)));
        auto below = true, at_caps = true;
        for (std::size_t i = 0; i < n; ++i) {
            below = below && v[i] <= of.thresholds[i];
            at_caps = at_caps && equal.tilt[i] <= 1;
            RC_ASSERT(close(most.tilt[i], 1 - most.multipliers[i], 1e-12));
            RC_ASSERT(most.multipliers[i] >= -1e-9);
            RC_ASSERT(most.values[i] <= of.thresholds[i] + 1e-9);
        }
        if (below) RC_ASSERT(sum(v) - of.beta * of.kl(q) <= sum(most.values) - of.beta * of.kl(most.policy) + 1e-9);
        if (at_caps) RC_ASSERT(close(equal.policy, most.policy, 1e-8));
        RC_CLASSIFY(all_tight);
        RC_CLASSIFY(at_caps);
        RC_CLASSIFY(feasible || below);
    }));
}

TEST_CASE("constrained-rlhf theorem 10: the released All-PPO's pull to the reference") {
    CHECK(rc::check([] {
        auto const of = minibatch{};
        auto const n = static_cast<double>(of.count);
        auto const by = weigh<squash::sigmoid>(of.multipliers);
        // Channels that are nothing but KL: what is left is KL's coefficient.
        auto kl_only = reals{}, with_kl = of.channels;
        for (std::size_t k = 0; k < of.channels.size(); ++k) {
            kl_only.push_back(of.kl[k % of.samples]);
            with_kl[k] += of.kl[k % of.samples];
        }
        auto const pull = n * by.base - by.sum();
        auto const mixed = mix<base::all>(of.kl, kl_only, by), whole = mix<base::all>(of.kl, with_kl, by),
                   exact = mix<base::all_and_kl>(of.kl, of.channels, by);
        auto total = 0.0;
        for (auto const w : by.of_rewards) total += by.base - w;
        RC_ASSERT(close(total, pull, 1e-12)); // so the effective tilts a_i / sum a are a_i / pull: they sum to 1
        for (std::size_t b = 0; b < of.samples; ++b) {
            RC_ASSERT(close(mixed[b], pull * of.kl[b], 1e-12));
            auto released = pull * of.kl[b], apart = of.kl[b];
            for (std::size_t i = 0; i < of.count; ++i) {
                released += (by.base - by.of_rewards[i]) * of.channels[i * of.samples + b];
                apart += (1 - by.of_rewards[i] / by.base) * of.channels[i * of.samples + b];
            }
            RC_ASSERT(close(whole[b], released, 1e-12));
            RC_ASSERT(close(exact[b], by.base * apart, 1e-12)); // tilts 1 - w_i / (N - sum w): the exact problem's
        }
        RC_ASSERT((pull < 0) == (by.sum() > n * n / (n + 1)));
    }));
}

TEST_CASE("constrained-rlhf theorem 11: xi matches the moments") {
    CHECK(rc::check([] {
        auto const of = draw_problem(4);
        auto const found = solve(constraint::equal_to{}, of);
        RC_ASSERT(found.converged);
        RC_ASSERT(found.multipliers == found.tilt);
        for (std::size_t i = 0; i < of.count(); ++i) RC_ASSERT(std::abs(found.values[i] - of.thresholds[i]) <= 1e-12);
    }));
}
