#include "learning_runs.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/objective/score_surrogate.hpp"
#include "poise/penalty/forward_kl.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/random/random.hpp"
#include "poise/reward/table.hpp"
#include "poise/solver/gradient_descent.hpp"
#include "poise/solver/learner.hpp"
#include "poise/solver/offline_flow.hpp"

#include <array>
#include <string>

namespace {

using namespace poise;
namespace region = trust_region::region;
namespace score_weight = trust_region::score_weight;

/// Three arms and a policy that samples them and never changes.
gallery::outcome offline(gallery::settings const&) {
    auto const rewards = std::array{0.0, 0.8, 1.0}, mu = std::array{0.3, 0.6, 0.1};
    auto result = gallery::outcome{};
    auto plot =
        gallery::plot{.name = "offline",
                      .title = "Where weighted REINFORCE goes, samples from mu = (0.3, 0.6, 0.1), rewards (0, 0.8, 1)",
                      .x_label = "temperature of the weights e^{A / temperature}",
                      .y_label = "reward",
                      .log_x = true};
    auto reached = gallery::curve{.name = "RED-Weight"}, plain = gallery::curve{.name = "REINFORCE"};
    auto const solve = [&](double temperature) {
        auto rates = rewards, limit = rewards;
        auto arm = std::array{0.0}, best = arm;
        for_each_row(execution::simd{}, solver::offline_flow{.temperature = temperature}, rows_of(mu.data(), 1, 3),
                     rows_of(rewards.data(), 1, 3), rows_of(rates.data(), 1, 3), arm, best,
                     rows_of(limit.data(), 1, 3));
        return std::array{rewards[std::size_t(arm[0])], weighted_sum(row(limit), row(rewards)), best[0]};
    };
    auto const exactly = [](std::string name, std::string paper, double value, double expected) {
        return gallery::measurement{.name = std::move(name),
                                    .paper = std::move(paper),
                                    .values = {value},
                                    .accepted = {expected - 1e-3, expected + 1e-3}};
    };
    result.measurements.push_back(
        exactly("reward of the arm that REINFORCE goes to", "0.8; the best pays 1", solve(1)[0], 0.8));
    result.measurements.push_back(exactly("RED-Weight's reward, temperature 1", "0.8232", solve(1)[1], 0.8232));
    result.measurements.push_back(exactly("RED-Weight's reward, temperature 0.2", "0.8927", solve(0.2)[1], 0.8927));
    result.measurements.push_back(exactly("RED-Weight's reward, temperature 0.1", "0.9403", solve(0.1)[1], 0.9403));
    for (auto temperature = 0.05; temperature < 5; temperature *= 1.2) {
        auto const found = solve(temperature);
        reached.x.push_back(temperature), plain.x.push_back(temperature);
        plain.y.push_back(found[0]), reached.y.push_back(found[1]);
    }
    plot.curves = {reached, plain};
    result.plots = {plot};
    result.reading =
        "REINFORCE settles on the arm that mu samples most of the better ones. Weights help as far as the best "
        "arm is sampled.";
    return result;
}

constexpr auto actions = std::size_t{10};
constexpr auto steps = std::size_t{300}, every = std::size_t{10};

struct run {
    std::vector<double> reward; ///< exact, after 0, 10, ... 300 steps
    double entropy;             ///< at the end
    double at(std::size_t step) const { return reward[step / every]; }
};

/// Stochastic gradient descent on samples of a policy that is up to 20 steps old.
template <class Pipeline>
run learn(Pipeline const& algorithm, std::size_t contexts, std::size_t seed) {
    auto const draws = random::generator{.seed = 900 + seed}; // the same instance for every algorithm
    auto policy = policy::tabular_softmax<double>(contexts, actions);
    auto rewards = std::vector<double>(contexts * actions);
    for (std::size_t k = 0; k < rewards.size(); ++k) {
        rewards[k] = random::uniform<double>(draws.at(0, k));
        policy.parameters()[k] = random::normal<double>(draws.at(1, k));
    }
    auto learner = solver::learner(policy, reward::table<double>(rewards, actions), algorithm,
                                   solver::sgd{.learning_rate = 10.0 * double(contexts)}, // step 10 in each context
                                   {.samples_per_context = 8, .synchronize_every = 20, .random = {.seed = seed}});
    auto seen = std::vector<std::size_t>(contexts);
    for (std::size_t c = 0; c < contexts; ++c) seen[c] = c;
    auto result = run{};
    auto pi = std::vector<double>(actions);
    auto const measure = [&] {
        auto total = 0.0;
        result.entropy = 0;
        for (std::size_t c = 0; c < contexts; ++c) {
            softmax(row(pi), std::as_const(learner).policy().logits(c));
            total += weighted_sum(row(pi), row<double const>(rewards.data() + c * actions, actions)) / double(contexts);
            result.entropy += entropy(row(pi)) / double(contexts);
        }
        result.reward.push_back(total);
    };
    for (std::size_t step = 0; step < steps; ++step) {
        if (step % every == 0) measure();
        learner.step(seen);
    }
    measure();
    return result;
}

gallery::outcome stale(gallery::settings const& settings) {
    auto const contexts =
        std::size_t{settings.quick ? 25u : 50u}; // they do not interact: more only make means smoother
    auto result = gallery::outcome{};
    auto plot =
        gallery::plot{.name = "stale",
                      .title = "Contexts of ten arms, samples from a policy up to 20 steps old: mean over seeds",
                      .x_label = "step",
                      .y_label = "exact mean reward"};
    auto x = std::vector<double>{};
    for (std::size_t k = 0; k <= steps; k += every) x.push_back(double(k));
    auto const study = [&](std::string const& name, auto const& algorithm) {
        auto const runs =
            learning_gallery::over_seeds(settings, [&](std::size_t seed) { return learn(algorithm, contexts, seed); });
        auto curves = std::vector<std::vector<double>>{};
        for (auto const& each : runs) curves.push_back(each.reward);
        plot.curves.push_back(learning_gallery::mean_curve(name, x, curves));
        return runs;
    };
    using namespace estimator;
    using no_weight = score_weight::none;
    auto const narrow = region::one_sided{0.2, 0.2}, wide = region::one_sided{0.6, 2};
    auto const reinforce = centered{} | objective::policy_gradient{};
    auto const plain = study("REINFORCE", reinforce);
    auto const grpo =
        study("GRPO", group_relative{} | objective::score_surrogate<region::one_sided, score_weight::importance_ratio>{
                                             .region = narrow});
    auto const with_ratio = study(
        "REC, ratios, narrow",
        centered{} | objective::score_surrogate<region::one_sided, score_weight::importance_ratio>{.region = narrow});
    auto const without =
        study("REC, narrow", centered{} | objective::score_surrogate<region::one_sided, no_weight>{.region = narrow});
    auto const wider =
        study("REC, wide", centered{} | objective::score_surrogate<region::one_sided, no_weight>{.region = wide});
    using to_old =
        with_fields<penalty::kl_k2, fields<field::log_probability, field::old_log_probability>, penalty::kl_k2::writes>;
    auto const opmd = study("OPMD", reinforce | to_old{{.coefficient = 0.1}});
    auto const asymre = study("AsymRE", reinforce | penalty::forward_kl{.coefficient = 0.1});
    auto const weighted =
        study("RED-Weight",
              centered{} | objective::score_surrogate<region::everywhere, score_weight::exponential_advantage>{});

    auto const measure = [&](std::string name, std::string paper, gallery::band accepted, auto const& of) {
        auto one = gallery::measurement{.name = std::move(name), .paper = std::move(paper), .accepted = accepted};
        for (std::size_t seed = 0; seed < settings.seeds; ++seed) one.values.push_back(of(seed));
        result.measurements.push_back(one);
    };
    measure("reward at step 300 with ratios less without", "at most 0.012 either way", {-0.012, 0.012},
            [&](std::size_t seed) { return with_ratio[seed].at(300) - without[seed].at(300); });
    measure("reward at step 60, wide bounds less narrow", "at least 0.06", {0.06, gallery::unbounded},
            [&](std::size_t seed) { return wider[seed].at(60) - without[seed].at(60); });
    for (auto const& [name, runs] : {std::pair{"GRPO", &grpo},
                                     {"REC, ratios, narrow", &with_ratio},
                                     {"REC, narrow", &without},
                                     {"REC, wide", &wider},
                                     {"OPMD", &opmd},
                                     {"AsymRE", &asymre},
                                     {"RED-Weight", &weighted}})
        measure("reward at step 300 less REINFORCE's: " + std::string(name), "at least 0.012",
                {0.012, gallery::unbounded},
                [&](std::size_t seed) { return (*runs)[seed].at(300) - plain[seed].at(300); });
    measure("REINFORCE's entropy at step 300", "0.018; below 0.05", {0, 0.05},
            [&](std::size_t seed) { return plain[seed].entropy; });
    result.plots = {plot};
    result.reading =
        "The importance ratio changes nothing at the end; the region, a penalty or weights keep REINFORCE from "
        "collapsing; wider bounds are faster and no worse.";
    return result;
}

gallery::method const method{.slug = "group-relative-reinforce",
                             .title = "Group-relative REINFORCE off-policy",
                             .paper = "Group-Relative REINFORCE Is Secretly an Off-Policy Algorithm, 2025 "
                                      "(arXiv 2509.24203)"};
gallery::registration const registered{
    method,
    gallery::experiment{.name = "group-relative-reinforce-offline",
                        .title = "Samples of a fixed policy",
                        .claim =
                            "REINFORCE on samples of a fixed policy need not find the best arm; weights by advantage "
                            "come closer.",
                        .default_seeds = 1,
                        .run = offline},
    gallery::experiment{.name = "group-relative-reinforce-stale",
                        .title = "Samples of a policy that is synchronised every 20 steps",
                        .claim =
                            "Importance ratios may be left out; clipping, regularisation or weights may not; bounds "
                            "may be much wider.",
                        .default_seeds = 5,
                        .run = stale}};

} // namespace
