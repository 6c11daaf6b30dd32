#pragma once

#include "experiment.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/metric/proxy_point.hpp"
#include "poise/policy/mlp.hpp"
#include "poise/policy/softmax_policy.hpp"
#include "poise/reward/correlated.hpp"
#include "poise/solver/constrained_ppo.hpp"
#include "poise/solver/nelder_mead.hpp"
#include "poise/solver/threshold_search.hpp"

#include <array>
#include <cmath>
#include <string>

/// A world in which two correlated reward models are over-optimised: 400 responses, a gold score that peaks at mean
/// rewards of (0.62, 0.66), and a reference policy far below.
namespace constrained_rlhf_gallery {

using namespace poise;

inline constexpr auto actions = std::size_t{400};
inline constexpr auto features = std::size_t{5};
inline constexpr auto peak = std::array{0.62, 0.66};

/// One draw of rewards and features.
struct world {
    std::vector<double> rewards;  ///< r_1, then r_2
    std::vector<double> features; ///< feature after feature
    std::vector<double> reference;

    world(std::size_t seed, double correlation) {
        auto const draws = random::generator{.seed = seed};
        rewards = reward::correlated_rewards<double>(actions, correlation, draws.at(0));
        for (std::size_t i = 0; i < 2; ++i)
            for (std::size_t k = 0; k < actions; ++k) features.push_back(rewards[i * actions + k] - 0.5);
        for (std::size_t i = 2; i < constrained_rlhf_gallery::features; ++i)
            for (std::size_t k = 0; k < actions; ++k) features.push_back(0.5 * random::normal<double>(draws.at(i, k)));
        reference.resize(actions);
        for (std::size_t k = 0; k < actions; ++k) reference[k] = -3 * (rewards[k] + rewards[actions + k]);
        softmax(row<double>(reference), row<double const>(reference));
    }
};

/// Log-linear from the reference: log pi = log pi_0 + sum_f w_f phi_f - log Z, w = 0 at the start.
class log_linear : public policy::softmax_policy<log_linear, double> {
    using base = policy::softmax_policy<log_linear, double>;
    using constant = along_row<double const, constrained_rlhf_gallery::actions>;

public:
    using base::pullback;

    explicit log_linear(world const& of) : features_(of.features), offset_(of.reference) {
        for (auto& p : offset_) p = std::log(p);
    }
    std::size_t actions() const { return offset_.size(); }
    row<double> parameters() { return weights_; }
    row<double const> parameters() const { return weights_; }
    auto logits(std::size_t) const {
        return computed_row(actions(), [this](std::size_t k) {
            auto z = offset_[k];
            for (std::size_t f = 0; f < features; ++f) z += weights_[f] * feature(f)[k];
            return z;
        });
    }
    void add_logit_gradient(std::size_t, row_of_reals auto slope, row<double> gradient) const {
        for (std::size_t f = 0; f < features; ++f) gradient[f] += weighted_sum(slope, feature(f));
    }
    // The same as the base's, in packs along the actions.
    void log_probabilities(std::size_t, writable_row auto out) const {
        copy(out, constant(offset_.data()));
        for (std::size_t f = 0; f < features; ++f)
            map(out, [w = weights_[f]](auto z, auto x) { return z + w * x; }, out, feature(f));
        log_softmax(out, out);
    }
    void pullback(std::size_t context, row_of_reals auto cotangent, row<double> gradient) const {
        auto values = std::array<double, constrained_rlhf_gallery::actions>{};
        auto const slope = along_row<double>(values);
        log_probabilities(context, slope);
        auto const total = sum(cotangent);
        map(slope, [=](auto log_p, auto c) { return c - math::exp(log_p) * total; }, slope, cotangent);
        add_logit_gradient(context, slope, gradient);
    }

private:
    constant feature(std::size_t f) const { return constant(features_.data() + f * offset_.size()); }

    std::vector<double> features_, offset_;
    std::array<double, features> weights_{};
};

/// The same with a network in place of the sum: log pi = log pi_0 + f(phi) - log Z, whose last layer is 0 at the start.
class neural : public policy::softmax_policy<neural, double> {
    using network = policy::mlp<double, policy::dense<features, 16, policy::activation::tanh>, policy::dense<16, 1>>;

public:
    neural(world const& of, std::size_t seed) : inputs_(actions() * features), offset_(of.reference) {
        for (std::size_t f = 0; f < features; ++f)
            for (std::size_t k = 0; k < actions(); ++k) inputs_[k * features + f] = of.features[f * actions() + k];
        for (auto& p : offset_) p = std::log(p);
        network_.initialize(policy::initialization::glorot{}, {.seed = seed});
        auto const last = network_.parameters();
        for (std::size_t k = last.size() - 17; k < last.size(); ++k) last[k] = 0;
    }
    std::size_t actions() const { return constrained_rlhf_gallery::actions; }
    auto parameters() { return network_.parameters(); }
    auto parameters() const { return network_.parameters(); }
    row<double const> logits(std::size_t) const {
        auto const scores = network_.forward(rows_of(inputs_.data(), actions(), features), tape_);
        map(
            along_row<double>(logits_), [](auto z, auto score) { return z + score; }, along_row<double const>(offset_),
            along_row<double const>(scores.data(), actions()));
        return logits_;
    }
    void add_logit_gradient(std::size_t, row_of_reals auto slope, row<double> gradient) const {
        copy(along_row<double>(slope_), slope);
        network_.pullback(tape_, rows_of(std::as_const(slope_).data(), actions(), 1), gradient);
    }

private:
    std::vector<double> inputs_, offset_; // features of an action after those of another
    network network_;
    mutable network::tape tape_{actions()}; // of the last forward pass, which is that of these logits
    mutable std::vector<double> logits_ = std::vector<double>(actions()), slope_ = logits_;
};

inline double gold(std::span<double const> v) {
    auto const a = v[0] - peak[0], b = v[1] - peak[1];
    return 1 - 4 * (a * a + b * b) - 2 * a * b;
}

/// What a run went through: mean rewards and gold score after every iteration.
struct history {
    std::vector<double> first, second, gold;

    double best() const { return *std::max_element(gold.begin(), gold.end()); }
    static double last(std::vector<double> const& values) { // mean over the last 20 iterations
        auto total = 0.0;
        for (auto k = values.size() - 20; k < values.size(); ++k) total += values[k] / 20;
        return total;
    }
};

template <class Weighing, class Policy = log_linear>
using program = solver::constrained_ppo<Policy, Weighing, estimator::centered>;

template <class Weighing, class Policy>
program<Weighing, Policy> make_program(Policy start, world const& of, std::vector<double> thresholds, std::size_t seed,
                                       double learning_rate = 0.05) {
    typename program<Weighing, Policy>::settings chosen{.penalty = {.initial = 0.1},
                                                        .rule = {.learning_rate = learning_rate}};
    chosen.multiplier_rule.rule.rule.learning_rate = 0.02;
    return {std::move(start), of.reference, of.rewards, std::move(thresholds), {.seed = seed}, chosen};
}

template <class Program>
history train(Program& trained, std::size_t iterations) {
    auto result = history{};
    while (trained.steps() < iterations) {
        trained.step();
        result.first.push_back(trained.values()[0]);
        result.second.push_back(trained.values()[1]);
        result.gold.push_back(constrained_rlhf_gallery::gold(trained.values()));
    }
    return result;
}

inline gallery::method const method{
    .slug = "constrained-rlhf",
    .title = "Constrained RLHF",
    .paper =
        "Moskovitz et al., 2023: Confronting Reward Model Overoptimization with Constrained RLHF (arXiv 2310.04373)"};

} // namespace constrained_rlhf_gallery
