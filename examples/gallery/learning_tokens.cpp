#include "learning_runs.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/policy/token_policy.hpp"
#include "poise/reward/verifiable.hpp"
#include "poise/solver/learner.hpp"

#include <algorithm>
#include <array>

namespace {

using namespace poise;
using namespace learning_gallery;

constexpr auto digits = std::uint32_t{3}; // 0, 1, 2; the fourth token ends a sequence
constexpr auto length = std::size_t{3};
constexpr auto problems = std::size_t{27};
using tokens = policy::token_sequence<length + 1>;

/// The answer to problem n, whose digits in base 3 are the string given.
template <class Change>
std::vector<tokens> answers(Change const& change) {
    auto all = std::vector<tokens>{};
    for (std::uint32_t n = 0; n < problems; ++n) {
        auto given = std::array{n / (digits * digits), n / digits % digits, n % digits};
        change(given);
        auto answer = tokens(given);
        answer.push_back(digits);
        all.push_back(answer);
    }
    return all;
}

/// The probability of the right answer, mean over problems, before each of 101 steps.
std::vector<double> success(std::vector<tokens> const& right, std::size_t seed) {
    auto learner = solver::learner(
        policy::token_policy<double, length + 1>(problems, digits + 1, length), reward::exact_match<double>(right),
        estimator::group_relative{} | objective::clipped_surrogate{}, solver::adam{.learning_rate = 0.1},
        {.samples_per_context = 32, .epochs = 1, .random = {.seed = seed}});
    auto contexts = std::vector<std::size_t>(problems);
    for (std::size_t k = 0; k < problems; ++k) contexts[k] = k;
    auto rates = std::vector<double>{};
    for (std::size_t step = 0;; ++step) {
        rates.push_back(0);
        for (auto const k : contexts)
            rates.back() += std::exp(learner.policy().log_probability(k, right[k])) / problems;
        if (step == 100) return rates;
        learner.step(contexts);
    }
}

gallery::outcome token_tasks(gallery::settings const& settings) {
    auto result = gallery::outcome{};
    auto plot = gallery::plot{.name = "success",
                              .title = "Strings of three digits, exact match: mean and 95% band over seeds",
                              .x_label = "step (32 samples of each of 27 strings)",
                              .y_label = "probability of the right answer"};
    auto const study = [&](std::string const& name, auto const& change) {
        auto const right = answers(change);
        auto const runs = over_seeds(settings, [&](std::size_t seed) { return success(right, seed); });
        auto last = gallery::measurement{.name = name + ": probability of the right answer after 100 steps",
                                         .paper = "at least 0.95; 1/256 at the start",
                                         .accepted = {0.95, 1},
                                         .every_seed = true};
        for (auto const& run : runs) last.values.push_back(run.back());
        auto steps = std::vector<double>{};
        for (std::size_t k = 0; k < runs[0].size(); ++k) steps.push_back(double(k));
        result.measurements.push_back(last);
        plot.curves.push_back(mean_curve(name, steps, runs));
    };
    study("reverse", [](auto& given) { std::reverse(given.begin(), given.end()); });
    study("sort", [](auto& given) { std::sort(given.begin(), given.end()); });
    result.plots = {plot};
    result.reading = "A reward of 1 for exactly the right string is enough to learn all 27, from one success in 256 "
                     "tries.";
    return result;
}

gallery::registration const registered{
    method, gallery::experiment{.name = "learning-tokens",
                                .title = "An autoregressive policy on verifiable tasks",
                                .claim = "Group-relative policy optimisation learns to reverse and to sort short "
                                         "strings from 0/1 rewards.",
                                .default_seeds = 5,
                                .run = token_tasks}};

} // namespace
