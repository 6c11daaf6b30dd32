#include "learning_comparison.hpp"

#include "poise/policy/token_policy.hpp"
#include "poise/reward/verifiable.hpp"
#include "poise/solver/token_learner.hpp"

#include <algorithm>

namespace {

using namespace poise;
using namespace learning_gallery;
using estimator::deviation::sample;
using objective::surrogate;

constexpr auto digits = std::uint32_t{3}; // 0, 1, 2; the fourth token ends a sequence
constexpr auto length = std::size_t{3};
constexpr auto problems = std::size_t{27};
using tokens = policy::token_sequence<length + 1>;

std::vector<tokens> sorted_strings() {
    auto all = std::vector<tokens>{};
    for (std::uint32_t n = 0; n < problems; ++n) {
        auto given = std::array{n / (digits * digits), n / digits % digits, n % digits};
        std::sort(given.begin(), given.end());
        auto answer = tokens(given);
        answer.push_back(digits);
        all.push_back(answer);
    }
    return all;
}

gallery::outcome token_task(gallery::settings const& settings) {
    auto const answers = sorted_strings();
    auto contexts = std::vector<std::size_t>(problems);
    for (std::size_t k = 0; k < problems; ++k) contexts[k] = k;
    auto result = comparison("Strings of three digits to be sorted, exact match: mean and 95% band over seeds",
                             "step (16 responses to each of 27 strings, 2 epochs)", 60, {0.8, 1},
                             "at least 0.8; 1/256 at the start");
    auto const study = [&](std::string const& name, auto const& algorithm) {
        auto const start = policy::token_policy<double, length + 1>(problems, digits + 1, length);
        auto const runs = over_seeds(settings, [&](std::size_t seed) {
            auto learner = solver::token_learner(
                start, reward::exact_match<double>(answers), algorithm | outside, solver::adam{.learning_rate = 0.1},
                {.samples_per_context = 16, .epochs = 2, .random = {.seed = 900 + seed}}, policy::frozen(start));
            auto curves = std::array<std::vector<double>, quantities>{};
            for (std::size_t step = 0; step < result.steps(); ++step)
                learner.step(contexts, [&](auto const& report) {
                    auto const values =
                        std::array{report.reward, report.entropy, report.reference_log_ratio, report.clip_fraction};
                    for (std::size_t q = 0; q < quantities; ++q) curves[q].push_back(values[q]);
                });
            return curves;
        });
        auto curves = std::array<std::vector<std::vector<double>>, quantities>{};
        for (auto const& run : runs)
            for (std::size_t q = 0; q < quantities; ++q) curves[q].push_back(run[q]);
        result.add(name, curves);
    };
    constexpr auto of_sequences = aggregation::mean_of_sequences{};
    constexpr auto grpo = estimator::group_relative<sample>{1e-4};
    study("REINFORCE", estimator::uncentered{} | surrogate<ratio::none, trust_region::unclipped>{} | of_sequences);
    study("RLOO", estimator::leave_one_out{} | surrogate<ratio::sequence_sum>{} | of_sequences);
    study("GRPO", grpo | surrogate<>{} | penalty::kl_k3{1e-3} | of_sequences);
    study("Dr. GRPO", estimator::centered{} | surrogate<>{} | aggregation::constant_length{double(length + 1)});
    study("DAPO", grpo | surrogate<>{.trust_region = {.high = 0.28}} | aggregation::mean_over_batch{});
    study("GSPO", grpo | surrogate<ratio::sequence>{} | of_sequences);
    study("GMPO", grpo | surrogate<ratio::clipped_geometric_mean, trust_region::unclipped>{} | of_sequences);
    study("CISPO", grpo | surrogate<ratio::token, trust_region::capped_weight>{} | aggregation::mean_over_batch{});
    study("SAPO", grpo | surrogate<ratio::token, trust_region::sigmoid>{} | of_sequences);
    study("REINFORCE++", over_batch(estimator::centered{}) | over_batch(estimator::deviation_scale<sample>{1e-4}) |
                             surrogate<>{} | aggregation::mean_over_batch{});
    return result.outcome("One program; another algorithm is another composition of stages.");
}

gallery::registration const registered{
    method, gallery::experiment{.name = "learning-group-relative-tokens",
                                .title = "Ten algorithms on a verifiable token task",
                                .claim = "Group-relative algorithms are compositions of a few stages; all of them "
                                         "learn to sort short strings from 0/1 rewards.",
                                .default_seeds = 32,
                                .run = token_task}};

} // namespace
