#include "learning_comparison.hpp"

#include "poise/environment/bandit.hpp"
#include "poise/execution/replicate.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/reward/one_step.hpp"
#include "poise/solver/learner.hpp"

namespace {

using namespace poise;
using namespace learning_gallery;
using estimator::deviation::sample;
using objective::surrogate;

constexpr auto arms = std::size_t{10};
constexpr auto bandit_steps = std::size_t{100};

template <class Algorithm>
struct bandit_run {
    static constexpr std::size_t results = quantities * bandit_steps;
    Algorithm algorithm;

    void operator()(row_of_reals auto learning_rate, random::generator replica, writable_row auto found) const {
        using T = value_of<decltype(found)>;
        using R = real_of<T>;
        auto means = std::vector<T>(arms);
        for (std::size_t a = 0; a < arms; ++a) means[a] = T(static_cast<R>(a + 1) / static_cast<R>(arms + 1));
        auto const start = policy::tabular_softmax<T>(1, arms);
        auto learner =
            solver::learner(start, reward::one_step{environment::bandit<T>(means)}, algorithm | outside,
                            solver::sgd<T>{.learning_rate = T(learning_rate[0])},
                            {.samples_per_context = 16, .epochs = 2, .random = replica}, policy::frozen(start));
        auto const contexts = std::array{std::size_t{0}};
        for (std::size_t step = 0; step < bandit_steps; ++step)
            learner.step(contexts, [&](auto const& report) {
                auto const values =
                    std::array{report.reward, report.entropy, report.reference_log_ratio, report.clip_fraction};
                for (std::size_t q = 0; q < quantities; ++q) found[q * bandit_steps + step] = values[q];
            });
    }
};

gallery::outcome bandit(gallery::settings const& settings) {
    auto result = comparison("Ten arms that pay 0 or 1 with chances 1/11 to 10/11: mean and 95% band over replicas",
                             "step (16 samples, 2 epochs)", bandit_steps, {0.8, 1},
                             "at least 0.8; 0.5 for the uniform policy, 0.91 for the best arm");
    auto const study = [&](std::string const& name, auto const& algorithm) {
        auto const rates = std::array{1.0};
        auto const found = replicate(bandit_run<std::remove_cvref_t<decltype(algorithm)>>{algorithm},
                                     grid_of(rates, settings.seeds, {.seed = 1}), execution::in_lanes{});
        auto curves = std::array<std::vector<std::vector<double>>, quantities>{};
        for (std::size_t q = 0; q < quantities; ++q)
            for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
                curves[q].emplace_back();
                for (std::size_t step = 0; step < bandit_steps; ++step)
                    curves[q].back().push_back(found(0, seed, q * bandit_steps + step));
            }
        result.add(name, curves);
    };
    constexpr auto grpo = estimator::group_relative<sample>{1e-4};
    study("REINFORCE", estimator::uncentered{} | surrogate<ratio::none, trust_region::unclipped>{});
    study("RLOO", estimator::leave_one_out{} | surrogate<>{});
    study("GRPO", grpo | surrogate<>{} | penalty::kl_k3{1e-3});
    study("Dr. GRPO", estimator::centered{} | surrogate<>{});
    study("clip higher (DAPO)", grpo | surrogate<>{.trust_region = {.high = 0.28}});
    study("CISPO", grpo | surrogate<ratio::token, trust_region::capped_weight>{});
    study("SAPO", grpo | surrogate<ratio::token, trust_region::sigmoid>{});
    study("AsymRE", estimator::shifted_mean{-0.1} | surrogate<ratio::none, trust_region::unclipped>{});
    study("OPMD", estimator::centered{} | surrogate<ratio::none, trust_region::unclipped>{} |
                      with_fields<penalty::kl_k2, fields<field::log_probability, field::old_log_probability>,
                                  penalty::kl_k2::writes>{{1.0}});
    study("dual clip", grpo | surrogate<>{.trust_region = {.dual = 3}});
    return result.outcome("32 replicas of a learner run in the lanes of a SIMD register; with one context the batch is "
                          "the group, so REINFORCE++ would be GRPO here.");
}

gallery::registration const registered{
    method, gallery::experiment{.name = "learning-group-relative-bandit",
                                .title = "Ten algorithms on a bandit, as replicas",
                                .claim = "The same stages on a bandit, one replica per SIMD lane.",
                                .default_seeds = 32,
                                .run = bandit}};

} // namespace
