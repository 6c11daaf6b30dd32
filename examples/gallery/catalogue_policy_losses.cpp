#include "learning_runs.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/objective/surrogate.hpp"
#include "poise/policy/token_policy.hpp"
#include "poise/reward/verifiable.hpp"
#include "poise/solver/fixed_length_step.hpp"
#include "poise/solver/token_learner.hpp"

#include <array>
#include <cmath>
#include <functional>
#include <stdexcept>

namespace {

using namespace poise;
using estimator::deviation::sample;
using learning_gallery::mean_curve;
using learning_gallery::over_seeds;
using objective::surrogate;

// ---- which losses have a length bias

constexpr auto length = std::size_t{10}, rollouts = std::size_t{16}, groups = std::size_t{8};
using tokens = policy::token_sequence<length>;
using table = policy::token_policy<double, length>;

/// The first token is the answer; behind a short one the end follows, a long one repeats until there is no more room.
enum answer : std::uint32_t { right_short, right_long, wrong_short, wrong_long, end };

table start() {
    constexpr auto forced = 1e3; // the others have probability 0, to the last bit
    auto policy = table(1, 5, 1);
    policy.logits(0, 0)[end] = -forced;
    for (auto const given : {right_short, right_long, wrong_short, wrong_long})
        policy.logits(
            0, policy.histories().next(0, given))[given % 2 == 0 ? std::uint32_t{end} : std::uint32_t{given}] = forced;
    return policy;
}

struct run {
    std::vector<double> right, wrong; ///< log p(right, short) / p(right, long), log p(wrong, long) / p(wrong, short)
};

template <class Loss>
run train(Loss const& loss, std::size_t seed) {
    auto learner = solver::token_learner(
        start(), reward::verified_by<double, std::size_t, tokens>([](std::size_t, tokens const& y) {
            return y[0] == right_short || y[0] == right_long;
        }),
        estimator::group_relative<sample>{1e-4} | loss, solver::fixed_length_step<norm::absolute>{0.02},
        {.samples_per_context = rollouts, .random = {.seed = 300 + seed}});
    auto const prompts = std::vector<std::size_t>(groups); // one prompt, eight times
    auto found = run{};
    for (;;) {
        auto const z = learner.policy().logits(0, 0);
        found.right.push_back(z[right_short] - z[right_long]);
        found.wrong.push_back(z[wrong_long] - z[wrong_short]);
        auto const p = std::array{std::exp(z[right_short]), std::exp(z[right_long]), std::exp(z[wrong_short]),
                                  std::exp(z[wrong_long])};
        if (p[0] + p[1] > 0.9 * (p[0] + p[1] + p[2] + p[3])) return found;
        if (found.right.size() > 1000) throw std::runtime_error("a loss did not teach the right answers in 1000 steps");
        learner.step(prompts);
    }
}

gallery::outcome length_bias(gallery::settings const& settings) {
    auto result = gallery::outcome{};
    auto of_right = gallery::plot{.name = "right",
                                  .title = "The right answer, short against long: mean and 95% band over seeds",
                                  .x_label = "step (8 groups of 16 samples)",
                                  .y_label = "log p(right, short) / p(right, long)"};
    auto of_wrong = of_right;
    of_wrong.name = "wrong";
    of_wrong.title = "The wrong answer, long against short: mean and 95% band over seeds";
    of_wrong.y_label = "log p(wrong, long) / p(wrong, short)";

    auto const study = [&](std::string const& name, bool biased, auto const& loss) {
        auto const runs = over_seeds(settings, [&](std::size_t seed) { return train(loss, seed); });
        auto const measure = [&](char const* what, auto const& curve, gallery::band accepted, char const* sheet) {
            auto measured = gallery::measurement{.name = name + ": " + what, .paper = sheet, .accepted = accepted};
            measured.every_seed = true;
            for (auto const& one : runs) measured.values.push_back((one.*curve).back());
            result.measurements.push_back(measured);
        };
        auto const none = gallery::band{-0.2, 0.2};
        measure("right, short over long", &run::right, biased ? gallery::band{1.6, 2.0} : none,
                biased ? "1.808 to 1.833" : "-0.059 to 0.039");
        measure("wrong, long over short", &run::wrong, biased ? gallery::band{0.6, 1.0} : none,
                biased ? "0.762 to 0.846" : "-0.042 to 0.035");
        auto const draw = [&](gallery::plot& plot, auto const& curve) {
            auto steps = std::size_t{1000};
            for (auto const& one : runs) steps = std::min(steps, (one.*curve).size());
            auto curves = std::vector<std::vector<double>>{};
            for (auto const& one : runs) curves.push_back(one.*curve);
            auto x = std::vector<double>(steps);
            for (std::size_t k = 0; k < steps; ++k) x[k] = double(k);
            plot.curves.push_back(mean_curve(name, x, curves));
        };
        draw(of_right, &run::right);
        draw(of_wrong, &run::wrong);
    };
    constexpr auto per_sequence = aggregation::mean_of_sequences{};
    constexpr auto per_token = aggregation::mean_over_batch{};
    study("GRPO", true, surrogate<>{} | per_sequence);
    study("SAPO", true, surrogate<ratio::token, trust_region::sigmoid>{} | per_sequence);
    study("GSPO", true, surrogate<ratio::sequence>{} | per_sequence);
    study("GMPO", true, surrogate<ratio::clipped_geometric_mean, trust_region::unclipped>{} | per_sequence);
    study("DAPO", false, surrogate<>{.trust_region = {.high = 0.28}} | per_token);
    study("Dr. GRPO", false, surrogate<>{} | aggregation::constant_length{double(length)});
    study("CISPO", false, surrogate<ratio::token, trust_region::capped_weight>{} | per_token);
    study("VESPO", false, surrogate<ratio::sequence_sum, trust_region::gamma_weight>{} | per_token);
    study("LUSPO", false, surrogate<ratio::sequence>{} | aggregation::sum_of_sequences{});
    study("RLOO", false, surrogate<ratio::sequence_sum>{} | per_sequence);
    result.plots = {of_right, of_wrong};
    result.reading = "On policy all trust regions are open: curves of a family lie on each other. What separates the "
                     "families is what each sequence's sum is divided by.";
    return result;
}

// ---- how strongly a token pulls

struct gate {
    std::string name;
    std::function<double(double log_ratio, double advantage)> pull; ///< |d loss / d log pi| / |A|
    std::array<double, 8> positive, negative;                       ///< as the sheet has them
};
constexpr auto ratios = std::array{0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 5.0, 10.0};

template <class Region>
auto pull_of(Region const& region) {
    return [region](double log_ratio, double advantage) {
        if constexpr (requires { region.weight(log_ratio, advantage); })
            return region.weight(log_ratio, advantage);
        else
            return std::abs(region(log_ratio, advantage).second);
    };
}
std::vector<gate> gates() {
    constexpr auto clipped = std::array{.1, .5, .9, 1., 1.1, 0., 0., 0.};
    constexpr auto capped = std::array{.1, .5, .9, 1., 1.1, 2., 5., 5.};
    return {{"clipped", pull_of(trust_region::clipped{}), clipped, {0, 0, .9, 1, 1.1, 2, 5, 10}},
            {"clipped, delta 4", pull_of(trust_region::two_sided{.delta = 4}), clipped, {0, 0, .9, 1, 1.1, 2, 0, 0}},
            {"capped weight (CISPO)", pull_of(trust_region::capped_weight{}), capped, capped},
            {"sigmoid (SAPO)",
             pull_of(trust_region::sigmoid{}),
             {.0822, .4700, .8978, 1, 1.0973, 1.5729, .3533, .0049},
             {.0806, .4671, .8975, 1, 1.0970, 1.5362, .2911, .0031}},
            {"gamma weight (VESPO)",
             pull_of(trust_region::gamma_weight{}),
             {.1488, 1.1204, 1.0934, 1, .8964, .1991, .0002, 0},
             {.0060, .3398, .8904, 1, 1.0897, 1.0827, .0419, 0}}};
}

gallery::outcome gate_table(gallery::settings const&) {
    auto result = gallery::outcome{};
    auto const plot_of = [](std::string name, std::string title) {
        return gallery::plot{.name = std::move(name),
                             .title = std::move(title),
                             .x_label = "ratio pi / pi_old",
                             .y_label = "|d loss / d log pi| / |A|",
                             .log_x = true};
    };
    auto positive = plot_of("positive", "A token of positive advantage"),
         negative = plot_of("negative", "A token of negative advantage");
    for (auto const& of : gates()) {
        auto greatest = 0.0;
        for (std::size_t k = 0; k < ratios.size(); ++k) {
            auto const log_ratio = std::log(ratios[k]);
            greatest = std::max({greatest, std::abs(of.pull(log_ratio, 1) - of.positive[k]),
                                 std::abs(of.pull(log_ratio, -1) - of.negative[k])});
        }
        result.measurements.push_back({.name = of.name + ": greatest difference from the sheet at 8 ratios",
                                       .paper = "4 digits",
                                       .values = {greatest},
                                       .accepted = {0, 1e-4}});
        auto up = gallery::curve{.name = of.name}, down = up;
        for (auto log_ratio = std::log(0.1); log_ratio <= std::log(10.0); log_ratio += 0.02) {
            up.x.push_back(std::exp(log_ratio));
            down.x.push_back(std::exp(log_ratio));
            up.y.push_back(of.pull(log_ratio, 1));
            down.y.push_back(of.pull(log_ratio, -1));
        }
        positive.curves.push_back(up);
        negative.curves.push_back(down);
    }
    result.plots = {positive, negative};
    result.reading = "Only the plain clip leaves tokens of negative advantage unbounded; the capped weight never "
                     "silences a token; sigmoid and gamma weight fade out on both sides.";
    return result;
}

gallery::method const method{.slug = "catalogue-policy-losses",
                             .title = "The catalogue of policy losses",
                             .paper = "Hugging Face TRL, state of July 2026; see the page for the papers"};
gallery::registration const registered_bias{
    method, gallery::experiment{.name = "catalogue-policy-losses-length",
                                .title = "The normaliser decides the length bias",
                                .claim = "Means per response favour short right and long wrong answers (Dr. GRPO); "
                                         "whatever counts tokens alike does not, and no trust region changes it.",
                                .default_seeds = 6,
                                .run = length_bias}};
gallery::registration const registered_gates{
    method, gallery::experiment{.name = "catalogue-policy-losses-gates",
                                .title = "How strongly a token pulls at a ratio",
                                .claim = "Plain clipping leaves tokens of negative advantage unbounded; the others "
                                         "bound both sides.",
                                .default_seeds = 1,
                                .run = gate_table}};

} // namespace
