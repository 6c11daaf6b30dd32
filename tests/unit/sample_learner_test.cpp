#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/policy/frozen.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/policy/token_policy.hpp"
#include "poise/reward/table.hpp"
#include "poise/solver/gradient_descent.hpp"
#include "poise/solver/learner.hpp"
#include "poise/solver/token_learner.hpp"

#include "policy_checks.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <sstream>

namespace {

using namespace poise;
using tabular = policy::tabular_softmax<double>;

auto rewards() { return reward::table<double>({0.1, 0.9, 0.2, 0.8, 0.3, 0.1}, 3); }
auto start() { return policy_checks::scattered(tabular(2, 3), 1); }
auto const contexts = std::vector<std::size_t>{0, 1, 1};

auto numbers(auto const& policy) {
    auto const parameters = policy.parameters();
    return std::vector<double>(parameters.data(), parameters.data() + parameters.size());
}
auto address(std::size_t step, std::size_t index) {
    return random::address{.seed = 3, .step = std::uint32_t(step), .index = std::uint32_t(index)};
}

} // namespace

TEST_CASE("a stale sampler is renewed every k steps; log-probabilities are its own") {
    auto bandit = solver::learner(
        start(), rewards(),
        estimator::centered{} | objective::clipped_surrogate{.low = 0.999, .high = 1e9}, // ratios, not clipped
        solver::sgd{.learning_rate = 1.0}, {.samples_per_context = 4, .synchronize_every = 3, .random = {.seed = 3}});
    auto sampler = bandit.policy();
    for (std::size_t step = 0; step < 7; ++step) {
        auto const before = bandit.policy();
        if (step % 3 == 0) sampler = before;
        auto expected = before;
        bandit.step(contexts, [&](auto const& report) { CHECK((report.kl_divergence > 0) == (step % 3 != 0)); });
        for (std::size_t k = 0; k < 12; ++k) {
            auto const context = contexts[k / 4], action = bandit.actions()[k];
            CHECK(action == sampler.sample(context, address(step, k)));
            auto mean = 0.0;
            for (std::size_t g = 0; g < 4; ++g) mean += bandit.rewards()[k / 4 * 4 + g] / 4;
            auto const ratio =
                std::exp(before.log_probability(context, action) - sampler.log_probability(context, action));
            before.pullback(context, action, ratio * (bandit.rewards()[k] - mean) / 12, expected.parameters());
        }
        for (std::size_t k = 0; k < 6; ++k) CHECK(std::abs(numbers(bandit.policy())[k] - numbers(expected)[k]) < 1e-13);
    }
}

TEST_CASE("a saved learner goes on exactly, its sampler too; that of another setting is refused") {
    auto const make = [](std::size_t every) {
        return solver::learner(start(), rewards(), estimator::centered{} | objective::clipped_surrogate{},
                               solver::sgd{.learning_rate = 1.0},
                               {.samples_per_context = 4, .synchronize_every = every, .random = {.seed = 3}});
    };
    auto bandit = make(5);
    for (auto step = 0; step < 7; ++step) bandit.step(contexts);
    auto state = std::stringstream{};
    bandit.save(state);
    auto other = make(5);
    other.restore(state);
    for (auto step = 0; step < 7; ++step) {
        bandit.step(contexts);
        other.step(contexts);
        CHECK(numbers(other.policy()) == numbers(bandit.policy()));
    }
    auto without = std::stringstream{};
    make(1).save(without);
    auto const before = numbers(other.policy());
    CHECK_THROWS_AS(other.restore(without), argument_error);
    CHECK(numbers(other.policy()) == before);
}

TEST_CASE("hyper-parameters of stages move between steps, and the clipped fraction with them") {
    auto bandit = solver::learner(
        start(), rewards(),
        estimator::centered{} | objective::clipped_surrogate{.low = 0.9, .high = 9} | penalty::kl_k3{0},
        solver::sgd{.learning_rate = 1.0}, {.samples_per_context = 8, .epochs = 2}, policy::frozen(tabular(2, 3)));
    auto same = bandit, other = bandit;
    bandit.step(contexts, [](auto const& report) { CHECK(report.clip_fraction == 0); });
    auto& clip = std::get<objective::clipped_surrogate>(same.pipeline().stages);
    clip.low = clip.high = 1e-6;
    same.step(contexts, [](auto const& report) { CHECK(report.clip_fraction > 0.5); });
    std::get<penalty::kl_k3>(other.pipeline().stages).coefficient = 0.5;
    other.step(contexts);
    CHECK(numbers(other.policy()) != numbers(bandit.policy()));
    std::get<penalty::kl_k3>(other.pipeline().stages).coefficient = -1;
    CHECK_THROWS_AS(other.step(contexts), domain_violation);
    CHECK(std::get<1>(std::as_const(bandit).pipeline().stages).high == 9);
}

TEST_CASE("the clipped fraction is that of any stage that clips each element's ratio") {
    auto const fraction = [](auto const& surrogate) {
        auto bandit = solver::learner(start(), rewards(), estimator::centered{} | surrogate,
                                      solver::sgd{.learning_rate = 3.0}, {.samples_per_context = 8, .epochs = 3});
        auto found = 0.0;
        bandit.step(contexts, [&](auto const& report) { found = report.clip_fraction; });
        return found;
    };
    using trust_region::clipped;
    auto const expected = fraction(objective::clipped_surrogate{.low = 0.05, .high = 0.1});
    CHECK(expected > 0);
    CHECK(expected < 1);
    CHECK(fraction(objective::surrogate<>{.trust_region = {.low = 0.05, .high = 0.1}}) == expected);
    CHECK(fraction(objective::surrogate<ratio::token, trust_region::unclipped>{}) == 0);
}

namespace {

POISE_FIELD(quality, replaced);

/// A_k = r_k - 2 q_k
struct less_quality {
    using reads = fields<field::reward, quality>;
    using writes = fields<field::advantage>;
    constexpr void operator()(row_of_reals auto reward, row_of_reals auto other, writable_row auto advantage) const {
        map(advantage, [](auto r, auto q) { return r - 2 * q; }, reward, other);
    }
};
using poise::operator|;

/// A reward that draws.
struct noisy {
    using value_type = double;
    using context_type = std::size_t;
    using action_type = std::size_t;
    double scale = 1;
    double score(std::size_t context, std::size_t action, random::address where) const {
        return scale * (double(context + action) + random::uniform<double>(where));
    }
};

} // namespace

TEST_CASE("several rewards are fields by their names, with draws of their own") {
    auto learner =
        solver::learner(start(), std::tuple{reward::as<field::reward>(rewards()), reward::as<quality>(noisy{0.5})},
                        less_quality{} | objective::policy_gradient{}, solver::sgd{.learning_rate = 1.0},
                        {.samples_per_context = 2, .random = {.seed = 3}});
    auto expected = learner.policy();
    auto const before = expected;
    learner.step(contexts, [&](auto const& report) {
        CHECK(report.reward == doctest::Approx(mean(row(learner.rewards()))).epsilon(1e-14));
    });
    for (std::size_t k = 0; k < 6; ++k) {
        auto const context = contexts[k / 2], action = learner.actions()[k];
        auto const r = rewards().score(context, action), q = noisy{0.5}.score(context, action, address(0, 12 + k));
        CHECK(learner.rewards()[k] == r);
        CHECK(learner.rewards<field::reward>()[k] == r);
        CHECK(learner.rewards<quality>()[k] == q);
        before.pullback(context, action, (r - 2 * q) / 6, expected.parameters());
    }
    for (std::size_t k = 0; k < 6; ++k) CHECK(std::abs(numbers(learner.policy())[k] - numbers(expected)[k]) < 1e-14);

    // One reward may have a name too.
    auto const one = solver::learner(start(), reward::as<field::advantage>(rewards()), objective::policy_gradient{},
                                     solver::sgd{}, {.random = {.seed = 3}});
    auto step = one;
    step.step(contexts);
    CHECK(step.rewards<field::advantage>()[0] == rewards().score(0, step.actions()[0]));
}

TEST_CASE("as many samples of a context as are asked for: each row has its own baseline") {
    auto learner =
        solver::learner(start(), rewards(), estimator::leave_one_out{} | objective::policy_gradient{},
                        solver::sgd{.learning_rate = 1.0}, {.samples_per_context = 7, .random = {.seed = 3}});
    auto const samples = std::vector<std::size_t>{2, 40, 5};
    while (learner.steps() < 4) {
        auto expected = learner.policy();
        auto const before = expected;
        auto const step = learner.steps();
        learner.step(contexts, samples);
        REQUIRE(learner.actions().size() == 47);
        for (std::size_t i = 0, k = 0; i < 3; ++i) {
            auto const n = samples[i], first = k;
            auto total = 0.0;
            for (std::size_t g = 0; g < n; ++g) total += learner.rewards()[first + g];
            for (; k < first + n; ++k) {
                auto const action = learner.actions()[k];
                CHECK(action == before.sample(contexts[i], address(step, k)));
                auto const others = (total - learner.rewards()[k]) / double(n - 1);
                before.pullback(contexts[i], action, (learner.rewards()[k] - others) / double(3 * n),
                                expected.parameters());
            }
        }
        for (std::size_t k = 0; k < 6; ++k)
            CHECK(std::abs(numbers(learner.policy())[k] - numbers(expected)[k]) < 1e-13);
        learner.step(contexts); // and seven again
        CHECK(learner.actions().size() == 21);
    }
    CHECK_THROWS_WITH_AS(learner.step(contexts, std::vector<std::size_t>{2, 3}),
                         "learner::step: argument 'samples': expected 3, got 2", argument_error);
    CHECK_THROWS_AS(learner.step(contexts, std::vector<std::size_t>{2, 0, 3}), argument_error);
    CHECK_THROWS_WITH_AS(learner.step(contexts, std::vector<std::size_t>{2, 1, 3}), // of the second row
                         "leave_one_out: argument 'reward': expected at least 2 elements, got 1", argument_error);
}

namespace {

/// What the selection keys and lengths of the last step were.
struct seen {
    static inline std::vector<double> keys, lengths;
};
struct look_at_both {
    using reads = fields<field::log_probability, field::selection_key, field::length>;
    using writes = fields<field::advantage>;
    constexpr void operator()(row_of_reals auto, row_of_reals auto key, row_of_reals auto length,
                              writable_row auto advantage) const {
        for (std::size_t k = 0; k < key.size(); ++k) {
            seen::keys.push_back(key[k]);
            seen::lengths.push_back(length[k]);
        }
        fill(advantage, 1);
    }
};

/// A reward for every sequence.
struct nothing {
    constexpr double score(std::size_t, policy::token_sequence<3> const&) const { return 0; }
};

} // namespace

TEST_CASE("selection keys and lengths are there where a stage reads them: of samples, and of tokens") {
    auto const pi = policy_checks::scattered(policy::token_policy<double, 3>(2, 3, 1), 4);
    auto const settings = solver::learner_settings{.samples_per_context = 2, .epochs = 2, .random = {.seed = 3}};
    auto const check = [&](auto learner, std::size_t tokens) {
        learner.step(contexts);
        seen::keys.clear();
        seen::lengths.clear();
        learner.step(contexts);
        REQUIRE(seen::keys.size() == 2 * 6 * tokens); // two epochs
        for (std::size_t k = 0; k < 6; ++k)
            for (std::size_t t = 0; t < tokens; ++t) {
                auto const at = k * tokens + t;
                CHECK(seen::keys[at] == random::uniform<double>(address(1, 12 + at)));
                CHECK(seen::keys[at] == seen::keys[6 * tokens + at]);
                CHECK(seen::lengths[at] == double(learner.actions()[k].size()));
            }
        CHECK(std::set(seen::keys.begin(), seen::keys.end()).size() == 6 * tokens);
    };
    auto const stages = look_at_both{} | objective::policy_gradient{};
    check(solver::learner(pi, nothing{}, stages, solver::sgd{}, settings, solver::detail::no_reference{},
                          execution::sequential{}),
          1);
    check(solver::token_learner(pi, nothing{}, stages, solver::sgd{}, settings, solver::detail::no_reference{},
                                execution::sequential{}),
          3);
}
