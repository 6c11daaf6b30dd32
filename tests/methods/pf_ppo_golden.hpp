#pragma once

#include "golden.hpp"

#include "poise/execution/evaluate.hpp"
#include "poise/metric/binned_r_squared.hpp"
#include "poise/objective/aggregation.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/pipeline.hpp"
#include "poise/policy/filtered.hpp"
#include "poise/weighting/reward_power.hpp"
#include "poise/weighting/reward_rank.hpp"

/// The golden functions of pf-ppo, once for every scalar and execution.
namespace pf_ppo_test {

using namespace poise;
using golden::json;
namespace filter = weighting::filter;

inline golden::method const pf_ppo{"pf-ppo"};

template <class Visit>
json with_filter(json const& params, Visit const& visit) {
    auto const name = params.at("strategy").get<std::string>();
    if (name == "none") return visit(filter::all{});
    if (name == "bon") return visit(filter::best{});
    if (name == "br") return visit(filter::best_and_random{});
    if (name != "bw") throw std::runtime_error("unknown strategy '" + name + "'");
    return visit(filter::best_and_worst{});
}

/// One case as a batch of equal rows, so that lanes and chunks are filled; the answer is the last row's.
template <class T, class Execution>
struct runner {
    static constexpr std::size_t copies = 9;

    struct rows {
        std::vector<T> all;
        explicit rows(json const& value) {
            auto const one = golden::flat<T>(value);
            for (std::size_t i = 0; i < copies; ++i) all.insert(all.end(), one.begin(), one.end());
        }
        explicit rows(std::size_t length) : all(copies * length) {}
        std::size_t length() const { return all.size() / copies; }
        std::vector<T> last() const { return {all.end() - static_cast<std::ptrdiff_t>(length()), all.end()}; }
        auto in() const { return rows_of(all.data(), copies, length()); }
        auto out() { return rows_of(all.data(), copies, length()); }
    };

    static json filter_weights(json const& in, json const& params) {
        auto const rewards = rows(in["rewards"]);
        auto weights = rewards;
        return with_filter(params, [&]<class Filter>(Filter) -> json {
            for_each_row(Execution{}, weighting::reward_rank<Filter>{}, rewards.in(), weights.out());
            return {{"weights", weights.last()}};
        });
    }
    static json filter_power_weights(json const& in, json const& params) {
        auto const rewards = rows(in["rewards"]);
        auto weights = rewards;
        for_each_row(Execution{}, weighting::reward_power{params["power"]}, rewards.in(), weights.out());
        return {{"weights", weights.last()}};
    }
    static json filter_pick(json const& in, json const&) {
        auto const weights = rows(in["weights"]), uniforms = rows(in["u"]);
        auto indices = uniforms;
        for_each_row(Execution{}, weighting::pick_by_weight{}, weights.in(), uniforms.in(), indices.out());
        return {{"indices", indices.last()}};
    }
    static json filtered_policy(json const& in, json const& params) {
        auto const policy = rows(in["policy"]), rewards = rows(in["rewards"]);
        auto filtered = policy;
        return with_filter(params, [&]<class Filter>(Filter) -> json {
            for_each_row(Execution{}, policy::filtered<Filter>{params["n"]}, policy.in(), rewards.in(), filtered.out());
            return {{"policy", filtered.last()}};
        });
    }
    static json filter_r_squared(json const& in, json const& params) {
        auto const rewards = rows(in["rewards"]), scores = rows(in["scores"]);
        auto r_squared = rows(1), slope = r_squared, intercept = r_squared;
        auto const groups = params["bins"].get<std::size_t>();
        for_each_row(Execution{}, metric::binned_r_squared{groups}, rewards.in(), scores.in(), r_squared.out(),
                     slope.out(), intercept.out());
        return {{"r2", r_squared.all.back()},
                {"slope", slope.all.back()},
                {"intercept", intercept.all.back()},
                {"n", groups == 0 ? rewards.length() : groups}};
    }

    /// The rows of the pipeline are the prompts; the mean over all copies has the gradient of one over their number.
    static json filtered_clip_loss(json const& in, json const& params) {
        auto const log_p = rows(in["logp"]), old = rows(in["old_logp"]), advantages = rows(in["advantages"]),
                   weights = rows(in["weights"]);
        auto const prompts = in["logp"].size(), samples = in["logp"][0].size();
        auto gradient = log_p;
        auto objectives = std::vector<T>(copies * prompts);
        auto const view = [&](auto& of) { return rows_of(of.all.data(), copies * prompts, samples); };
        evaluate(Execution{},
                 objective::clipped_surrogate{.low = params["clip"], .high = params["clip"]} | aggregation::sum{},
                 inputs(field::log_probability = view(log_p), field::old_log_probability = view(old),
                        field::advantage = view(advantages), field::weight = view(weights)),
                 outputs(field::objective = objectives, field::gradient<field::log_probability> = view(gradient)));
        auto slope = gradient.last();
        for (auto& g : slope) g *= T(copies);
        return {{"loss", mean(row<T const>(objectives))}, {"grad_logp", golden::rows(slope, samples)}};
    }

    static golden::functions functions() {
        return {{"filter_weights", filter_weights},     {"filter_power_weights", filter_power_weights},
                {"filter_pick", filter_pick},           {"filtered_policy", filtered_policy},
                {"filter_r_squared", filter_r_squared}, {"filtered_clip_loss", filtered_clip_loss}};
    }
};

/// In float, 1e-7 of relative error in each of some ten operations; powers multiply it by 5.
template <class Execution>
void check_golden(std::string const& label) {
    golden::check(pf_ppo, "double, " + label, runner<double, Execution>::functions());
    golden::check(pf_ppo, "float, " + label, runner<float, Execution>::functions(), 5e-6);
}

} // namespace pf_ppo_test
