#pragma once

#include "golden.hpp"

#include "poise/estimator/generalized_advantage.hpp"
#include "poise/estimator/mixed_advantage.hpp"
#include "poise/estimator/normalized_advantage.hpp"
#include "poise/execution/row_kernel.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/kl_lagrangian_dual.hpp"
#include "poise/solver/adaptive_kl.hpp"
#include "poise/solver/multiplier_descent.hpp"

/// The golden functions of constrained-rlhf, once for every scalar and execution.
namespace constrained_rlhf_test {

using namespace poise;
using golden::json;

inline golden::method const constrained_rlhf{"constrained-rlhf"};

/// visit(squash), visit(base), visit(sense) of what a parameter names.
template <class Visit>
json with_squash(json const& params, Visit const& visit) {
    auto const name = params.at("squash").get<std::string>();
    if (name == "sigmoid") return visit(weighting::squash::sigmoid{});
    if (name == "tanh") return visit(weighting::squash::tanh{});
    if (name != "none") throw std::runtime_error("unknown squash '" + name + "'");
    return visit(weighting::squash::none{});
}
template <class Visit>
json with_base(json const& params, Visit const& visit) {
    auto const name = params.at("base").get<std::string>();
    if (name == "kl") return visit(estimator::base::kl{});
    if (name != "all") throw std::runtime_error("unknown base '" + name + "'");
    return visit(estimator::base::all{});
}
template <class Visit>
json with_sense(json const& params, Visit const& visit) {
    auto const name = params.at("sense").get<std::string>();
    if (name == ">=") return visit(constraint::at_least{});
    if (name == "==") return visit(constraint::equal_to{});
    if (name != "<=") throw std::runtime_error("unknown sense '" + name + "'");
    return visit(constraint::at_most{});
}

/// [n][m] as [m][n].
template <class T>
std::vector<T> transposed(std::vector<T> const& matrix, std::size_t columns) {
    auto result = std::vector<T>{};
    for (std::size_t c = 0; c < columns; ++c)
        for (std::size_t k = c; k < matrix.size(); k += columns) result.push_back(matrix[k]);
    return result;
}

/// Solvers that run on the host, one at a time: in constrained_rlhf_golden_solvers.cpp.
template <class T>
struct host {
    static json saddle_point(json const& in, json const& params);
    static json proxy_point(json const& in, json const& params);
    static json nelder_mead(json const& in, json const& params);
};
extern template struct host<double>;
extern template struct host<float>;

/// Row kernels: one case as a batch of equal rows, so that lanes and chunks are filled; the answer is the last row's.
template <class T, class Execution>
struct runner {
    static constexpr std::size_t copies = 13;

    static std::vector<T> repeated(std::vector<T> const& row) {
        auto all = std::vector<T>{};
        for (std::size_t i = 0; i < copies; ++i) all.insert(all.end(), row.begin(), row.end());
        return all;
    }
    static auto input(std::vector<T> const& all) { return rows_of(all.data(), copies, all.size() / copies); }
    static auto output(std::vector<T>& all) { return rows_of(all.data(), copies, all.size() / copies); }
    static std::vector<T> zeros(std::size_t n) { return std::vector<T>(copies * n); }
    static std::vector<T> last(std::vector<T> const& all) {
        return {all.end() - static_cast<std::ptrdiff_t>(all.size() / copies), all.end()};
    }
    static std::vector<T> row(json const& value) { return repeated(golden::flat<T>(value)); }

    static std::vector<T> normalized(std::vector<T> channels, std::size_t samples) {
        auto const view = rows_of(channels.data(), channels.size() / samples, samples);
        for_each_row(Execution{}, estimator::normalized_advantage{}, view, view);
        return channels;
    }

    static json mixed_advantage(json const& in, json const& params) {
        auto kl = golden::flat<T>(in["kl_advantages"]);
        auto const multipliers = golden::flat<T>(in["multipliers"]);
        auto const samples = kl.size(), n = multipliers.size();
        auto channels = transposed(golden::flat<T>(in["rm_advantages"]), n);
        if (golden::to_number(params["normalize"]) != 0) {
            kl = normalized(kl, samples);
            channels = normalized(channels, samples);
        }
        auto const lambda = repeated(multipliers), kl_rows = repeated(kl), reward_rows = repeated(channels);
        auto base_weight = zeros(1), weights = zeros(n), mixed = zeros(samples);
        with_squash(params, [&](auto squash) -> json {
            for_each_row(Execution{}, weighting::lagrange_weights<decltype(squash)>{}, input(lambda), base_weight,
                         output(weights));
            return {};
        });
        return with_base(params, [&](auto base) -> json {
            for_each_row(Execution{}, estimator::mixed_advantage<decltype(base)>{}, input(kl_rows), input(reward_rows),
                         std::as_const(base_weight), input(weights), output(mixed));
            auto signed_weights = last(weights);
            if (std::is_same_v<decltype(base), estimator::base::all>)
                for (auto& w : signed_weights) w = -w;
            return {{"base_weight", base_weight.back()}, {"rm_weights", signed_weights}, {"mixed", last(mixed)}};
        });
    }

    static json multiplier_steps(json const& in, json const& params) {
        auto const multipliers = row(in["multipliers"]), values = row(in["value_sequence"]),
                   thresholds = row(in["thresholds"]);
        auto const n = multipliers.size() / copies;
        auto const first = std::vector<T>(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n));
        auto const first_values = repeated(first);
        auto path = zeros(values.size() / copies), loss = zeros(1), gradient = zeros(n);
        return with_squash(params, [&](auto squash) {
            return with_sense(params, [&](auto sense) -> json {
                auto const descent = solver::multiplier_descent<decltype(squash), decltype(sense)>{
                    {.rule = {.learning_rate = params["learning_rate"], .decay = params["momentum"]},
                     .maximum = params["max_grad_norm"]}};
                for_each_row(Execution{}, descent, input(multipliers), input(values), input(thresholds), output(path));
                for_each_row(Execution{}, solver::multiplier_loss<decltype(squash), decltype(sense)>{},
                             input(multipliers), input(first_values), input(thresholds), loss, output(gradient));
                return {{"first_loss", loss.back()},
                        {"first_gradient", last(gradient)},
                        {"multipliers", golden::rows(last(path), n)}};
            });
        });
    }

    /// Here the rows are the channels.
    static json gae(json const& in, json const& params) {
        auto const last_values = golden::flat<T>(in["last_values"]),
                   last_sums = golden::flat<T>(in["last_reward_to_go"]);
        auto const channels = last_values.size();
        auto const rewards = transposed(golden::flat<T>(in["rewards"]), channels),
                   values = transposed(golden::flat<T>(in["values"]), channels);
        auto terminal = golden::flat<T>(in["episode_starts"]);
        terminal.erase(terminal.begin());
        terminal.push_back(static_cast<T>(golden::to_number(in["done"])));
        auto const steps = terminal.size();
        auto advantages = rewards, returns = rewards, sums = rewards;
        auto const kernel =
            estimator::generalized_advantage{.discount = params["gamma"], .lambda = params["gae_lambda"]};
        for_each_row(Execution{}, kernel, rows_of(rewards.data(), channels, steps),
                     rows_of(values.data(), channels, steps), shared_row(terminal), last_values,
                     rows_of(advantages.data(), channels, steps), rows_of(returns.data(), channels, steps));
        for_each_row(Execution{}, estimator::reward_to_go{}, rows_of(rewards.data(), channels, steps),
                     shared_row(terminal), last_sums, rows_of(sums.data(), channels, steps));
        auto const by_step = [&](auto const& x) { return golden::rows(transposed(x, steps), channels); };
        return {{"advantages", by_step(advantages)}, {"returns", by_step(returns)}, {"reward_to_go", by_step(sums)}};
    }

    static json ppo_loss(json const& in, json const& params) {
        auto const log_p = row(in["logp"]), old = row(in["old_logp"]), advantages = row(in["mixed_advantages"]);
        auto const n = log_p.size() / copies;
        auto losses = zeros(n), gradient = zeros(n);
        auto const kernel = objective::clipped_surrogate{.low = params["clip"], .high = params["clip"]};
        for_each_row(Execution{}, kernel, input(log_p), input(old), input(advantages), output(losses),
                     output(gradient));
        auto mean_gradient = last(gradient);
        for (auto& g : mean_gradient) g /= T(n);
        auto const each = last(losses);
        return {{"loss", mean(poise::row<T const>(each))}, {"gradient", mean_gradient}};
    }

    static json adaptive_kl(json const& in, json const& params) {
        auto const divergences = row(in["kl_sequence"]);
        auto coefficients = zeros(divergences.size() / copies);
        auto kernel = solver::adaptive_kl{.initial = params["initial"]};
        if (!golden::left_out(params, "target")) kernel.target = params["target"];
        for_each_row(Execution{}, kernel, input(divergences), output(coefficients));
        return {{"coefficients", last(coefficients)}};
    }

    static json dual(json const& in, json const& params) {
        auto const reference = row(in["reference"]), tilt = row(in["multipliers"]), thresholds = row(in["thresholds"]);
        auto const n = tilt.size() / copies, actions = reference.size() / copies;
        auto const rewards = repeated(transposed(golden::flat<T>(in["rewards"]), n));
        auto policy = zeros(actions), tilted = policy, value = zeros(1), gradient = zeros(n), hessian = zeros(n * n);
        auto const beta = params["beta"].get<double>();
        for_each_row(Execution{}, objective::kl_lagrangian_dual{beta}, input(reference), input(rewards), input(tilt),
                     input(thresholds), output(policy), value, output(gradient), output(hessian));
        for_each_row(Execution{}, policy::exponential_tilt{beta}, input(reference), input(rewards), input(tilt),
                     output(tilted));
        CHECK(tilted == policy);
        return {{"policy", last(policy)},
                {"dual", value.back()},
                {"gradient", last(gradient)},
                {"hessian", golden::rows(last(hessian), n)}};
    }

    static golden::functions functions() {
        return {{"mixed_advantage", mixed_advantage},
                {"multiplier_steps", multiplier_steps},
                {"gae_with_reward_to_go", gae},
                {"constrained_ppo_loss", ppo_loss},
                {"adaptive_kl", adaptive_kl},
                {"kl_lagrangian_dual", dual},
                {"kl_saddle_point", host<T>::saddle_point},
                {"proxy_point_quadratic", host<T>::proxy_point},
                {"nelder_mead_quadratic", host<T>::nelder_mead}};
    }
};

/// Inputs of a few units in float: 1e-7 of relative error in each of some ten operations.
template <class Execution>
void check_golden(std::string const& label) {
    golden::check(constrained_rlhf, "double, " + label, runner<double, Execution>::functions());
    golden::check(constrained_rlhf, "float, " + label, runner<float, Execution>::functions(), 5e-6);
}

} // namespace constrained_rlhf_test
