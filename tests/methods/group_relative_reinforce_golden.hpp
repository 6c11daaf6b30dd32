#pragma once

#include "golden.hpp"

#include "poise/estimator/baselines.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/pairwise_consistency.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/objective/score_surrogate.hpp"
#include "poise/penalty/forward_kl.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/solver/offline_flow.hpp"
#include "poise/weighting/balanced_drop.hpp"

/// The golden functions of group-relative-reinforce, stage by stage, once for every scalar and execution;
/// group_relative_reinforce_theorems_test.cpp has them in pipelines.
namespace group_relative_reinforce_test {

using namespace poise;
using golden::json;
namespace region = trust_region::region;
namespace score_weight = trust_region::score_weight;

inline golden::method const method{"group-relative-reinforce"};

[[noreturn]] inline void unknown(std::string const& what, json const& name) {
    throw std::runtime_error("unknown " + what + " " + name.dump());
}

/// The mean and deviation of the rollouts that count; 0 and 1 of fewer than two.
struct moments {
    constexpr void operator()(row_of_reals auto reward, row_of_reals auto mask, writable_row auto centered,
                              writable_row auto mean, writable_row auto deviation) const {
        using T = value_of<decltype(centered)>;
        estimator::center(centered, reward, mask);
        auto const count = estimator::counted_elements<T>(reward.size(), mask);
        auto const few = count <= T(1);
        mean[0] = math::select(few, T(0), T(weighted_sum(mask, reward)) / count);
        deviation[0] = math::select(
            few, T(1), estimator::standard_deviation_of_centered<estimator::deviation::population>(centered, mask));
    }
};

/// One case as a batch of equal rows, so that lanes and chunks are filled; the answer is the last row's.
template <class T, class Execution>
struct runner {
    static constexpr std::size_t copies = 9;

    struct rows {
        std::vector<T> all;
        explicit rows(std::vector<T> const& row) {
            for (std::size_t i = 0; i < copies; ++i) all.insert(all.end(), row.begin(), row.end());
        }
        explicit rows(json const& value) : rows(golden::flat<T>(value)) {}
        explicit rows(std::size_t length) : all(copies * length) {}
        std::size_t length() const { return all.size() / copies; }
        std::vector<T> last() const { return {all.end() - static_cast<std::ptrdiff_t>(length()), all.end()}; }
        auto in() const { return rows_of(all.data(), copies, length()); }
        auto out() { return rows_of(all.data(), copies, length()); }
    };
    template <class Kernel, class... Inputs>
    static rows run(Kernel const& kernel, Inputs const&... inputs) {
        auto result = std::get<0>(std::tie(inputs...));
        for_each_row(Execution{}, kernel, inputs.in()..., result.out());
        return result;
    }

    /// Losses and gradients of stages that write both, added up, then their mean where the mask is 1.
    class objective_of {
    public:
        explicit objective_of(std::size_t length) : loss_(length), gradient_(length) {}
        template <class Kernel, class... Inputs>
        void add(Kernel const& kernel, Inputs const&... inputs) {
            auto loss = rows(loss_.size()), gradient = loss;
            for_each_row(Execution{}, kernel, inputs.in()..., loss.out(), gradient.out());
            for (std::size_t k = 0; k < loss_.size(); ++k) {
                loss_[k] += loss.last()[k];
                gradient_[k] += gradient.last()[k];
            }
        }
        std::pair<T, std::vector<T>> mean(std::vector<T> const& mask) const {
            auto const count = sum(row(mask));
            auto gradient = gradient_;
            for (std::size_t k = 0; k < gradient.size(); ++k) gradient[k] *= mask[k] / count;
            return {weighted_sum(row(mask), row(loss_)) / count, gradient};
        }

    private:
        std::vector<T> loss_, gradient_;
    };

    static json pairwise_surrogate(json const& in, json const& params) {
        auto const rewards = rows(in["rewards"]), log_p = rows(in["logp"]), reference = rows(in["logp_ref"]);
        auto const weights =
            golden::left_out(in, "weights") ? rows(std::vector<T>(rewards.length(), T(1))) : rows(in["weights"]);
        auto loss = rewards, gradient = rewards, a = rewards;
        auto const kernel = objective::pairwise_consistency{.temperature = params["tau"]};
        if (golden::left_out(in, "weights"))
            for_each_row(Execution{}, kernel, rewards.in(), log_p.in(), reference.in(), loss.out(), gradient.out(),
                         a.out());
        else
            for_each_row(Execution{}, kernel, rewards.in(), log_p.in(), reference.in(), loss.out(), gradient.out(),
                         a.out(), weights.in());
        auto const n = T(rewards.length()); // the mean of weight times loss, and its gradient
        auto slope = gradient.last();
        for (std::size_t k = 0; k < slope.size(); ++k) slope[k] *= weights.last()[k] / n;
        return {
            {"loss", weighted_sum(row(weights.last()), row(loss.last())) / n}, {"grad_logp", slope}, {"a", a.last()}};
    }

    static json rep_losses(json const& in, json const& params) {
        auto const beta = params["beta"].get<double>();
        auto const rewards = rows(in["rewards"]), log_p = rows(in["logp"]), old = rows(in["old_logp"]);
        auto const all = std::vector<T>(rewards.length(), T(1));
        auto reinforce = objective_of(rewards.length()), asymre = reinforce;
        reinforce.add(objective::policy_gradient{}, log_p, run(estimator::centered{}, rewards));
        asymre.add(objective::policy_gradient{}, log_p, run(estimator::shifted_mean{.shift = -beta}, rewards));
        auto opmd = reinforce;
        opmd.add(penalty::kl_k2{.coefficient = beta}, log_p, old);
        auto const [r, grad_r] = reinforce.mean(all);
        auto const [o, grad_o] = opmd.mean(all);
        auto const [s, grad_s] = asymre.mean(all);
        return {{"reinforce", r},           {"opmd", o},           {"asymre", s},
                {"grad_reinforce", grad_r}, {"grad_opmd", grad_o}, {"grad_asymre", grad_s}};
    }

    static json baselines(json const& in, json const& params) {
        auto const rewards = rows(in["rewards"]);
        auto const advantages = [&](auto const& estimator) { return run(estimator, rewards).last(); };
        return {{"asymre", advantages(estimator::shifted_mean{.shift = params["baseline_shift"]})},
                {"opmd_mean", advantages(estimator::centered{})},
                {"opmd_logavgexp", advantages(estimator::log_mean_exp_baseline{.temperature = params["tau"]})}};
    }

    static json rec_advantages(json const& in, json const& params) {
        auto const rewards = rows(in["rewards"]);
        auto keep = rows(std::vector<T>(rewards.length(), T(1)));
        if (!golden::left_out(params, "drop") && !golden::left_out(in, "neg_perm")) {
            if (params["drop"] != "balance") unknown("drop", params["drop"]);
            // the negative rollout that the permutation names at place k has the key k
            auto const reward = rewards.last();
            auto negatives = std::vector<std::size_t>{};
            for (std::size_t k = 0; k < reward.size(); ++k)
                if (reward[k] < mean(row(reward))) negatives.push_back(k);
            auto key = std::vector<T>(reward.size());
            for (std::size_t k = 0; k < negatives.size(); ++k) key[negatives[in["neg_perm"][k]]] = T(k);
            keep = run(weighting::balanced_drop{}, rewards, rows(key));
        }
        auto advantages = rewards, centered = rewards;
        auto mean = std::vector<T>(copies), deviation = mean;
        if (!params["std_normalize"]) unknown("std_normalize", params["std_normalize"]);
        for_each_row(Execution{},
                     estimator::group_relative<estimator::deviation::population, estimator::singleton::uncentered>{
                         params["epsilon"]},
                     rewards.in(), advantages.out(), keep.in());
        for_each_row(Execution{}, moments{}, rewards.in(), keep.in(), centered.out(), mean, deviation);
        return {
            {"advantages", advantages.last()}, {"keep", keep.last()}, {"mean", mean.back()}, {"std", deviation.back()}};
    }

    template <class Region, class Weight>
    static json rec_loss_of(Region const& region, Weight const& weight, json const& in, json const& params) {
        auto const log_p = rows(in["logp"]), old = rows(in["old_logp"]), advantages = rows(in["advantages"]),
                   mask = rows(in["mask"]);
        auto const coefficient = params["regularizer_coef"].get<double>();
        auto objective = objective_of(log_p.length());
        objective.add(objective::score_surrogate<Region, Weight>{region, weight}, log_p, old, advantages);
        if (params["regularizer"] == "k2")
            objective.add(penalty::kl_k2{.coefficient = 2 * coefficient}, log_p, old);
        else if (params["regularizer"] == "forward-kl")
            objective.add(penalty::forward_kl{.coefficient = coefficient}, log_p);
        else if (params["regularizer"] != "none")
            unknown("regularizer", params["regularizer"]);
        auto fraction = rows(1);
        for_each_row(Execution{}, metric::outside_fraction<Region>{region}, log_p.in(), old.in(), advantages.in(),
                     fraction.out(), mask.in());
        auto const [loss, gradient] = objective.mean(mask.last());
        return {{"loss", loss},
                {"grad_logp", golden::rows(gradient, in["logp"][0].size())},
                {"clip_fraction", fraction.all.back()}};
    }
    /// The compositions in the file.
    static json rec_loss(json const& in, json const& params) {
        auto const low = params["epsilon_low"].get<double>(), high = params["epsilon_high"].get<double>();
        auto const one_sided = region::one_sided{low, high};
        if (params["clip_mode"] == "one-side" && params["weight"] == "none")
            return rec_loss_of(one_sided, score_weight::none{}, in, params);
        if (params["clip_mode"] == "one-side" && params["weight"] == "importance_sampling")
            return rec_loss_of(one_sided, score_weight::importance_ratio{}, in, params);
        if (params["clip_mode"] == "ring" && params["weight"] == "advantage")
            return rec_loss_of(region::ring{low, high, params["epsilon_low_prime"], params["epsilon_high_prime"]},
                               score_weight::exponential_advantage{params["temp"]}, in, params);
        unknown("clip_mode and weight", params);
    }

    static json offline_rates(json const& in, json const& params) {
        auto const mu = rows(in["mu"]), rewards = rows(in["rewards"]);
        auto rates = mu, limit = mu, limit_arm = rows(1), best_arm = rows(1);
        for_each_row(Execution{}, solver::offline_flow{.temperature = params["temp"]}, mu.in(), rewards.in(),
                     rates.out(), limit_arm.out(), best_arm.out(), limit.out());
        return {{"rates", rates.last()},
                {"limit_arm", limit_arm.all.back()},
                {"best_arm", best_arm.all.back()},
                {"red_weight_limit", limit.last()}};
    }

    static golden::functions functions() {
        return {{"pairwise_surrogate", pairwise_surrogate},
                {"rep_losses", rep_losses},
                {"group_baseline_advantages", baselines},
                {"rec_advantages", rec_advantages},
                {"rec_loss", rec_loss},
                {"offline_reinforce_rates", offline_rates}};
    }
};

template <class T>
void check_in_every_execution(std::string const& type, double least_tolerance) {
    golden::check(method, type + ", sequential", runner<T, execution::sequential>::functions(), least_tolerance);
    golden::check(method, type + ", in_lanes", runner<T, execution::in_lanes>::functions(), least_tolerance);
    golden::check(method, type + ", along", runner<T, execution::along>::functions(), least_tolerance);
    golden::check(method, type + ", parallel", runner<T, execution::parallel<>>::functions(), least_tolerance);
}

} // namespace group_relative_reinforce_test
