#include "constrained_rlhf_problem.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/solver/constrained_ppo.hpp"
#include "poise/solver/nelder_mead.hpp"
#include "poise/solver/threshold_search.hpp"

/// The training programs, on a tabular policy over eight actions.
using namespace constrained_rlhf_test;
namespace weighing = solver::weighing;

namespace {

using policy_type = policy::tabular_softmax<double>;
template <class Weighing, class Advantage = estimator::centered>
using program = solver::constrained_ppo<policy_type, Weighing, Advantage>;

problem const small{.reference = {0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05},
                    .rewards = {0.1, 0.2, 0.5, 0.3, 0.9, 0.7, 0.4, 1.0, //
                                0.2, 0.1, 0.3, 0.8, 0.4, 1.0, 0.6, 0.9},
                    .thresholds = {0.55, 0.6},
                    .beta = 0.2};

policy_type at_reference(problem const& of) {
    auto policy = policy_type(1, of.actions());
    map(policy.parameters(), [](double p) { return std::log(p); }, row<double const>(of.reference));
    return policy;
}

template <class Weighing, class Advantage = estimator::centered>
program<Weighing, Advantage> start(problem const& of, std::uint64_t seed = 1,
                                   solver::adaptive_kl penalty = {.initial = 0.2}) {
    typename program<Weighing, Advantage>::settings chosen{.penalty = penalty, .rule = {.learning_rate = 0.03}};
    chosen.multiplier_rule.rule.rule.learning_rate = 0.1;
    return {at_reference(of), of.reference, of.rewards, of.thresholds, {.seed = seed}, chosen};
}

reals probabilities(auto const& trained) { return {trained.probabilities().begin(), trained.probabilities().end()}; }

/// The mean policy over the last iterations.
reals train(auto& trained, std::size_t iterations) {
    auto total = reals(trained.probabilities().size());
    for (std::size_t t = 0; t < iterations; ++t) {
        trained.step();
        if (2 * t >= iterations)
            for (std::size_t k = 0; k < total.size(); ++k)
                total[k] += trained.probabilities()[k] / static_cast<double>(iterations / 2);
    }
    return total;
}

/// An update rule that keeps the gradient.
struct recorder {
    static constexpr std::size_t state_rows = 0;
    reals* seen = nullptr;
    void operator()(writable_row auto, row_of_reals auto gradient, auto const&, std::size_t) const {
        seen->assign(gradient.size(), 0);
        copy(row<double>(*seen), gradient);
    }
};

} // namespace

TEST_CASE("constrained-rlhf: training goes to the exact saddle point") {
    auto const check = [](auto weighing, auto const& exact) {
        auto trained = start<decltype(weighing)>(small);
        auto const found = train(trained, 1500);
        for (std::size_t i = 0; i < small.count(); ++i)
            CHECK(std::abs(small.values(found)[i] - exact.values[i]) < 0.02);
        CHECK(kl_divergence(row<double const>(found), row<double const>(exact.policy)) < 0.01);
    };
    check(weighing::xi{}, solve(constraint::equal_to{}, small));
    check(weighing::mu{}, solve(constraint::at_least{}, small));
    check(weighing::all_rewards_and_kl{}, solve(constraint::at_most{}, small));
    // Constant weights 1: the exponential tilt by (1, 1).
    auto tilt = solver::saddle_point<double>{.policy = dual_at(small, {1, 1}).policy};
    tilt.values = small.values(tilt.policy);
    check(weighing::fixed{}, tilt);
}

TEST_CASE("constrained-rlhf: a step without clipping or noise follows the Lagrangian's gradient") {
    // With as many samples as a batch may have the sampled gradient is close to that of
    // sum_i w_i v_i - c beta KL in the logits: pi_k (A_k - E A).
    auto policy = at_reference(small);
    policy.parameters()[0] -= 0.7; // away from the reference, for a KL reward
    using recording = solver::constrained_ppo<policy_type, weighing::xi, estimator::centered, recorder>;
    auto seen = reals{};
    auto trained = recording(policy, small.reference, small.rewards, small.thresholds, {.seed = 2},
                             {.batch = 200'000, .epochs = 1, .penalty = {.initial = 0.2}, .rule = {&seen}});
    trained.multipliers = {0.4, -0.3};
    auto const pi = probabilities(trained);
    auto const w = reals{std::tanh(0.4), std::tanh(-0.3)};
    auto advantage = reals(small.actions());
    for (std::size_t k = 0; k < advantage.size(); ++k)
        advantage[k] = w[0] * small.reward(0)[k] + w[1] * small.reward(1)[k] -
                       (2 - w[0] - w[1]) * small.beta * std::log(pi[k] / small.reference[k]);
    auto const centre = weighted_sum(row<double const>(pi), row<double const>(advantage));
    trained.step();
    for (std::size_t k = 0; k < advantage.size(); ++k)
        CHECK(std::abs(seen[k] + pi[k] * (advantage[k] - centre)) < 3e-3);
}

TEST_CASE("constrained-rlhf: the same seed makes the same run, another one another") {
    auto a = start<weighing::mu>(small, 5), b = start<weighing::mu>(small, 5), c = start<weighing::mu>(small, 6);
    for (int t = 0; t < 20; ++t) a.step(), b.step(), c.step();
    CHECK(probabilities(a) == probabilities(b));
    CHECK(a.multipliers == b.multipliers);
    CHECK(probabilities(a) != probabilities(c));
    auto d = a; // and a copy goes on as its original
    a.step(), d.step();
    CHECK(probabilities(a) == probabilities(d));
}

TEST_CASE("constrained-rlhf: multipliers at the start, and those that stay") {
    auto const squashed = start<weighing::mu>(small);
    CHECK(squashed.multipliers[0] == squashed.multipliers[1]);
    CHECK(squashed.multipliers[0] != 0);
    CHECK(std::abs(squashed.multipliers[0]) < 0.05);
    using unsquashed = solver::reward_weighing<weighting::squash::none, estimator::base::kl, constraint::at_least>;
    auto free = start<unsquashed>(small);
    CHECK(free.multipliers == reals{0.5, 0.5});
    auto fixed = start<weighing::fixed>(small);
    for (int t = 0; t < 5; ++t) free.step(), fixed.step();
    CHECK(fixed.multipliers == reals{1, 1});
    CHECK(free.multipliers != reals{0.5, 0.5});
}

TEST_CASE("constrained-rlhf: PPO-SAT is PPO on rewards cut off at their thresholds") {
    auto cut = small;
    for (std::size_t k = 0; k < cut.rewards.size(); ++k)
        cut.rewards[k] = std::min(cut.rewards[k], cut.thresholds[k / cut.actions()]);
    auto saturated = start<weighing::saturated>(small);
    auto fixed = start<weighing::fixed>(cut);
    for (int t = 0; t < 10; ++t) saturated.step(), fixed.step();
    CHECK(probabilities(saturated) == probabilities(fixed));
    CHECK(saturated.values()[0] > fixed.values()[0]); // but its values are those of the rewards themselves
}

TEST_CASE("constrained-rlhf: the target KL stops epochs and moves beta") {
    auto const free = solver::adaptive_kl{.initial = 0.2}, tight = solver::adaptive_kl{.initial = 0.2, .target = 1e-7};
    auto once = start<weighing::xi>(small, 1, tight);
    typename program<weighing::xi>::settings one_epoch{.epochs = 1, .penalty = free, .rule = {.learning_rate = 0.03}};
    one_epoch.multiplier_rule.rule.rule.learning_rate = 0.1;
    auto single = program<weighing::xi>(at_reference(small), small.reference, small.rewards, small.thresholds,
                                        {.seed = 1}, one_epoch);
    auto all = start<weighing::xi>(small, 1, free);
    once.step(), single.step(), all.step();
    CHECK(probabilities(once) == probabilities(single)); // the first epoch already went too far
    CHECK(probabilities(once) != probabilities(all));
    CHECK(all.beta == 0.2);
    CHECK(once.beta < 0.2); // the first batch is of the reference: KL 0
    auto away = at_reference(small);
    away.parameters()[0] -= 0.7;
    auto far =
        program<weighing::xi>(away, small.reference, small.rewards, small.thresholds, {.seed = 1}, {.penalty = tight});
    far.step();
    CHECK(far.beta > 0.2);
}

TEST_CASE("constrained-rlhf: NM-PPO trains until the thresholds are reached, or its blocks are over") {
    auto trained = start<weighing::xi>(small);
    auto const score = [](auto const& after) { return after.values()[0]; };
    auto const f = solver::score_at_thresholds{&trained, score};
    auto const call = [&](reals const& thresholds) { return f(row<double const>(thresholds)); };
    auto const far = call({0.95, 0.05});
    CHECK(trained.steps() == 60);
    CHECK(trained.thresholds == reals{0.95, 0.05});
    CHECK(far == -trained.values()[0]);
    CHECK(!f.reached());
    call({trained.values()[0], trained.values()[1]});
    CHECK(trained.steps() <= 70 + 50);
    trained.thresholds = {trained.values()[0] * 1.04, trained.values()[1] * 0.96};
    CHECK(f.reached());
    trained.thresholds[0] = -trained.values()[0]; // |theta| in the band, but on the other side of 0
    CHECK(!f.reached());
    // Negative thresholds have a band too.
    auto negative = small;
    for (auto& r : negative.rewards) r = -r;
    auto below = start<weighing::xi>(negative);
    below.thresholds = {below.values()[0] * 1.01, below.values()[1] * 0.99};
    CHECK(solver::score_at_thresholds{&below, score}.reached());
    CHECK_THROWS_AS(call({math::quiet_nan<double>, 0}), domain_violation);
}

TEST_CASE("constrained-rlhf: normalised advantages, and what the program refuses") {
    auto trained = start<weighing::mu, estimator::normalized_advantage>(small);
    for (int t = 0; t < 200; ++t) trained.step();
    CHECK(trained.gap() < 0.1);
    auto const make = [](problem const& of, std::size_t batch = 256) {
        return program<weighing::mu>(at_reference(small), of.reference, of.rewards, of.thresholds, {},
                                     {.batch = batch});
    };
    CHECK_NOTHROW(make(small));
    auto wrong = small;
    wrong.thresholds = {0.5, math::quiet_nan<double>};
    CHECK_THROWS_WITH_AS(make(wrong), "constrained_ppo: argument 'thresholds': expected numbers, not NaN, got nan",
                         domain_violation);
    wrong.thresholds = {};
    CHECK_THROWS_AS(make(wrong), argument_error);
    wrong = small;
    wrong.rewards.pop_back();
    CHECK_THROWS_AS(make(wrong), argument_error);
    wrong = small;
    wrong.reference.pop_back();
    CHECK_THROWS_AS(make(wrong), argument_error);
    CHECK_THROWS_WITH_AS(make(small, 1), "constrained_ppo: argument 'batch': expected at least 2 samples, got 1",
                         argument_error);
}

TEST_CASE("constrained-rlhf: normalising is a stage of a pipeline, over what an earlier one wrote") {
    auto const rewards = reals{1, 2, 3, 7}, log_p = reals(4, -1.0);
    auto advantage = reals(4), gradient = reals(4), expected = reals(4);
    auto const whole = [](auto& x) { return rows_of(x.data(), 1, x.size()); };
    evaluate(execution::sequential{},
             estimator::centered{} | estimator::normalized_advantage{} | objective::clipped_surrogate{},
             inputs(field::reward = whole(rewards), field::log_probability = whole(log_p),
                    field::old_log_probability = whole(log_p)),
             outputs(field::advantage = whole(advantage), field::gradient<field::log_probability> = whole(gradient)));
    for_each_row(execution::sequential{}, estimator::normalized_advantage{}, whole(rewards), whole(expected));
    CHECK(close(advantage, expected, 1e-15));
    for (std::size_t k = 0; k < 4; ++k) CHECK(close(gradient[k], -expected[k] / 4, 1e-15));
}
