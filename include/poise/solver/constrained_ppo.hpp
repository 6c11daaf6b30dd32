#pragma once

#include "poise/concepts.hpp"
#include "poise/core/scan.hpp"
#include "poise/estimator/mixed_advantage.hpp"
#include "poise/estimator/normalized_advantage.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/random/continuous.hpp"
#include "poise/reward/saturation.hpp"
#include "poise/solver/adam.hpp"
#include "poise/solver/adaptive_kl.hpp"
#include "poise/solver/multiplier_descent.hpp"
#include "poise/solver/optimizer.hpp"

#include <algorithm>
#include <span>
#include <vector>

/// PPO on several reward models under constraints (Moskovitz et al., "Confronting reward model overoptimization with
/// constrained RLHF", 2023, arXiv 2310.04373; slug constrained-rlhf), on the actions of one context.
namespace poise::solver {

/// How rewards are weighed: what the variants of the method differ in.
template <class Squash, class Base, class Sense, class Saturation = reward::saturation::none>
struct reward_weighing {
    using squash = Squash;
    using base = Base;
    using sense = Sense;
    using saturation = Saturation;
};

/// Their usual names.
namespace weighing {

using namespace weighting;
using estimator::base::all;
using estimator::base::all_and_kl;
using estimator::base::kl;

/// Constant weights.
using fixed = reward_weighing<squash::none, kl, constraint::none>;
/// Constant weights of rewards that count up to their threshold.
using saturated = reward_weighing<squash::none, kl, constraint::none, reward::saturation::at_threshold>;
using mu = reward_weighing<squash::sigmoid, kl, constraint::at_least>;
using xi = reward_weighing<squash::tanh, kl, constraint::equal_to>;
using all_rewards = reward_weighing<squash::sigmoid, all, constraint::at_most>;
/// All-PPO with the KL reward as a channel of its own.
using all_rewards_and_kl = reward_weighing<squash::sigmoid, all_and_kl, constraint::at_most>;

} // namespace weighing

/// Training with visible state, by iterations of
///  1. a batch from the policy, its rewards r_i and its KL reward -beta log(pi / pi_ref), which stays as it is;
///  2. for each epoch: weights from the multipliers, mixed advantage, a clipped-surrogate step of the policy, then a
///     multiplier step with the batch means of the rewards; no more epochs once mean(rho - 1 - log rho) exceeds 1.5
///     target KL;
///  3. the step of beta.
/// A response is one step, so the advantage of a channel is its reward, centred or normalised over the batch.
template <class Policy, class Weighing, class Advantage = estimator::normalized_advantage, class Rule = adam<>>
class constrained_ppo {
    using T = typename Policy::value_type;
    using squash = typename Weighing::squash;
    using base = typename Weighing::base;
    using sense = typename Weighing::sense;
    using view = along_row<T>;
    using constant_view = along_row<T const>;
    static constexpr bool constrained = !std::is_same_v<sense, constraint::none>;

public:
    struct settings {
        std::size_t batch = 256;
        std::size_t epochs = 4;
        adaptive_kl penalty = {};
        Rule rule = {};
        multiplier_descent<squash, sense> multiplier_rule = {};
        objective::clipped_surrogate surrogate = {};
        Advantage advantage = {};
        typename Policy::context_type context = {};
    };

    /// For K actions: their probabilities under the reference, and K scores by each of N rewards, reward after reward;
    /// a threshold for each. Constant weights start at 1, unsquashed multipliers at 0.5, squashed ones at one draw from
    /// N(0, 0.01^2). Throws for N = 0, NaN thresholds, a batch of fewer than two, numbers that do not fit.
    constrained_ppo(Policy start, std::span<T const> reference, std::vector<T> rewards, std::vector<T> limits,
                    random::generator draws, settings chosen = {})
        : policy(std::move(start)),
          thresholds(std::move(limits)),
          multipliers(thresholds.size()),
          beta(static_cast<T>(chosen.penalty.initial)),
          settings_(chosen),
          rewards_(std::move(rewards)),
          draws_(draws),
          optimizer_(chosen.rule, policy.parameters()),
          multiplier_optimizer_(chosen.multiplier_rule, multipliers.size()) {
        constexpr auto name = "constrained_ppo";
        concepts::require_policy<Policy, true>();
        auto const n = thresholds.size(), actions = policy.actions(), batch = chosen.batch;
        require(n > 0, name, "thresholds", "at least one", n);
        for (auto const t : thresholds) require_domain(t == t, name, "thresholds", "numbers, not NaN", t);
        require(reference.size() == actions, name, "reference", actions, reference.size());
        require(rewards_.size() == n * actions, name, "rewards", n * actions, rewards_.size());
        require(batch > 1, name, "batch", "at least 2 samples", batch);
        auto const noise = T(0.01) * random::normal<T>(draws.at(0));
        fill(view(multipliers), squash::bounded ? noise : constrained ? T(0.5) : T(1));

        for (auto* row : {&log_reference_, &log_policy_, &probabilities_, &cumulative_, &cotangent_})
            row->resize(actions);
        for (auto* row : {&old_, &log_probability_, &kl_channel_, &mixed_, &loss_, &slope_}) row->resize(batch);
        for (auto* row : {&values_, &means_, &weights_, &multiplier_gradient_}) row->resize(n);
        sampled_.resize(batch);
        channels_.resize(n * batch);
        gradient_.resize(policy.parameters().size());
        map(view(log_reference_), [](auto p) { return math::log(p); }, constant_view(reference.data(), actions));
        look_at_policy();
    }

    Policy policy;
    std::vector<T> thresholds;
    std::vector<T> multipliers; ///< lambda, before the squash
    T beta;                     ///< coefficient of the KL reward

    std::size_t steps() const { return steps_; }
    /// Of all actions, and the expected rewards under them: exact, not those of a batch.
    std::span<T const> probabilities() const { return probabilities_; }
    std::span<T const> values() const { return values_; }
    /// The largest violation of a constraint by the exact values.
    T gap() const
        requires constrained
    {
        auto worst = T(0);
        for (std::size_t i = 0; i < thresholds.size(); ++i) {
            auto const slack = sense::slack(values_[i], thresholds[i]);
            worst = math::max(worst, sense::inequality ? -slack : math::abs(slack));
        }
        return worst;
    }
    /// Forgets the moments of both optimisers.
    void restart_optimizers() {
        optimizer_ = {settings_.rule, policy.parameters()};
        multiplier_optimizer_ = {settings_.multiplier_rule, multipliers.size()};
    }

    /// One iteration.
    void step() {
        ++steps_;
        auto const kl = sample();
        for (std::size_t epoch = 0; epoch < settings_.epochs; ++epoch) {
            if (epoch > 0) policy.log_probabilities(settings_.context, view(log_policy_));
            for (std::size_t b = 0; b < sampled_.size(); ++b) log_probability_[b] = log_policy_[sampled_[b]];
            if (moved_too_far()) break;
            step_policy();
            if constexpr (constrained) step_multipliers();
        }
        beta = settings_.penalty.next(beta, kl);
        look_at_policy();
    }

private:
    void look_at_policy() {
        auto const actions = probabilities_.size();
        policy.log_probabilities(settings_.context, view(log_policy_));
        map(view(probabilities_), [](auto l) { return math::exp(l); }, constant_view(log_policy_));
        for (std::size_t i = 0; i < values_.size(); ++i)
            values_[i] =
                weighted_sum(constant_view(probabilities_), constant_view(rewards_.data() + i * actions, actions));
    }

    /// Draws the batch and the advantages of its channels; returns the mean of log(pi / pi_ref).
    T sample() {
        auto const batch = sampled_.size(), actions = probabilities_.size();
        cumulative_sum(row<T>(cumulative_), row<T const>(probabilities_));
        for (std::size_t b = 0; b < batch; ++b) {
            auto const target = random::uniform<T>(draws_.at(steps_, b)) * cumulative_.back();
            auto const at = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, target);
            sampled_[b] = static_cast<std::size_t>(at - cumulative_.begin());
            old_[b] = log_policy_[sampled_[b]];
            kl_channel_[b] = old_[b] - log_reference_[sampled_[b]];
        }
        auto const kl = mean(constant_view(kl_channel_));
        map(view(kl_channel_), [b = beta](auto log_ratio) { return -b * log_ratio; }, constant_view(kl_channel_));
        for (std::size_t i = 0; i < means_.size(); ++i) {
            auto const channel = view(channels_.data() + i * batch, batch);
            for (std::size_t b = 0; b < batch; ++b) channel[b] = rewards_[i * actions + sampled_[b]];
            means_[i] = mean(channel);
            map(channel, [t = thresholds[i]](auto r) { return typename Weighing::saturation{}(r, t); }, channel);
            if constexpr (base::rewards_contain_kl)
                map(channel, [](auto r, auto kl_reward) { return r + kl_reward; }, channel, constant_view(kl_channel_));
            settings_.advantage(channel, channel);
        }
        settings_.advantage(view(kl_channel_), view(kl_channel_));
        return kl;
    }

    bool moved_too_far() const {
        auto const k3 = [](auto now, auto old) { return math::exp(now - old) - (now - old) - real_of<T>(1); };
        return sum(k3, constant_view(log_probability_), constant_view(old_)) >
               T(1.5 * settings_.penalty.target) * T(sampled_.size());
    }

    void step_policy() {
        auto base_weight = std::array<T, 1>{};
        weighting::lagrange_weights<squash>{}(constant_view(multipliers), row<T, 1>(base_weight), view(weights_));
        estimator::mixed_advantage<base>{}(constant_view(kl_channel_), constant_view(channels_),
                                           row<T const, 1>(base_weight), constant_view(weights_), view(mixed_));
        settings_.surrogate(constant_view(log_probability_), constant_view(old_), constant_view(mixed_), view(loss_),
                            view(slope_));
        fill(view(cotangent_), T(0));
        for (std::size_t b = 0; b < sampled_.size(); ++b) cotangent_[sampled_[b]] += slope_[b] / T(sampled_.size());
        fill(view(gradient_), T(0));
        policy.pullback(settings_.context, row<T const>(cotangent_), row<T>(gradient_));
        optimizer_.step(policy.parameters(), row<T const>(gradient_));
    }

    void step_multipliers() {
        multiplier_loss<squash, sense>::slope(constant_view(multipliers), constant_view(means_),
                                              constant_view(thresholds), view(multiplier_gradient_));
        multiplier_optimizer_.step(row<T>(multipliers), row<T const>(multiplier_gradient_));
    }

    settings settings_;
    std::vector<T> rewards_;
    random::generator draws_;
    optimizer<Rule, T> optimizer_;
    optimizer<multiplier_descent<squash, sense>, T> multiplier_optimizer_;
    std::size_t steps_ = 0;

    std::vector<T> log_reference_, log_policy_, probabilities_, cumulative_, cotangent_; // per action
    std::vector<std::size_t> sampled_;                                                   // per sample
    std::vector<T> old_, log_probability_, kl_channel_, mixed_, loss_, slope_;
    std::vector<T> values_, means_, weights_, multiplier_gradient_; // per reward
    std::vector<T> channels_, gradient_;
};

} // namespace poise::solver
