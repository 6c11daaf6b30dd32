#pragma once

#include "golden.hpp"

#include "poise/estimator/component_rewards.hpp"
#include "poise/estimator/generalized_advantage.hpp"
#include "poise/estimator/kl_shaped_reward.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/estimator/optimal_value.hpp"
#include "poise/estimator/whitened.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/metric/clip_fractions.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/clipped_value_loss.hpp"
#include "poise/objective/optimal_advantage_regression.hpp"
#include "poise/objective/surrogate.hpp"
#include "poise/objective/value_loss.hpp"
#include "poise/objective/weighted.hpp"
#include "poise/penalty/importance_corrected_kl.hpp"
#include "poise/solver/adaptive_entropy.hpp"
#include "poise/solver/prioritized_replay.hpp"
#include "poise/weighting/off_policy_sequence.hpp"
#include "poise/weighting/sampling_correction.hpp"
#include "poise/weighting/top_entropy.hpp"

#include <algorithm>
#include <numeric>

/// The golden functions of catalogue-policy-losses, each in an execution and a scalar.
namespace catalogue {

using namespace poise;
using golden::flat;
using golden::json;
using golden::left_out;

/// The table of normalisers, chosen at run time by the library's aggregations.
struct normalizer {
    enum kind { mean_of_sequences, constant_length, constant_count, sum_of_sequences } of;
    double constant = 1, accumulation_steps = 1;

    using reads = fields<>;
    using writes = fields<>;
    using scope = per_sequence;
    template <class T>
    constexpr T factor(aggregation::counts<T> const& counts) const {
        auto const all = [&] {
            switch (of) {
            case mean_of_sequences:
                return aggregation::mean_of_sequences{}.factor(counts);
            case constant_length:
                return aggregation::constant_length{constant}.factor(counts);
            case constant_count:
                return aggregation::constant_count{constant}.factor(counts);
            default:
                return aggregation::sum_of_sequences{}.factor(counts);
            }
        }();
        return all / T(real_of<T>(accumulation_steps));
    }
};

inline double number(json const& params, char const* name, double otherwise) {
    return params.contains(name) && !params[name].is_null() ? params[name].get<double>() : otherwise;
}

template <class T, class Execution>
struct functions_in {
    using numbers = std::vector<T>;

    /// B sequences of the same number of tokens.
    struct token_batch {
        std::size_t sequences, tokens;
        explicit token_batch(json const& of) : sequences(of.size()), tokens(of.at(0).size()) {}
        auto of_tokens(auto& values) const { return sequences_of(one_row(values), sequences); }
        auto rows(auto& values) const { return rows_of(values.data(), sequences, tokens); }
        std::size_t size() const { return sequences * tokens; }
        json table(numbers const& values) const { return golden::rows(values, tokens); }
        numbers given(json const& inputs, char const* name, numbers const& otherwise) const {
            return inputs.contains(name) && !inputs[name].is_null() ? broadcast(flat<T>(inputs[name])) : otherwise;
        }
        /// (B, 1) or (B, T) as (B, T)
        numbers broadcast(numbers const& values) const {
            auto result = numbers(size());
            for (std::size_t k = 0; k < size(); ++k) result[k] = values[values.size() == size() ? k : k / tokens];
            return result;
        }
    };
    static T total(numbers const& values) { return std::accumulate(values.begin(), values.end(), T(0)); }

    // ---- 1. advantages

    template <std::size_t K>
    static numbers advantages_of(json const& inputs, std::size_t group, auto const& pipeline, auto... more) {
        auto const rewards = flat<T>(inputs.at("rewards"));
        auto const rows = rewards.size() / K / group;
        auto components = std::array<numbers, K>{};
        for (std::size_t k = 0; k < rewards.size(); ++k) components[k % K].push_back(rewards[k]);
        auto advantages = numbers(rewards.size() / K);
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            evaluate(Execution{}, pipeline,
                     inputs_of((field::component<I> = rows_of(std::as_const(components[I]).data(), rows, group))...,
                               more...),
                     outputs(field::advantage = rows_of(advantages.data(), rows, group)));
        }(std::make_index_sequence<K>{});
        return advantages;
    }
    static auto inputs_of(auto... named) { return poise::inputs(named...); }

    static std::array<double, 2> weights_of(json const& params) {
        if (left_out(params, "reward_weights")) return {1, 1};
        return {params["reward_weights"][0].get<double>(), params["reward_weights"][1].get<double>()};
    }

    static json group_advantages(json const& inputs, json const& params) {
        using estimator::group_relative, estimator::deviation::sample;
        auto const group = params.at("num_generations").get<std::size_t>();
        auto const sum = estimator::weighted_sum<2>{weights_of(params)};
        if (params.at("multi_objective_aggregation") == "normalize_then_sum")
            return {{"advantages",
                     advantages_of<2>(inputs, group,
                                      estimator::normalized_component<0>{} | estimator::normalized_component<1>{} |
                                          sum | over_batch(group_relative<sample>{1e-4}))}};
        auto const scale = params.at("scale_rewards").get<std::string>();
        if (scale == "group")
            return {{"advantages", advantages_of<2>(inputs, group, sum | group_relative<sample>{1e-4})}};
        if (scale == "batch")
            return {{"advantages", advantages_of<2>(inputs, group,
                                                    sum | estimator::centered{} |
                                                        over_batch(estimator::deviation_scale<sample>{1e-4}))}};
        return {{"advantages", advantages_of<2>(inputs, group, sum | estimator::centered{})}};
    }

    static json rloo_advantages(json const& inputs, json const& params) {
        auto const group = params.at("num_generations").get<std::size_t>();
        auto clip = estimator::clipped_reward{};
        if (!left_out(params, "reward_clip_range"))
            clip = {params["reward_clip_range"][0].get<double>(), params["reward_clip_range"][1].get<double>()};
        // A divergence of one token for each sequence is the sequence's.
        auto const divergence =
            inputs.contains("sequence_kl") ? flat<T>(inputs["sequence_kl"]) : numbers(inputs.at("rewards").size());
        auto const none = numbers(divergence.size());
        auto const tokens = [&](auto const& values) {
            return sequences_of(rows_of(values.data(), values.size() / group, group), group);
        };
        auto const stages = estimator::weighted_sum<2>{weights_of(params)} | clip |
                            estimator::kl_penalized_reward{number(params, "beta", 0.05)} | estimator::comparable{} |
                            estimator::leave_one_out{};
        using normalize = with_fields<estimator::group_relative<estimator::deviation::sample>, fields<field::advantage>,
                                      fields<field::advantage>>;
        auto const old = field::old_log_probability = tokens(divergence);
        auto const reference = field::reference_log_probability = tokens(none);
        if (params.value("normalize_advantages", false))
            return {{"advantages",
                     advantages_of<2>(inputs, group, stages | over_batch(normalize{{1e-4}}), old, reference)}};
        return {{"advantages", advantages_of<2>(inputs, group, stages, old, reference)}};
    }

    static json async_group_advantages(json const& inputs, json const&) {
        return {
            {"advantages", advantages_of<2>(inputs, inputs.at("rewards").size(),
                                            estimator::weighted_sum<2>{{1, 1}} |
                                                estimator::group_relative<estimator::deviation::population>{1e-8})}};
    }

    // ---- 4. factors

    static json sampling_correction_ratio(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("mask"));
        auto const old = flat<T>(inputs.at("old_logps")), sampling = flat<T>(inputs.at("sampling_logps")),
                   mask = flat<T>(inputs.at("mask"));
        auto const mode = params.value("mode", std::string("sequence_mask"));
        auto const least = number(params, "clip_min", 0);
        auto const most = left_out(params, "clip_max") ? math::infinity<double> : params["clip_max"].get<double>();
        auto const by_token = mode.starts_with("token"), truncates = mode.ends_with("truncate");
        auto ratio = numbers(by_token ? of.size() : of.sequences);
        auto const run = [&](auto const& stage) {
            auto const out = rows_of(ratio.data(), of.sequences, ratio.size() / of.sequences);
            for_each_row(Execution{}, stage, of.rows(old), of.rows(sampling), out, of.rows(mask));
        };
        using weighting::bound::truncated, weighting::bound::masked;
        if (by_token && truncates)
            run(weighting::token_sampling_correction<truncated>{least, most});
        else if (by_token)
            run(weighting::token_sampling_correction<masked>{least, most});
        else if (truncates)
            run(weighting::sequence_sampling_correction<truncated>{least, most});
        else
            run(weighting::sequence_sampling_correction<masked>{least, most});
        return {{"ratio", golden::rows(ratio, ratio.size() / of.sequences)}};
    }

    static json off_policy_mask(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("mask"));
        auto const advantages = flat<T>(inputs.at("advantages")), log_p = flat<T>(inputs.at("logps")),
                   sampling = flat<T>(inputs.at("sampling_logps")), mask = flat<T>(inputs.at("mask"));
        auto keep = numbers(of.sequences), divergence = keep;
        for_each_row(Execution{}, weighting::off_policy_sequence{params.at("threshold").get<double>()},
                     per_row(advantages), of.rows(log_p), of.rows(sampling), per_row(keep), per_row(divergence),
                     of.rows(mask));
        return {{"keep", golden::rows(keep, 1)}, {"mean_kl", divergence}};
    }

    static json entropy_mask(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("mask"));
        auto const entropy = flat<T>(inputs.at("entropies")), mask = flat<T>(inputs.at("mask"));
        return {{"mask", of.table(top_entropy_of(entropy, mask, params.at("top_entropy_quantile").get<double>()))}};
    }
    static numbers top_entropy_of(numbers const& entropy, numbers const& mask, double fraction) {
        auto weight = numbers(mask.size());
        for_each_row(Execution{}, weighting::top_entropy{fraction}, one_row(entropy), one_row(weight), one_row(mask));
        return weight;
    }

    struct gamma_of_sequence {
        trust_region::gamma_weight gamma;
        constexpr void check(auto const&...) const {}
        constexpr void operator()(row_of_reals auto advantage, row_of_reals auto log_ratio, row_of_reals auto zero,
                                  row_of_reals auto mask, row_of_reals auto sampling, writable_row auto phi) const {
            using V = value_of<decltype(phi)>;
            auto const log_w =
                ratio::sampled_sequence_sum{}.log_ratio(log_ratio, zero, advantage, mask, mask, sampling);
            phi[0] = gamma.weight(V(log_w), V(advantage[0]));
        }
    };
    static trust_region::gamma_weight gamma_by(json const& params, std::string const& prefix) {
        auto const of = [&](char const* name, double otherwise) {
            return number(params, (prefix + name).c_str(), otherwise);
        };
        return {of("k_pos", 2), of("lambda_pos", 3), of("k_neg", 3), of("lambda_neg", 2)};
    }
    static json gamma_weights(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("mask"));
        auto const advantages = flat<T>(inputs.at("advantages")), log_ratio = flat<T>(inputs.at("log_ratio")),
                   mask = flat<T>(inputs.at("mask")), zero = numbers(of.size()),
                   sampling = of.given(inputs, "importance_sampling_ratio", numbers(of.size(), T(1)));
        auto phi = numbers(of.sequences);
        for_each_row(Execution{}, gamma_of_sequence{gamma_by(params, "")}, per_row(advantages), of.rows(log_ratio),
                     of.rows(zero), of.rows(mask), of.rows(sampling), per_row(phi));
        return {{"phi", golden::rows(phi, 1)}};
    }

    // ---- 2, 3, 5, 6, 7. losses

    static json policy_loss(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("mask"));
        auto const type = params.value("loss_type", std::string("dapo"));
        auto const level = params.value("importance_sampling_level", std::string("token"));
        auto const ones = numbers(of.size(), T(1));
        auto const log_p = flat<T>(inputs.at("logps")), mask = flat<T>(inputs.at("mask")),
                   old = of.given(inputs, "old_logps", log_p), reference = of.given(inputs, "ref_logps", log_p),
                   sampling = of.given(inputs, "sampling_logps", old), entropy = of.given(inputs, "entropies", ones),
                   correction = of.given(inputs, "importance_sampling_ratio", ones),
                   advantages = flat<T>(inputs.at("advantages"));
        auto const steps = number(params, "accumulation_steps", 1);
        auto const by_batch = type == "dapo" || type == "cispo" || type == "vespo";
        auto const active = number(params, "num_items_in_batch", std::max(1.0, double(total(mask))));
        auto const normalize = [&]() -> normalizer {
            if (by_batch) return {normalizer::constant_count, active};
            if (type == "bnpo") return {normalizer::constant_count, std::max(1.0, double(total(mask))), steps};
            if (type == "dr_grpo")
                return {normalizer::constant_length, params.at("max_completion_length").get<double>(), steps};
            if (type == "luspo") return {normalizer::sum_of_sequences, 1, steps};
            return {normalizer::mean_of_sequences, 1, steps};
        }();
        auto const low = number(params, "epsilon_low", 0.2), high = number(params, "epsilon_high", low);
        auto const beta = number(params, "beta", 0);
        auto const fraction = number(params, "top_entropy_quantile", 1),
                   threshold = number(params, "off_policy_mask_threshold", 1e300);
        auto loss = numbers(1), gradient = numbers(of.size());

        auto const divergence = penalty::kl_k3{beta};

        auto const run = [&](auto const& stages, numbers const& weight, auto... more) {
            evaluate(Execution{}, stages | normalize,
                     poise::inputs(field::advantage = one_row(advantages), field::log_probability = of.of_tokens(log_p),
                                   field::old_log_probability = of.of_tokens(old),
                                   field::reference_log_probability = of.of_tokens(reference),
                                   field::surrogate_weight = of.of_tokens(weight), field::mask = of.of_tokens(mask),
                                   more...),
                     poise::outputs(field::objective = loss,
                                    field::gradient<field::log_probability> = of.of_tokens(gradient)));
        };
        auto const weights = [&] {
            auto keep = numbers(of.sequences), unused = keep, all = top_entropy_of(entropy, mask, fraction);
            for_each_row(Execution{}, weighting::off_policy_sequence{threshold}, per_row(advantages), of.rows(log_p),
                         of.rows(sampling), per_row(keep), per_row(unused), of.rows(mask));
            for (std::size_t k = 0; k < of.size(); ++k) all[k] *= keep[k / of.tokens];
            return all;
        }();
        auto corrected = weights;
        for (std::size_t k = 0; k < of.size(); ++k) corrected[k] *= correction[k];
        auto const clip = trust_region::two_sided{low, high, number(params, "delta", 1e300)};
        using objective::surrogate, trust_region::two_sided;
        if (params.value("use_bias_correction_kl", false)) {
            if (level != "token" || type == "cispo" || type == "sapo" || type == "vespo" || type == "luspo")
                throw std::runtime_error("not covered: corrected divergence with " + type + ", " + level);
            run(weighting::top_entropy{fraction} | weighting::off_policy_sequence{threshold} |
                    surrogate<ratio::token, two_sided>{.trust_region = clip} | penalty::importance_corrected_kl<>{beta},
                correction, field::sampling_log_probability = of.of_tokens(sampling),
                field::entropy = of.of_tokens(entropy));
        } else if (type == "cispo") {
            run(surrogate<ratio::token, trust_region::capped_weight>{.trust_region = {high}} | divergence, corrected);
        } else if (type == "sapo") {
            run(
                surrogate<ratio::token, trust_region::sigmoid>{
                    .trust_region = {number(params, "sapo_temperature_pos", 1),
                                     number(params, "sapo_temperature_neg", 1.05)}} |
                    divergence,
                corrected);
        } else if (type == "vespo") {
            run(surrogate<ratio::sampled_sequence_sum, trust_region::gamma_weight>{.trust_region =
                                                                                       gamma_by(params, "vespo_")} |
                    divergence,
                weights, field::sampling_ratio = of.of_tokens(correction)); // the correction is in the ratio
        } else if (level == "token") {
            run(surrogate<ratio::token, two_sided>{.trust_region = clip} | divergence, corrected);
        } else if (type == "luspo" && level == "sequence") {
            // A divergence counts as often as its response is long, in a mean over all columns.
            auto length = numbers(of.sequences);
            for (std::size_t k = 0; k < of.size(); ++k) length[k / of.tokens] += mask[k];
            auto const weighted = objective::weighted_by<field::length>(penalty::kl_k3{beta / double(of.tokens)});
            run(surrogate<ratio::sequence, two_sided>{.trust_region = clip} | weighted, corrected,
                field::length = one_row(length));
        } else if (level == "sequence") {
            run(surrogate<ratio::sequence, two_sided>{.trust_region = clip} | divergence, corrected);
        } else {
            run(surrogate<ratio::sequence_token, two_sided>{.trust_region = clip} | divergence, corrected);
        }

        auto result = json{{"loss", loss[0]}, {"grad_logps", of.table(gradient)}};
        if (auto const coefficient = number(params, "entropy_coef", 0); coefficient != 0) {
            auto entropy_mask = top_entropy_of(entropy, mask, fraction);
            auto const counts = by_batch ? active : std::max(1.0, double(total(entropy_mask)));
            auto bonus = numbers(1), slope = numbers(of.size());
            evaluate(Execution{},
                     objective::entropy_bonus{coefficient} |
                         normalizer{normalizer::constant_count, counts, by_batch ? 1 : steps},
                     poise::inputs(field::entropy = of.of_tokens(entropy), field::mask = of.of_tokens(entropy_mask)),
                     poise::outputs(field::objective = bonus, field::gradient<field::entropy> = of.of_tokens(slope)));
            result["loss"] = loss[0] + bonus[0];
            result["grad_entropies"] = of.table(slope);
        }
        return result;
    }

    static json gmpo_loss(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("mask"));
        auto const log_p = flat<T>(inputs.at("logps")), old = flat<T>(inputs.at("old_logps")),
                   advantages = flat<T>(inputs.at("advantages")), mask = flat<T>(inputs.at("mask")),
                   reference = of.given(inputs, "ref_logps", log_p),
                   entropy = of.given(inputs, "entropies", numbers(of.size(), T(1)));
        auto const ratio =
            ratio::clipped_geometric_mean{number(params, "epsilon_low", 0.4), number(params, "epsilon_high", 0.4)};
        auto const selected = top_entropy_of(entropy, mask, number(params, "top_entropy_quantile", 1));
        auto loss = numbers(1), gradient = numbers(of.size()), surrogate_loss = gradient, unused = gradient;
        evaluate(
            Execution{},
            objective::surrogate<ratio::clipped_geometric_mean, trust_region::unclipped>{.ratio = ratio} |
                penalty::kl_k3{number(params, "beta", 0)} | aggregation::mean_of_sequences{},
            poise::inputs(field::advantage = one_row(advantages), field::log_probability = of.of_tokens(log_p),
                          field::old_log_probability = of.of_tokens(old),
                          field::reference_log_probability = of.of_tokens(reference),
                          field::surrogate_weight = of.of_tokens(selected), field::mask = of.of_tokens(mask)),
            poise::outputs(field::objective = loss, field::gradient<field::log_probability> = of.of_tokens(gradient)));
        // rho is the loss of the advantage -1 clipped as by the sequence's own sign: the loss over -A
        for_each_row(Execution{},
                     objective::surrogate<ratio::clipped_geometric_mean, trust_region::unclipped>{.ratio = ratio},
                     of.rows(log_p), of.rows(old), per_row(advantages), of.rows(mask), of.rows(selected),
                     of.rows(surrogate_loss), of.rows(unused));
        auto weights = numbers(of.sequences);
        for (std::size_t i = 0; i < of.sequences; ++i) weights[i] = -surrogate_loss[i * of.tokens] / advantages[i];
        return {{"loss", loss[0]}, {"grad_logps", of.table(gradient)}, {"weights", weights}};
    }

    static json rloo_loss(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("mask"));
        auto const log_p = flat<T>(inputs.at("logps")), old = flat<T>(inputs.at("old_logps")),
                   advantages = flat<T>(inputs.at("advantages")), mask = flat<T>(inputs.at("mask"));
        auto loss = numbers(1), gradient = numbers(of.size());
        evaluate(
            Execution{},
            objective::surrogate<ratio::sequence_sum>{
                .trust_region = {number(params, "epsilon_low", 0.2), number(params, "epsilon_high", 0.2)}} |
                aggregation::mean_of_sequences{},
            poise::inputs(field::advantage = one_row(advantages), field::log_probability = of.of_tokens(log_p),
                          field::old_log_probability = of.of_tokens(old), field::mask = of.of_tokens(mask)),
            poise::outputs(field::objective = loss, field::gradient<field::log_probability> = of.of_tokens(gradient)));
        return {{"loss", loss[0]}, {"grad_logps", of.table(gradient)}};
    }

    static json clip_fractions(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("mask"));
        auto const log_p = flat<T>(inputs.at("logps")), old = flat<T>(inputs.at("old_logps")),
                   advantages = flat<T>(inputs.at("advantages")), mask = flat<T>(inputs.at("mask"));
        auto const low = number(params, "epsilon_low", 0.2), high = number(params, "epsilon_high", low),
                   dual = number(params, "delta", math::infinity<double>);
        auto below = numbers(of.sequences), above = below, count = below;
        auto const by_sequence = params.value("importance_sampling_level", std::string("token")) == "sequence";
        auto const run = [&](auto const& stage) {
            for_each_row(Execution{}, stage, of.rows(log_p), of.rows(old), per_row(advantages), of.rows(mask),
                         per_row(below), per_row(above));
        };
        if (by_sequence)
            run(metric::clip_fractions<ratio::sequence>{low, high, dual});
        else
            run(metric::clip_fractions<ratio::token>{low, high, dual});
        auto least = T(1), most = T(0), lows = T(0), highs = T(0);
        for (std::size_t i = 0; i < of.sequences; ++i) {
            count[i] = by_sequence ? T(1)
                                   : total({mask.begin() + std::ptrdiff_t(i * of.tokens),
                                            mask.begin() + std::ptrdiff_t((i + 1) * of.tokens)});
            if (count[i] == 0) continue;
            least = std::min(least, below[i]);
            most = std::max(most, above[i]);
            lows += count[i] * below[i];
            highs += count[i] * above[i];
        }
        auto const all = total(count);
        return {{"low_mean", lows / all},
                {"high_mean", highs / all},
                {"region_mean", (lows + highs) / all},
                {"low_min", least},
                {"high_max", most}};
    }

    // ---- 8. PPO

    static json ppo_advantages(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("logps"));
        auto const log_p = flat<T>(inputs.at("logps")), reference = flat<T>(inputs.at("ref_logps")),
                   values = flat<T>(inputs.at("values")), scores = flat<T>(inputs.at("scores"));
        auto const [length, mask, mask_of_values] = masks_of(of, inputs);
        auto rewards = numbers(of.size()), returns = rewards, advantages = rewards;
        auto const shape = [&](auto const& stage) {
            for_each_row(Execution{}, stage, per_row(scores), per_row(length), of.rows(log_p), of.rows(reference),
                         of.rows(rewards));
        };
        auto const coefficient = number(params, "kl_coef", 0.05);
        if (params.value("kl_estimator", std::string("k1")) == "k3")
            shape(estimator::kl_shaped_reward<penalty::k3>{coefficient});
        else
            shape(estimator::kl_shaped_reward<penalty::k1>{coefficient});
        if (params.value("whiten_rewards", false))
            for_each_row(Execution{}, estimator::whitened{.keep_mean = true}, one_row(std::as_const(rewards)),
                         one_row(rewards), one_row(mask_of_values));
        auto const never = numbers(of.size()), nothing_after = numbers(of.sequences);
        for_each_row(Execution{},
                     estimator::generalized_advantage{number(params, "gamma", 1), number(params, "lam", 0.95)},
                     of.rows(std::as_const(rewards)), of.rows(values), of.rows(never), per_row(nothing_after),
                     of.rows(advantages), of.rows(returns), of.rows(mask_of_values));
        for_each_row(Execution{}, estimator::whitened{}, one_row(std::as_const(advantages)), one_row(advantages),
                     one_row(mask));
        return {{"rewards", of.table(rewards)}, {"returns", of.table(returns)}, {"advantages", of.table(advantages)}};
    }
    /// Lengths of responses, their tokens, and these with the one after.
    static std::array<numbers, 3> masks_of(token_batch const& of, json const& inputs) {
        auto result = std::array{numbers{}, numbers(of.size()), numbers(of.size())};
        for (std::size_t i = 0; i < of.sequences; ++i) {
            auto const last = inputs.at("last_index")[i].template get<std::size_t>();
            result[0].push_back(T(last + 1));
            for (std::size_t t = 0; t < of.tokens; ++t) {
                result[1][i * of.tokens + t] = t <= last;
                result[2][i * of.tokens + t] = t <= last + 1;
            }
        }
        return result;
    }

    static json ppo_loss(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("logps"));
        auto const log_p = flat<T>(inputs.at("logps")), old = flat<T>(inputs.at("old_logps")),
                   advantages = flat<T>(inputs.at("advantages")), value = flat<T>(inputs.at("values")),
                   old_value = flat<T>(inputs.at("old_values")), returns = flat<T>(inputs.at("returns"));
        auto const [length, mask, mask_of_values] = masks_of(of, inputs);
        auto const range = number(params, "cliprange", 0.2), coefficient = number(params, "vf_coef", 0.1),
                   value_range = number(params, "cliprange_value", 0.2);
        auto policy = numbers(1), of_value = policy, value_fraction = policy;
        auto low = numbers(1), high = low, gradient = numbers(of.size()), value_gradient = gradient;
        evaluate(
            Execution{},
            objective::clipped_surrogate{range, range} | metric::clip_fractions<>{range, range} | aggregation::mean{},
            poise::inputs(field::log_probability = one_row(log_p), field::old_log_probability = one_row(old),
                          field::advantage = one_row(advantages), field::mask = one_row(mask)),
            poise::outputs(field::objective = policy, field::low_clip_fraction = low, field::high_clip_fraction = high,
                           field::gradient<field::log_probability> = one_row(gradient)));
        evaluate(Execution{},
                 objective::clipped_value_loss{coefficient, value_range} | metric::value_clip_fraction{value_range} |
                     aggregation::mean{},
                 poise::inputs(field::value = one_row(value), field::old_value = one_row(old_value),
                               field::returns = one_row(returns), field::mask = one_row(mask_of_values)),
                 poise::outputs(field::objective = of_value, field::value_clip_fraction = value_fraction,
                                field::gradient<field::value> = one_row(value_gradient)));
        return {{"loss", policy[0] + of_value[0]},
                {"policy_loss", policy[0]},
                {"value_loss", of_value[0] / T(coefficient)},
                {"grad_logps", of.table(gradient)},
                {"grad_values", of.table(value_gradient)},
                {"policy_clip_fraction", low[0] + high[0]},
                {"value_clip_fraction", value_fraction[0]}};
    }

    // ---- 9. A*-PO

    static json optimal_value(json const& inputs, json const& params) {
        auto const of = token_batch(inputs.at("rewards"));
        auto const rewards = flat<T>(inputs.at("rewards"));
        auto value = numbers(of.sequences), keep = value;
        for_each_row(Execution{}, estimator::optimal_value{number(params, "beta1", 0.5)}, of.rows(rewards),
                     per_row(value), per_row(keep));
        return {{"value", value}, {"keep", keep}};
    }
    static json a2po_loss(json const& inputs, json const& params) {
        auto const log_p = flat<T>(inputs.at("logps")), reference = flat<T>(inputs.at("ref_logps")),
                   rewards = flat<T>(inputs.at("rewards")), values = flat<T>(inputs.at("optimal_values"));
        auto loss = numbers(1), gradient = numbers(log_p.size());
        evaluate(Execution{}, objective::optimal_advantage_regression{number(params, "beta2", 1e-3)},
                 poise::inputs(field::log_probability = one_row(log_p),
                               field::reference_log_probability = one_row(reference), field::reward = one_row(rewards),
                               field::baseline = one_row(values)),
                 poise::outputs(field::objective = loss, field::gradient<field::log_probability> = one_row(gradient)));
        return {{"loss", loss[0]}, {"grad_logps", gradient}};
    }

    // ---- on the host

    static json adaptive_entropy_coefficient(json const& inputs, json const& params) {
        auto const entropies = flat<T>(inputs.at("entropies"));
        auto applied = numbers(entropies.size()), coefficient = applied;
        for_each_row(Execution{},
                     solver::adaptive_entropy{number(params, "entropy_coef", 0), number(params, "entropy_target", 0.2),
                                              number(params, "entropy_coef_delta", 0.005),
                                              number(params, "entropy_coef_min", 0),
                                              number(params, "entropy_coef_max", 1)},
                     one_row(entropies), one_row(applied), one_row(coefficient));
        return {{"applied", applied}, {"coefficient", coefficient}};
    }
    static json replay_buffer(json const& inputs, json const& params) {
        auto buffer = solver::prioritized_replay<std::size_t>(params.at("max_size").get<std::size_t>());
        for (auto const& score : inputs.at("scores")) buffer.offer(golden::to_number(score), 0);
        auto scores = json::array();
        for (auto const& entry : buffer.entries()) scores.push_back(entry.score);
        return {{"kept_scores", scores}, {"probabilities", buffer.probabilities()}};
    }

    static golden::functions all() {
        return {{"group_advantages", group_advantages},
                {"rloo_advantages", rloo_advantages},
                {"async_group_advantages", async_group_advantages},
                {"sampling_correction_ratio", sampling_correction_ratio},
                {"off_policy_mask", off_policy_mask},
                {"entropy_mask", entropy_mask},
                {"gamma_weights", gamma_weights},
                {"policy_loss", policy_loss},
                {"gmpo_loss", gmpo_loss},
                {"rloo_loss", rloo_loss},
                {"clip_fractions", clip_fractions},
                {"ppo_advantages", ppo_advantages},
                {"ppo_loss", ppo_loss},
                {"optimal_value", optimal_value},
                {"a2po_loss", a2po_loss},
                {"adaptive_entropy_coefficient", adaptive_entropy_coefficient},
                {"replay_buffer", replay_buffer}};
    }
};

inline golden::method const method{"catalogue-policy-losses"};

/// All cases in an execution and a scalar. `float` has 24 bits, of which sums and ratios lose three: 2e-6 of numbers
/// about 1.
template <class T, class Execution>
void check_golden(char const* name) {
    if constexpr (std::is_same_v<T, float>)
        golden::check(method, std::string(name) + ", float", functions_in<float, Execution>::all(), 2e-6);
    else
        golden::check(method, std::string(name) + ", double", functions_in<T, Execution>::all());
}

} // namespace catalogue
