#include "constrained_rlhf_toy.hpp"

#include "poise/solver/kl_saddle_point.hpp"

#include <map>
#include <tuple>

namespace {

using namespace constrained_rlhf_gallery;

constexpr auto iterations = std::size_t{300};
constexpr auto fixed_world = std::size_t{5}; // its reference is at the sheet's (0.28, 0.29)

/// A way to train, with the thresholds as a multiple of the proxy point.
struct variant {
    char const* name;
    history (*run)(world const&, double scale, std::size_t seed);
    double scale = 1;
};

template <class Weighing>
history run(world const& of, double scale, std::size_t seed) {
    auto trained = make_program<Weighing>(log_linear(of), of, {scale * peak[0], scale * peak[1]}, seed);
    return train(trained, iterations);
}

constexpr auto variants = std::array{variant{"PPO", run<solver::weighing::fixed>},
                                     variant{"PPO-SAT", run<solver::weighing::saturated>},
                                     variant{"mu-PPO", run<solver::weighing::mu>},
                                     variant{"All-PPO", run<solver::weighing::all_rewards>},
                                     variant{"All-PPO, KL apart", run<solver::weighing::all_rewards_and_kl>},
                                     variant{"xi-PPO", run<solver::weighing::xi>},
                                     variant{"xi-PPO, 0.9 theta", run<solver::weighing::xi>, 0.9},
                                     variant{"xi-PPO, 1.1 theta", run<solver::weighing::xi>, 1.1}};

/// What is measured of every variant, once per run.
class table {
public:
    void add(std::string const& name, history const& of, double scale) {
        auto& of_variant = entries_[name];
        of_variant.gold.push_back(history::last(of.gold));
        of_variant.best.push_back(of.best());
        of_variant.first.push_back(history::last(of.first) - scale * peak[0]);
        of_variant.second.push_back(history::last(of.second) - scale * peak[1]);
    }
    /// The acceptance bands of the sheet; `papers` says what it found, in the order of the measurements.
    std::vector<gallery::measurement> measurements() {
        auto result = std::vector<gallery::measurement>{};
        auto const put = [&](std::string name, std::string sheet, std::vector<double> values, gallery::band band = {}) {
            result.push_back({std::move(name), std::move(sheet), std::move(values), band, true});
        };
        auto const difference = [](std::vector<double> a, std::vector<double> const& b) {
            for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
            return a;
        };
        auto const& [ppo, sat, mu] = std::tie(entries_["PPO"], entries_["PPO-SAT"], entries_["mu-PPO"]);
        put("PPO: final gold", "0.7622; .535 to .760 on other draws", ppo.gold, {-gallery::unbounded, 0.85});
        put("PPO: peak gold", "0.998; at least .994", ppo.best, {0.99, 1});
        put("PPO: v_1 - theta_1", "+0.178; .173 to .235", ppo.first);
        put("PPO: v_2 - theta_2", "+0.128; .133 to .196", ppo.second);
        put("PPO-SAT: final gold", "0.9910; .968 to .995", sat.gold);
        put("PPO-SAT: v_1 - theta_1", "+0.038", sat.first);
        put("PPO-SAT: v_2 - theta_2", "+0.020", sat.second);
        put("PPO-SAT less PPO", "0.229", difference(sat.gold, ppo.gold), {0, 1});
        put("mu-PPO less PPO-SAT", "0.008", difference(mu.gold, sat.gold), {0, 1});
        put("mu-PPO: final gold", "0.9993; .9968 to .9996", mu.gold, {0.99, 1});
        put("mu-PPO: v_1 - theta_1", "+0.013; .010 to .029", mu.first);
        put("mu-PPO: v_2 - theta_2", "-0.007; -.017 to .002", mu.second);
        auto& all = entries_["All-PPO"];
        put("All-PPO: final gold", "0.9964; .986 to .9996", all.gold, {0.97, 1});
        put("All-PPO: v_1 - theta_1", "-0.006; -.013 to .053", all.first, {-0.06, 0.08});
        put("All-PPO: v_2 - theta_2", "-0.028; -.038 to .022", all.second, {-0.06, 0.08});
        put("All-PPO with KL apart: final gold", "not in the sheet", entries_["All-PPO, KL apart"].gold);
        auto& xi = entries_["xi-PPO"];
        put("xi-PPO: final gold", "0.9996; .9986 to 1.000", xi.gold, {0.99, 1});
        put("xi-PPO: v_1 - theta_1", "+0.001; at most .004 in size", xi.first, {-0.01, 0.01});
        put("xi-PPO: v_2 - theta_2", "-0.000; at most .004 in size", xi.second, {-0.01, 0.01});
        put("xi-PPO at 0.9 theta: final gold", "0.957; .951 to .963", entries_["xi-PPO, 0.9 theta"].gold, {0.93, 0.98});
        put("xi-PPO at 1.1 theta: final gold", "0.960; .955 to .963", entries_["xi-PPO, 1.1 theta"].gold, {0.93, 0.98});
        return result;
    }

private:
    struct entry {
        std::vector<double> gold, best, first, second;
    };
    std::map<std::string, entry> entries_;
};

/// Mean, least and greatest over runs.
gallery::curve over_runs(std::string name, std::vector<std::vector<double>> const& runs) {
    auto curve = gallery::curve{.name = std::move(name)};
    for (std::size_t t = 0; t < runs[0].size(); ++t) {
        auto low = runs[0][t], high = low, total = 0.0;
        for (auto const& run : runs) {
            low = std::min(low, run[t]);
            high = std::max(high, run[t]);
            total += run[t];
        }
        curve.x.push_back(static_cast<double>(t + 1));
        curve.y.push_back(total / static_cast<double>(runs.size()));
        curve.low.push_back(low);
        curve.high.push_back(high);
    }
    return curve;
}

/// 1 - gold, for logarithmic scales.
std::vector<double> regret(std::vector<double> gold) {
    for (auto& g : gold) g = std::max(1 - g, 1e-5);
    return gold;
}

gallery::outcome training(gallery::settings const& settings) {
    auto const here = world(fixed_world, 0.5);
    auto found = table{};
    auto gold_plot = gallery::plot{.name = "gold",
                                   .title = "What the policy lacks to the best gold score, range over seeds",
                                   .x_label = "iteration",
                                   .y_label = "1 - gold score",
                                   .log_y = true};
    auto value_plot = gallery::plot{.name = "values",
                                    .title = "Mean rewards during training; the joint proxy point is (0.62, 0.66)",
                                    .x_label = "mean of reward 1",
                                    .y_label = "mean of reward 2"};
    for (auto const& each : variants) {
        auto gold = std::vector<std::vector<double>>{};
        for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
            auto const run = each.run(here, each.scale, seed);
            found.add(each.name, run, each.scale);
            gold.push_back(regret(run.gold));
            if (seed == 0 && each.scale == 1)
                value_plot.curves.push_back({.name = each.name, .x = run.first, .y = run.second});
        }
        if (each.scale == 1) gold_plot.curves.push_back(over_runs(each.name, gold));
    }
    value_plot.curves.push_back(
        {.name = "proxy point", .x = {peak[0]}, .y = {peak[1]}, .style = gallery::curve::styles::points});
    return {.measurements = found.measurements(),
            .plots = {gold_plot, value_plot},
            .reading =
                "PPO on the sum passes through the peak of the gold score and leaves it behind; saturation slows "
                "that down; multipliers hold the policy at the peak, xi-PPO best. Capped rewards exceed their "
                "caps where each channel contains the KL reward; with KL as a channel of its own they come "
                "closer to the exact problem."};
}

/// Each seed is another draw of rewards and features.
gallery::outcome other_draws(gallery::settings const& settings) {
    auto found = table{};
    for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
        auto const there = world(100 + seed, 0.5);
        for (auto const& each : variants) found.add(each.name, each.run(there, each.scale, seed), each.scale);
    }
    return {.measurements = found.measurements(),
            .reading = "The ranking of the methods does not depend on the draw of the rewards."};
}

/// The exact problem beside the trained policy: exponential tilts are log-linear in the rewards, so both may agree.
gallery::outcome exact(gallery::settings const& settings) {
    auto const here = world(fixed_world, 0.5);
    auto const thresholds = std::vector{peak[0], peak[1]};
    auto const solve = [&](auto sense) {
        return solver::kl_saddle_point<decltype(sense), double>(sense, here.reference, here.rewards, thresholds, 0.1);
    };
    auto const equal = solve(constraint::equal_to{});
    auto const least = solve(constraint::at_least{});
    auto const most = solve(constraint::at_most{});
    auto kl = gallery::measurement{.name = "xi-PPO: KL(trained, exact), mean of the last 20 iterations",
                                   .paper = "0 in the limit",
                                   .every_seed = true};
    for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
        auto trained = make_program<solver::weighing::xi>(log_linear(here), here, thresholds, seed);
        auto total = 0.0;
        while (trained.steps() < iterations) {
            trained.step();
            if (trained.steps() > iterations - 20)
                total += kl_divergence(row(trained.probabilities()), row(std::span<double const>(equal.policy))) / 20;
        }
        kl.values.push_back(total);
    }
    auto const one = [](std::string name, double value) {
        return gallery::measurement{.name = std::move(name), .values = {value}};
    };
    auto const distance = std::max(std::abs(equal.values[0] - peak[0]), std::abs(equal.values[1] - peak[1]));
    return {.measurements = {kl,
                             {.name = "xi exact: |v - theta|",
                              .paper = "0 (moment matching)",
                              .values = {distance},
                              .accepted = {0, 1e-12}},
                             one("xi exact: tilt of reward 1", equal.tilt[0]),
                             one("xi exact: tilt of reward 2", equal.tilt[1]),
                             one("mu exact: gold", gold(least.values)),
                             one("mu exact: multiplier 1", least.multipliers[0]),
                             one("mu exact: multiplier 2", least.multipliers[1]),
                             one("mu exact: v_1 - theta_1", least.values[0] - peak[0]),
                             one("All exact: gold", gold(most.values)),
                             one("All exact: v_1 - theta_1", most.values[0] - peak[0]),
                             one("All exact: v_2 - theta_2", most.values[1] - peak[1])},
            .reading =
                "xi-PPO trains to the exponential tilt that matches the moments. Where the exact multiplier of a "
                "constraint is 0 its reward ends above the threshold: mu-PPO may exceed theta."};
}

/// Twenty times as long.
gallery::outcome longer(gallery::settings const& settings) {
    auto const here = world(fixed_world, 0.5);
    auto const length = settings.quick ? std::size_t{1500} : std::size_t{6000};
    auto result = gallery::outcome{};
    auto plot = gallery::plot{.name = "longer",
                              .title = "What the policy lacks to the best gold score in long training, one seed",
                              .x_label = "iteration",
                              .y_label = "1 - gold score",
                              .log_y = true};
    auto const measure = [&]<class Weighing>(Weighing, std::string const& name, std::string const& expected,
                                             gallery::band band) {
        auto thrice = gallery::measurement{
            .name = name + ": gold after 900 iterations", .paper = expected, .accepted = band, .every_seed = true};
        auto last = gallery::measurement{.name = name + ": gold at the end"};
        auto violation = gallery::measurement{.name = name + ": largest |v - theta| at the end"};
        for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
            auto trained = make_program<Weighing>(log_linear(here), here, {peak[0], peak[1]}, seed);
            auto const run = train(trained, length);
            auto const until = [&](std::size_t end) {
                return history::last({run.gold.begin(), run.gold.begin() + static_cast<std::ptrdiff_t>(end)});
            };
            thrice.values.push_back(until(900));
            last.values.push_back(until(length));
            violation.values.push_back(
                std::max(std::abs(history::last(run.first) - peak[0]), std::abs(history::last(run.second) - peak[1])));
            if (seed > 0) continue;
            auto curve = gallery::curve{.name = name};
            auto const lacking = regret(run.gold);
            for (std::size_t t = 0; t < length; t += 15) {
                curve.x.push_back(static_cast<double>(t + 1));
                curve.y.push_back(lacking[t]);
            }
            plot.curves.push_back(curve);
        }
        result.measurements.insert(result.measurements.end(), {thrice, last, violation});
    };
    auto const stays = gallery::band{0.99, 1};
    measure(solver::weighing::mu{}, "mu-PPO", "stays at its peak over 3x longer training", stays);
    measure(solver::weighing::xi{}, "xi-PPO", "stays at its peak over 3x longer training", stays);
    measure(solver::weighing::all_rewards{}, "All-PPO", "", {});
    measure(solver::weighing::all_rewards_and_kl{}, "All-PPO, KL apart", "not in the sheet", {});
    result.plots = {plot};
    result.reading = "mu-PPO and xi-PPO stay where they are. All-PPO as released does not settle: its tilts sum to 1 "
                     "while the exact ones sum to less, so the multipliers rise until KL pushes away from the "
                     "reference. With KL as a channel of its own it settles.";
    return result;
}

/// Where the gold score peaks along runs that maximise one reward, or jointly.
gallery::outcome proxy_points(gallery::settings const& settings) {
    constexpr auto correlations = std::array{-0.5, 0.0, 0.5, 0.9};
    constexpr auto sheet = std::array{"(0.41, 0.50)", "(0.70, 0.66)", "(0.61, 0.62)", "(0.64, 0.66)"};
    auto result = gallery::outcome{};
    auto curves = std::array{gallery::curve{.name = "reward 1", .style = gallery::curve::styles::lines_and_points},
                             gallery::curve{.name = "reward 2", .style = gallery::curve::styles::lines_and_points}};
    auto joint = gallery::measurement{.name = "joint proxy point of the runs: distance from (0.62, 0.66)",
                                      .paper = "0: the score is a quadratic surface",
                                      .accepted = {0, 1e-6},
                                      .every_seed = true};
    for (std::size_t c = 0; c < correlations.size(); ++c) {
        auto values = std::array<std::vector<double>, 2>{};
        for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
            auto const there = world(seed == 0 ? fixed_world : 200 + seed, correlations[c]);
            auto points = std::vector<double>{}, scores = points;
            for (std::size_t i = 0; i < 2; ++i) {
                // Constant weights 1 and 0: the other reward is only watched.
                auto trained = make_program<solver::weighing::fixed>(log_linear(there), there, {1, 1}, seed);
                trained.multipliers[1 - i] = 0;
                auto const run = train(trained, 150);
                values[i].push_back(metric::proxy_point<double>(i == 0 ? run.first : run.second, run.gold));
                for (std::size_t t = 0; t < run.gold.size(); ++t) {
                    points.insert(points.end(), {run.first[t], run.second[t]});
                    scores.push_back(run.gold[t]);
                }
            }
            auto const fit = metric::joint_proxy_point<double>(points, scores);
            joint.values.push_back(std::hypot(fit.peak[0] - peak[0], fit.peak[1] - peak[1]));
        }
        for (std::size_t i = 0; i < 2; ++i) {
            result.measurements.push_back({.name = "correlation " + std::to_string(correlations[c]).substr(0, 4) +
                                                   ": proxy point of reward " + std::to_string(i + 1),
                                           .paper = sheet[c],
                                           .values = values[i]});
            auto& curve = curves[i];
            auto const [low, high] = std::minmax_element(values[i].begin(), values[i].end());
            curve.x.push_back(correlations[c]);
            curve.y.push_back(values[i][0]);
            curve.low.push_back(*low);
            curve.high.push_back(*high);
        }
    }
    result.measurements.push_back(joint);
    result.plots = {{.name = "proxy-points",
                     .title = "Independent proxy points by the correlation of the rewards: one draw, range over draws",
                     .x_label = "correlation",
                     .y_label = "reward at the peak of the gold score",
                     .curves = {curves[0], curves[1]}}};
    result.reading = "A proxy point of one reward alone depends on what the reward drags along: it moves with the "
                     "correlation, so thresholds should be found jointly.";
    return result;
}

/// NM-PPO: one training run searches its own thresholds.
gallery::outcome nelder_mead(gallery::settings const& settings) {
    auto const here = world(fixed_world, 0.5);
    auto best = gallery::measurement{.name = "best gold of an evaluation",
                                     .paper = "0.973, 0.991, 0.981, 0.999, 0.994; .933 to 1.000 elsewhere",
                                     .accepted = {0.90, 1},
                                     .every_seed = true};
    auto total = gallery::measurement{.name = "iterations in all",
                                      .paper = "650 to 880; 240 to 1040 elsewhere",
                                      .accepted = {0, 1100},
                                      .every_seed = true};
    auto at_thresholds =
        gallery::measurement{.name = "gold at the thresholds returned", .paper = ".70 to 1.00, median .97"};
    auto plot = gallery::plot{.name = "nelder-mead",
                              .title = "NM-PPO: best gold score so far of an evaluation",
                              .x_label = "iterations",
                              .y_label = "gold score"};
    for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
        auto trained = make_program<solver::weighing::xi>(log_linear(here), here, {0, 0}, seed);
        trained.multipliers = {0, 0};
        auto simplex = std::vector<double>{};
        for (std::size_t k = 0; k < 6; ++k) {
            auto const low = trained.values()[k % 2], u = random::uniform<double>({seed, 1, 0, std::uint32_t(k)});
            simplex.push_back(low + (0.85 - low) * (0.3 + 0.7 * u));
        }
        auto progress = gallery::curve{.name = "seed " + std::to_string(seed)};
        auto greatest = -gallery::unbounded;
        auto const score = [&](auto const& after) {
            auto const now = gold(after.values());
            greatest = std::max(greatest, now);
            progress.x.push_back(static_cast<double>(after.steps()));
            progress.y.push_back(greatest);
            return now;
        };
        auto search = solver::nelder_mead(solver::cached_function{solver::score_at_thresholds{&trained, score}, 5e-3},
                                          simplex, 2);
        search.tolerance = 0.002;
        while (!search.converged() && trained.steps() <= 900) search.step();
        auto const found = std::array{search.point(0)[0], search.point(0)[1]};
        best.values.push_back(greatest);
        total.values.push_back(static_cast<double>(trained.steps()));
        at_thresholds.values.push_back(gold(found));
        plot.curves.push_back(progress);
    }
    return {.measurements = {best, total, at_thresholds},
            .plots = {plot},
            .reading = "One run of training finds good thresholds in the time of about three runs at fixed ones. The "
                       "best score is that of one moment of a moving policy: at the thresholds returned the gold score "
                       "may be lower."};
}

/// The same on a network in place of the log-linear policy.
gallery::outcome neural_policy(gallery::settings const& settings) {
    auto const here = world(fixed_world, 0.5);
    auto ppo = gallery::measurement{.name = "PPO: final gold", .paper = "at most 0.85", .accepted = {-10, 0.85}};
    auto fall = gallery::measurement{
        .name = "PPO: peak less final gold", .paper = "PPO peaks and falls", .accepted = {0.14, 2}};
    auto xi = gallery::measurement{.name = "xi-PPO: final gold", .paper = "at least 0.99", .accepted = {0.99, 1}};
    auto mu = gallery::measurement{.name = "mu-PPO: final gold", .paper = "at least 0.99", .accepted = {0.99, 1}};
    auto gap =
        gallery::measurement{.name = "xi-PPO: largest |v - theta|", .paper = "at most 0.01", .accepted = {0, 0.01}};
    auto curves = std::array<std::vector<std::vector<double>>, 3>{};
    for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
        auto const train_one = [&]<class Weighing>(Weighing) {
            auto trained = make_program<Weighing>(neural(here, seed), here, {peak[0], peak[1]}, seed, 0.02);
            return train(trained, iterations);
        };
        auto const fixed = train_one(solver::weighing::fixed{}), least = train_one(solver::weighing::mu{}),
                   equal = train_one(solver::weighing::xi{});
        ppo.values.push_back(history::last(fixed.gold));
        fall.values.push_back(fixed.best() - history::last(fixed.gold));
        mu.values.push_back(history::last(least.gold));
        xi.values.push_back(history::last(equal.gold));
        gap.values.push_back(
            std::max(std::abs(history::last(equal.first) - peak[0]), std::abs(history::last(equal.second) - peak[1])));
        for (std::size_t i = 0; i < 3; ++i) curves[i].push_back(regret(std::array{&fixed, &least, &equal}[i]->gold));
    }
    return {.measurements = {ppo, fall, mu, xi, gap},
            .plots = {{.name = "neural",
                       .title = "What a neural policy (5-16-1) lacks to the best gold score",
                       .x_label = "iteration",
                       .y_label = "1 - gold score",
                       .log_y = true,
                       .curves = {over_runs("PPO", curves[0]), over_runs("mu-PPO", curves[1]),
                                  over_runs("xi-PPO", curves[2])}}},
            .reading = "A policy that can do more over-optimises more; the constraints hold it as well."};
}

gallery::registration const registered{
    method,
    gallery::experiment{.name = "constrained-rlhf-training",
                        .title = "Five ways to train on two reward models",
                        .claim = "Unconstrained PPO peaks and then falls; mu-PPO and xi-PPO stay at the peak, xi-PPO "
                                 "best; thresholds 10% off are worse.",
                        .default_seeds = 5,
                        .run = training},
    gallery::experiment{.name = "constrained-rlhf-other-draws",
                        .title = "The same on other draws of the rewards",
                        .claim = "The same.",
                        .default_seeds = 10,
                        .run = other_draws},
    gallery::experiment{.name = "constrained-rlhf-exact",
                        .title = "Training against the exact saddle point",
                        .claim = "The Lagrangians have exponential tilts as solutions; xi-PPO meets its thresholds.",
                        .default_seeds = 5,
                        .run = exact},
    gallery::experiment{.name = "constrained-rlhf-longer",
                        .title = "Training much longer",
                        .claim = "mu-PPO and xi-PPO stay at their peak over 3x longer training.",
                        .default_seeds = 3,
                        .run = longer},
    gallery::experiment{.name = "constrained-rlhf-proxy-points",
                        .title = "Proxy points by the correlation of the rewards",
                        .claim = "Correlated rewards have other proxy points together than alone.",
                        .default_seeds = 5,
                        .run = proxy_points},
    gallery::experiment{.name = "constrained-rlhf-nelder-mead",
                        .title = "NM-PPO: thresholds found during one run",
                        .claim = "Nelder-Mead over the thresholds finds good ones in a single training run.",
                        .default_seeds = 5,
                        .run = nelder_mead},
    gallery::experiment{.name = "constrained-rlhf-neural",
                        .title = "The same on a neural policy",
                        .claim = "The same.",
                        .default_seeds = 5,
                        .run = neural_policy}};

} // namespace
