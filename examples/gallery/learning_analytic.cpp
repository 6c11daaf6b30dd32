#include "learning_runs.hpp"

#include "poise/estimator/baseline.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/policy/frozen.hpp"
#include "poise/policy/neural_softmax.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/learner.hpp"

#include <algorithm>
#include <array>

/// The KL-regularised bandit: maximise E[r] - beta KL(pi || pi0), mean over contexts, solved by pi* ~ pi0 e^{r / beta}.
namespace {

using namespace poise;
using namespace learning_gallery;

constexpr auto contexts = std::size_t{4};
constexpr auto actions = std::size_t{5};
constexpr auto beta = 0.5;
using table = policy::tabular_softmax<double>;
using network =
    policy::neural_softmax<double, policy::dense<3, 6, policy::activation::tanh>, policy::dense<6, actions>>;

/// Contexts of a table are numbers, those of a network normal inputs; the rewards are the same.
template <class Context>
struct problem {
    std::vector<Context> seen = std::vector<Context>(contexts);
    std::array<double, contexts * actions> rewards{};

    explicit problem(std::size_t seed) {
        auto const draws = random::generator{.seed = 900 + seed};
        for (std::size_t c = 0; c < contexts; ++c) {
            if constexpr (std::integral<Context>)
                seen[c] = c;
            else
                for (std::size_t k = 0; k < 3; ++k) seen[c][k] = random::normal<double>(draws.at(2, c * 3 + k));
            for (std::size_t a = 0; a < actions; ++a)
                rewards[c * actions + a] = random::uniform<double>(draws.at(1, c * actions + a));
        }
    }
    double score(Context const& context, std::size_t action) const {
        auto const c = std::size_t(std::find(seen.begin(), seen.end(), context) - seen.begin());
        return rewards[c * actions + action];
    }
};

template <class Policy>
Policy randomized(Policy policy, std::size_t seed, std::size_t step) {
    auto const parameters = policy.parameters();
    for (std::size_t k = 0; k < parameters.size(); ++k)
        parameters[k] = 0.7 * random::normal<double>(random::generator{.seed = seed}.at(step, k));
    return policy;
}

template <class Policy>
std::array<double, actions> log_probabilities(Policy const& policy, auto const& context) {
    auto log_p = std::array<double, actions>{};
    policy.log_probabilities(context, row(log_p));
    return log_p;
}

/// The exact gradient of beta KL(pi || pi0) - E[r] in the parameters, through all log-probabilities.
template <class Policy, class Problem>
std::vector<double> exact_gradient(Policy const& policy, Policy const& reference, Problem const& of) {
    auto gradient = std::vector<double>(policy.parameters().size(), 0.0);
    for (auto const& context : of.seen) {
        auto const log_p = log_probabilities(policy, context), log_q = log_probabilities(reference, context);
        auto cotangent = log_p;
        for (std::size_t a = 0; a < actions; ++a)
            cotangent[a] = std::exp(log_p[a]) * (beta * (log_p[a] - log_q[a]) - of.score(context, a)) / contexts;
        policy.pullback(context, row(cotangent), row<double>(gradient));
    }
    return gradient;
}

/// KL(pi || pi*), mean over contexts, while a table descends along its exact gradient.
std::vector<double> descend(std::size_t seed) {
    auto const of = problem<std::size_t>(seed);
    auto const reference = randomized(table(contexts, actions), seed, 0);
    auto pi = reference, optimum = reference;
    for (std::size_t c = 0; c < contexts; ++c) {
        auto const z = optimum.logits(c);
        for (std::size_t a = 0; a < actions; ++a) z[a] += of.score(c, a) / beta;
    }
    auto descent = solver::optimizer<solver::sgd<>, double>(solver::sgd{.learning_rate = 8.0}, contexts * actions);
    auto divergences = std::vector<double>{};
    for (std::size_t step = 0;; ++step) {
        divergences.push_back(0);
        for (auto const c : of.seen) divergences.back() += pi.kl_divergence(c, optimum) / contexts;
        if (step == 2000) return divergences;
        auto const gradient = exact_gradient(pi, reference, of);
        descent.step(pi.parameters(), row<double const>(gradient));
    }
}

gallery::outcome optimum(gallery::settings const& settings) {
    auto const runs = over_seeds(settings, descend);
    auto last = gallery::measurement{
        .name = "KL(pi, pi*) after 2000 steps", .paper = "below 1e-6", .accepted = {-1e-12, 1e-6}, .every_seed = true};
    auto steps = std::vector<double>{};
    for (std::size_t k = 0; k < runs[0].size(); k += 20) steps.push_back(double(k));
    auto plot = gallery::plot{.name = "divergence",
                              .title = "Exact gradient descent on the KL-regularised bandit",
                              .x_label = "step",
                              .y_label = "KL(pi, pi*), mean over contexts",
                              .log_y = true};
    for (std::size_t seed = 0; seed < runs.size(); ++seed) {
        last.values.push_back(runs[seed].back());
        auto curve = gallery::curve{.name = "seed " + std::to_string(seed), .x = steps};
        for (auto const k : steps) curve.y.push_back(std::max(runs[seed][std::size_t(k)], 1e-17));
        plot.curves.push_back(curve);
    }
    return {.measurements = {last},
            .plots = {plot},
            .reading = "The analytic optimum is reached to rounding, at a geometric rate."};
}

/// (mean of sampled gradients - exact) / standard error, coordinate by coordinate, at one random policy. A learner
/// whose rule is a step of length 1 shows the gradient that it computes; it is put back after each step.
template <class Policy, class Estimator>
std::vector<double> deviations(Policy const& shape, Estimator const& estimator, std::size_t batches, std::size_t seed) {
    auto const of = problem<typename Policy::context_type>(seed);
    auto const here = randomized(shape, seed, 1), reference = randomized(shape, seed, 2);
    auto learner = solver::learner(
        here, of, estimator | objective::policy_gradient{} | penalty::kl_k2{beta}, solver::sgd{.learning_rate = 1.0},
        {.samples_per_context = 4, .random = {.seed = 300 + seed}}, policy::frozen(reference));
    auto const n = here.parameters().size();
    auto const exact = exact_gradient(here, reference, of);
    auto total = std::vector<double>(n, 0.0), squares = total;
    for (std::size_t batch = 0; batch < batches; ++batch) {
        learner.step(of.seen);
        for (std::size_t k = 0; k < n; ++k) {
            auto const error = here.parameters()[k] - learner.policy().parameters()[k] - exact[k];
            total[k] += error;
            squares[k] += error * error;
            learner.policy().parameters()[k] = here.parameters()[k];
        }
    }
    auto z = std::vector<double>(n);
    auto const count = double(batches);
    for (std::size_t k = 0; k < n; ++k) {
        auto const mean = total[k] / count;
        z[k] = mean / std::sqrt((squares[k] / count - mean * mean) / (count - 1));
    }
    return z;
}

/// The z with P(|Z| > z) = level / coordinates for a normal Z, by bisection: all coordinates together lie within it
/// but for `level`, whatever their dependence (Bonferroni).
double joint_bound(double level, std::size_t coordinates) {
    auto low = 0.0, high = 20.0;
    for (int step = 0; step < 100; ++step) {
        auto const z = 0.5 * (low + high);
        (std::erfc(z / std::sqrt(2.0)) > level / double(coordinates) ? low : high) = z;
    }
    return high;
}

gallery::outcome sampled_gradient(gallery::settings const& settings) {
    auto const batches = std::size_t{settings.quick ? 5000u : 50000u};
    auto result = gallery::outcome{};
    auto plot = gallery::plot{.name = "deviations",
                              .title = "Sampled less exact gradient in standard errors, sorted over coordinates and "
                                       "seeds, against a normal distribution's",
                              .x_label = "normal quantile",
                              .y_label = "deviation"};
    auto const quantile = [](double p) {
        auto low = -20.0, high = 20.0;
        for (int step = 0; step < 100; ++step) {
            auto const z = 0.5 * (low + high);
            (0.5 * std::erfc(-z / std::sqrt(2.0)) < p ? low : high) = z;
        }
        return high;
    };
    auto const study = [&](std::string const& name, auto const& shape, auto const& estimator) {
        auto const runs =
            over_seeds(settings, [&](std::size_t seed) { return deviations(shape, estimator, batches, seed); });
        auto const n = runs[0].size();
        auto largest = gallery::measurement{
            .name = name + ": largest deviation of " + std::to_string(n) + " coordinates, in standard errors",
            .paper = "3 for a single one; the band is that of all together at a level of 1e-4",
            .accepted = {0, joint_bound(1e-4, n)},
            .every_seed = true};
        auto within = gallery::measurement{
            .name = name + ": share of coordinates within 3 standard errors", .paper = "0.9973", .accepted = {0.98, 1}};
        auto all = std::vector<double>{};
        for (auto const& run : runs) {
            auto greatest = 0.0, inside = 0.0;
            for (auto const z : run) {
                greatest = std::max(greatest, std::abs(z));
                inside += std::abs(z) <= 3;
            }
            largest.values.push_back(greatest);
            within.values.push_back(inside / double(n));
            all.insert(all.end(), run.begin(), run.end());
        }
        std::sort(all.begin(), all.end());
        auto curve = gallery::curve{.name = name, .y = all, .style = gallery::curve::styles::points};
        for (std::size_t k = 0; k < all.size(); ++k)
            curve.x.push_back(quantile((double(k) + 0.5) / double(all.size())));
        plot.curves.push_back(curve);
        result.measurements.insert(result.measurements.end(), {largest, within});
    };
    auto const fixed = estimator::constant_baseline<double>{.baseline = 0.5};
    study("table, leave-one-out", table(contexts, actions), estimator::leave_one_out{});
    study("table, constant baseline", table(contexts, actions), fixed);
    study("network, leave-one-out", network(), estimator::leave_one_out{});
    study("network, constant baseline", network(), fixed);
    plot.curves.push_back({.name = "y = x", .x = {-3.5, 3.5}, .y = {-3.5, 3.5}});
    result.plots = {plot};
    result.reading = "The learner's gradient, KL penalty (k2) included, is an unbiased estimate of the exact one: its "
                     "deviations are those of a normal distribution.";
    return result;
}

gallery::registration const registered{
    method,
    gallery::experiment{.name = "learning-analytic",
                        .title = "A softmax table against the analytic optimum",
                        .claim = "Gradient descent finds pi* ~ pi0 exp(r / beta) of the KL-regularised bandit.",
                        .default_seeds = 5,
                        .run = optimum},
    gallery::experiment{.name = "learning-sampled-gradient",
                        .title = "Sampled gradients against the exact gradient",
                        .claim = "What a learner computes from samples has the exact gradient as its mean.",
                        .default_seeds = 5,
                        .run = sampled_gradient}};

} // namespace
