#include "learning_runs.hpp"

#include "poise/estimator/value_at_risk.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/optimizer.hpp"

#include <algorithm>
#include <array>

namespace {

using namespace poise;
using reals = std::vector<double>;

auto const riskpo = gallery::method{
    .slug = "riskpo",
    .title = "RiskPO: mixed value at risk with bundles of questions",
    .paper = "Ren et al., 2025, Risk-based Policy Optimization via Verifiable Reward, arXiv 2510.00911"};

constexpr auto levels = std::array{0.2, 0.8};

/// What the policy gradient is weighted by.
enum objective : std::size_t { expectation, mixed_value_at_risk, seeking, objectives };
constexpr auto names = std::array{"mean", "MVaR", "risk-seeking"};

auto one_row(auto& values) { return rows_of(values.data(), 1, values.size()); }

/// The advantages of rewards that have these probabilities, by the distribution's own quantiles.
reals advantages(objective of, reals const& rewards, reals const& probabilities) {
    if (of == expectation) return rewards;
    auto quantiles = reals(2), result = rewards;
    for_each_row(execution::sequential{}, estimator::distribution_quantiles{}, one_row(rewards), one_row(probabilities),
                 rows_of(levels.data(), 1, 2), one_row(quantiles));
    auto const low = reals{quantiles[0]}, high = reals{quantiles[1]};
    if (of == mixed_value_at_risk) {
        for_each_row(execution::sequential{}, estimator::mixed_value_at_risk{.omega = 0.5}, one_row(rewards), low, high,
                     one_row(result));
    } else {
        // g + 1.5 (R - q_b)+ is 0.9 times the normalised one.
        for_each_row(execution::sequential{},
                     estimator::normalized_value_at_risk<estimator::risk::seeking>{.mixing_weight = 0.5, .epsilon = 0},
                     one_row(rewards), low, high, one_row(result));
        for (auto& a : result) a *= 0.9;
    }
    return result;
}

double covariance_with_log(reals const& p, reals const& x) {
    auto both = 0.0, log = 0.0, mean = 0.0;
    for (std::size_t k = 0; k < p.size(); ++k) {
        both += p[k] * std::log(p[k]) * x[k];
        log += p[k] * std::log(p[k]);
        mean += p[k] * x[k];
    }
    return both - log * mean;
}

gallery::outcome covariance(gallery::settings const& settings) {
    constexpr auto arms = std::size_t{20}, instances = std::size_t{500};
    struct run {
        std::array<double, objectives> covariance{};
        double averse_below = 0, seeking_above = 0;
    };
    auto const runs = learning_gallery::over_seeds(settings, [&](std::size_t seed) {
        auto result = run{};
        auto const draws = random::generator{.seed = 1100 + seed};
        for (std::size_t i = 0; i < instances; ++i) {
            auto rewards = reals(arms), p = rewards;
            for (std::size_t a = 0; a < arms; ++a) {
                rewards[a] = random::uniform<double>(draws.at(i, a));
                p[a] = 5 * std::abs(rewards[a] - 0.45) + 0.2 * random::normal<double>(draws.at(i, arms + a));
            }
            softmax(row<double>(p), row<double const>(p));
            auto c = std::array<double, objectives>{};
            for (std::size_t o = 0; o < objectives; ++o) {
                c[o] = covariance_with_log(p, advantages(objective(o), rewards, p));
                result.covariance[o] += c[o] / double(instances);
            }
            result.averse_below += double(c[mixed_value_at_risk] <= c[expectation]) / double(instances);
            result.seeking_above += double(c[seeking] >= c[expectation]) / double(instances);
        }
        return result;
    });
    auto result = gallery::outcome{};
    auto const measure = [&](std::string name, std::string sheet, gallery::band band, auto const& of) {
        auto measured = gallery::measurement{.name = std::move(name), .paper = std::move(sheet), .accepted = band};
        for (auto const& each : runs) measured.values.push_back(of(each));
        result.measurements.push_back(measured);
    };
    constexpr auto sheet = std::array{"0.0855", "0.0807", "0.0870"};
    for (std::size_t o = 0; o < objectives; ++o)
        measure(std::string(names[o]) + ": covariance with log pi, mean over instances", sheet[o], {},
                [=](run const& of) { return of.covariance[o]; });
    measure("MVaR less mean objective", "-0.0048; below 0", {-1, 0},
            [](run const& of) { return of.covariance[mixed_value_at_risk] - of.covariance[expectation]; });
    measure("risk-seeking less mean objective", "0.0015; above 0", {0, 1},
            [](run const& of) { return of.covariance[seeking] - of.covariance[expectation]; });
    measure("share of instances where MVaR is at most the mean objective", "0.83 (0.83 to 0.85)", {0.75, 1},
            [](run const& of) { return of.averse_below; });
    measure("share of instances where risk-seeking is at least the mean objective", "0.77 (0.76 to 0.80)", {},
            [](run const& of) { return of.seeking_above; });
    auto bars = gallery::curve{.name = "mean over instances and seeds", .style = gallery::curve::styles::bars};
    for (std::size_t o = 0; o < objectives; ++o) bars.y.push_back(gallery::summarize(result.measurements[o]).mean);
    result.plots = {{.name = "covariance",
                     .title = "Covariance of the advantage with log pi, 20 arms",
                     .y_label = "covariance",
                     .categories = {names.begin(), names.end()},
                     .curves = {bars}}};
    result.reading = "The covariance of the advantage with log pi is what a step takes from the entropy: the averse "
                     "objective takes least.";
    return result;
}

constexpr auto questions = std::size_t{200};
constexpr auto arms = std::size_t{10};
constexpr auto steps = std::size_t{400};

struct training {
    reals entropy, reward, tail; ///< at each step: mean entropy and reward over the questions, CVaR at 0.2 over all
};

training train(objective of, std::size_t seed) {
    auto const draws = random::generator{.seed = 1200 + seed};
    auto pi = policy::tabular_softmax<double>(questions, arms);
    auto rewards = reals(questions * arms);
    for (std::size_t q = 0; q < questions; ++q) {
        auto const level = 0.1 + 0.8 * random::uniform<double>(draws.at(0, q));
        for (std::size_t k = q * arms; k < (q + 1) * arms; ++k) {
            rewards[k] = std::clamp(level + 0.15 * random::normal<double>(draws.at(1, k)), 0.0, 1.0);
            pi.parameters()[k] = 0.5 * random::normal<double>(draws.at(2, k));
        }
    }
    auto descent = solver::optimizer(solver::sgd{.learning_rate = 0.3}, pi.parameters());
    auto result = training{};
    auto p = rewards, mass = rewards, gradient = rewards;
    auto cvar = reals(1), rvar = cvar, mvar = cvar;
    for (std::size_t step = 0;; ++step) {
        auto entropy = 0.0;
        for (std::size_t q = 0; q < questions; ++q) {
            auto const here = row<double>(p.data() + q * arms, arms);
            softmax(here, pi.logits(q));
            entropy += poise::entropy(here) / double(questions);
        }
        for (std::size_t k = 0; k < p.size(); ++k) mass[k] = p[k] / double(questions);
        for_each_row(execution::sequential{}, metric::distribution_risk_values{}, one_row(rewards), one_row(mass), cvar,
                     rvar, mvar);
        result.entropy.push_back(entropy);
        result.reward.push_back(weighted_sum(row<double const>(mass), row<double const>(rewards)));
        result.tail.push_back(cvar[0]);
        if (step == steps) return result;

        auto const a = advantages(of, rewards, mass);
        std::fill(gradient.begin(), gradient.end(), 0.0);
        for (std::size_t q = 0; q < questions; ++q) {
            auto cotangent = std::array<double, arms>{}; // of minus the objective in the question's log-probabilities
            for (std::size_t k = 0; k < arms; ++k) cotangent[k] = -p[q * arms + k] * a[q * arms + k];
            pi.pullback(q, row(cotangent), row<double>(gradient));
        }
        descent.step(pi.parameters(), row<double const>(gradient));
    }
}

gallery::outcome gradient(gallery::settings const& settings) {
    auto runs = std::array<std::vector<training>, objectives>{};
    for (std::size_t o = 0; o < objectives; ++o)
        runs[o] = learning_gallery::over_seeds(settings, [&](std::size_t seed) { return train(objective(o), seed); });
    auto result = gallery::outcome{};
    constexpr auto sheet = std::array{std::array{".846 (.877)", "1.015 (1.045)", "1.060 (1.085)"},
                                      std::array{".692 (.671)", ".673 (.650)", ".670 (.649)"},
                                      std::array{".3409 (.3243)", ".3556 (.3404)", ".2218 (.2066)"}};
    auto const parts = std::array{std::pair{"entropy", &training::entropy}, std::pair{"mean reward", &training::reward},
                                  std::pair{"CVaR at 0.2", &training::tail}};
    auto const last = [](training const& of, auto part) { return (of.*part).back(); };
    for (std::size_t o = 0; o < objectives; ++o)
        for (std::size_t i = 0; i < parts.size(); ++i) {
            auto final =
                gallery::measurement{.name = std::string(names[o]) + ": final " + parts[i].first, .paper = sheet[i][o]};
            for (auto const& each : runs[o]) final.values.push_back(last(each, parts[i].second));
            result.measurements.push_back(final);
        }
    auto const compare = [&](std::string name, std::string paper, objective of, auto part, gallery::band band) {
        auto difference = gallery::measurement{.name = std::move(name), .paper = std::move(paper), .accepted = band};
        for (std::size_t seed = 0; seed < settings.seeds; ++seed)
            difference.values.push_back(last(runs[of][seed], part) - last(runs[expectation][seed], part));
        result.measurements.push_back(difference);
    };
    compare("MVaR less mean objective: entropy", ".13 to .21; at least .1", mixed_value_at_risk, &training::entropy,
            {0.1, 1});
    compare("MVaR less mean objective: CVaR", ".014 to .017; at least .008", mixed_value_at_risk, &training::tail,
            {0.008, 1});
    compare("risk-seeking less mean objective: CVaR", "-.12; at most -.05", seeking, &training::tail, {-1, -0.05});

    auto const plot = [&](std::string name, std::string what, auto part) {
        auto drawn = gallery::plot{.name = std::move(name),
                                   .title = "Exact gradients on 200 questions: mean and 95% band over seeds",
                                   .x_label = "step",
                                   .y_label = std::move(what)};
        auto x = reals(steps + 1);
        for (std::size_t k = 0; k < x.size(); ++k) x[k] = double(k);
        for (std::size_t o = 0; o < objectives; ++o) {
            auto curves = std::vector<reals>{};
            for (auto const& each : runs[o]) curves.push_back(each.*part);
            drawn.curves.push_back(learning_gallery::mean_curve(names[o], x, curves));
        }
        result.plots.push_back(drawn);
    };
    plot("tail", "mean of the worst fifth of the rewards", &training::tail);
    plot("entropy", "entropy (nats), mean over questions", &training::entropy);
    result.reading =
        "Mixed value at risk lifts the worst fifth and keeps entropy; risk-seeking leaves the worst "
        "behind. Here risk-seeking does not lose its entropy, as the paper reports of its language models.";
    return result;
}

gallery::outcome bundles(gallery::settings const& settings) {
    constexpr auto responses = std::size_t{8};
    constexpr auto sizes = std::array<std::size_t, 4>{1, 2, 5, 10};
    constexpr auto sheet = std::array{".436", ".189", ".0165", ".0010"};
    constexpr auto expected = std::array{0.436, 0.189, 0.0165, 0.0010},
                   tolerance = std::array{0.01, 0.01, 0.005, 0.005};
    auto const groups = settings.quick ? std::size_t{10'000} : std::size_t{40'000};
    auto const shares = learning_gallery::over_seeds(settings, [&](std::size_t seed) {
        auto result = std::array<double, sizes.size()>{};
        for (std::size_t s = 0; s < sizes.size(); ++s) {
            auto const draws = random::generator{.seed = 1300 + seed, .replica = std::uint32_t(s)};
            for (std::size_t group = 0; group < groups; ++group) {
                auto scores = std::array<int, responses>{};
                for (std::size_t i = 0; i < sizes[s]; ++i) {
                    auto const p = random::beta<double>(draws.at(group, i), 0.5, 2.0);
                    for (std::size_t j = 0; j < responses; ++j)
                        scores[j] += random::bernoulli(draws.at(group, (i + 1) * 100 + j), p);
                }
                auto const [least, most] = std::minmax_element(scores.begin(), scores.end());
                result[s] += double(*least == *most) / double(groups);
            }
        }
        return result;
    });
    auto result = gallery::outcome{};
    auto bars = gallery::curve{.name = "measured", .style = gallery::curve::styles::bars};
    auto plot = gallery::plot{.name = "no-signal",
                              .title = "Groups of 8 whose bundles all score the same, success rates from Beta(1/2, 2)",
                              .x_label = "questions in a bundle",
                              .y_label = "share of groups without signal"};
    for (std::size_t s = 0; s < sizes.size(); ++s) {
        auto share = gallery::measurement{.name = "bundles of " + std::to_string(sizes[s]) + ": groups without signal",
                                          .paper = sheet[s],
                                          .accepted = {expected[s] - tolerance[s], expected[s] + tolerance[s]}};
        for (auto const& each : shares) share.values.push_back(each[s]);
        bars.y.push_back(gallery::summarize(share).mean);
        plot.categories.push_back(std::to_string(sizes[s]));
        result.measurements.push_back(share);
    }
    plot.curves = {bars};
    result.plots = {plot};
    result.reading = "Questions that all responses solve, or none, give GRPO no gradient. Sums over a few questions "
                     "almost always differ.";
    return result;
}

gallery::registration const registered{
    riskpo,
    gallery::experiment{.name = "riskpo-covariance",
                        .title = "Covariance of the advantage with log pi",
                        .claim = "Mixed value at risk lowers the covariance that drives entropy down; seeking risk "
                                 "raises it.",
                        .default_seeds = 5,
                        .run = covariance},
    gallery::experiment{.name = "riskpo-gradient",
                        .title = "Exact gradients of mean, mixed value at risk and a risk-seeking objective",
                        .claim = "Mixed value at risk keeps entropy and lifts the hardest questions.",
                        .default_seeds = 5,
                        .run = gradient},
    gallery::experiment{.name = "riskpo-bundles",
                        .title = "Bundles of questions have a signal",
                        .claim = "Summing the scores of a few questions leaves almost no group without a gradient.",
                        .default_seeds = 5,
                        .run = bundles}};

} // namespace
