#pragma once

#include "golden.hpp"

#include "poise/estimator/conformal.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/metric/interval_score.hpp"
#include "poise/solver/quantile_fit.hpp"
#include "poise/solver/simplex_step.hpp"

#include <array>

/// The functions of the golden file, over any scalar and execution; one test file per execution, for compile time.
namespace quantile_aggregation_golden {

using namespace poise;
using golden::json;
namespace granularity = weighting::granularity;
namespace monotone = solver::monotone;
namespace margin = objective::margin;

inline golden::method const method{"quantile-aggregation"};

/// A matrix of a case: n rows of equal length, held interleaved.
template <class T>
struct matrix {
    std::size_t rows;
    std::size_t length;
    std::vector<T> values;

    matrix(std::size_t n, std::size_t m) : rows(n), length(m), values(n * m) {}
    explicit matrix(json const& nested)
        : matrix(nested.size(), nested.empty() ? 0 : golden::flat<T>(nested[0]).size()) {
        for (std::size_t i = 0; i < rows; ++i) {
            auto const row = golden::flat<T>(nested[i]);
            for (std::size_t k = 0; k < length; ++k) values[k * rows + i] = row[k];
        }
    }
    auto in() const { return interleaved_rows_of(values.data(), rows, length); }
    auto out() { return interleaved_rows_of(values.data(), rows, length); }
    /// Column k of the samples as one row each: for statistics over the samples.
    auto columns() const { return rows_of(values.data(), length, rows); }
    json nested() const {
        auto result = json::array();
        for (std::size_t i = 0; i < rows; ++i) {
            auto row = json::array();
            for (std::size_t k = 0; k < length; ++k) row.push_back(values[k * rows + i]);
            result.push_back(row);
        }
        return result;
    }
};

template <class T>
matrix<T> one_row(std::vector<T> const& values) {
    auto result = matrix<T>(1, values.size());
    result.values = values;
    return result;
}

template <class T>
T mean_of(std::vector<T> const& values) {
    return mean(row<T const>(values));
}

/// Calls f with the granularity of this name.
template <class F>
json with_granularity(std::string const& name, F const& f) {
    if (name == "coarse") return f(granularity::coarse{});
    if (name == "medium") return f(granularity::medium{});
    if (name == "fine") return f(granularity::fine{});
    throw std::runtime_error("unknown granularity " + name);
}

/// Calls f with the monotone operator of this name.
template <class F>
json with_operator(json const& params, F const& f) {
    if (golden::left_out(params, "transform")) return f(monotone::none{});
    auto const name = params["transform"].get<std::string>();
    if (name == "isotonic") return f(monotone::isotonic{});
    if (name == "sort") return f(monotone::sorted{});
    throw std::runtime_error("unknown transform " + name);
}

/// Calls f with the kind of margin that this JSON is, and its elements.
template <class T, class F>
json with_margin(json const& margins, F const& f) {
    auto const values = margins.is_null() ? std::vector<T>{T(0)}
                                          : golden::flat<T>(margins.is_array() ? margins : json::array({margins}));
    if (!margins.is_array()) return f(margin::constant{}, values);
    if (!margins.empty() && margins[0].is_array()) return f(margin::pairwise{}, values);
    return f(margin::difference{}, values);
}

/// The same, a vector turned into its matrix: fewer programs to compile.
template <class T, class F>
json with_margin_matrix(json const& params, std::size_t m, F const& f) {
    return with_margin<T>(params.value("margin", json{}), [&]<class Kind>(Kind, std::vector<T> const& margins) {
        if constexpr (std::is_same_v<Kind, margin::constant>)
            return f(margin::constant{}, margins);
        else {
            auto matrix = std::vector<T>(m * m);
            for (std::size_t i = 0; i < m; ++i)
                for (std::size_t j = 0; j < i; ++j) matrix[i * m + j] = Kind::between(row<T const>(margins), i, j, m);
            return f(margin::pairwise{}, matrix);
        }
    });
}

template <class Execution, class T, class Predictions, class G>
T fitted_optimum(Execution execution, solver::quantile_data<Predictions, T> data, G granularity) {
    auto constexpr steps = 1500;
    auto fit =
        solver::global_quantile_fit<solver::quantile_objective<Execution, T, Predictions, G>, solver::adam<T>, T>(
            solver::quantile_objective(execution, data, granularity), solver::adam<T>{.learning_rate = T(0.05)});
    for (auto t = 0; t < steps; ++t) fit.step();
    return fit.best_value();
}

/// A network of any depth up to 4 and any width up to 64: the layers in the type are padded with zeros, which leave ELU
/// networks unchanged (ELU(0) = 0).
template <class T>
matrix<T> network_logits(json const& x, json const& weights, json const& biases) {
    using policy::dense;
    using elu = policy::activation::elu;
    constexpr auto width = std::size_t{64};
    auto const run = [&]<class... Layers>(policy::mlp<T, Layers...> network) {
        auto parameters = network.parameters();
        for (std::size_t l = 0; l < weights.size(); ++l)
            for (std::size_t o = 0; o < weights[l].size(); ++o) {
                auto const layer = l * width * (width + 1);
                for (std::size_t i = 0; i < weights[l][o].size(); ++i)
                    parameters[layer + o * width + i] = static_cast<T>(golden::to_number(weights[l][o][i]));
                parameters[layer + width * width + o] = static_cast<T>(golden::to_number(biases[l][o]));
            }
        auto inputs = matrix<T>(x.size(), width);
        for (std::size_t i = 0; i < x.size(); ++i)
            for (std::size_t k = 0; k < x[i].size(); ++k)
                inputs.values[k * x.size() + i] = static_cast<T>(golden::to_number(x[i][k]));
        auto tape = typename policy::mlp<T, Layers...>::tape(x.size());
        auto const outputs = network.forward(inputs.in(), tape);
        auto logits = matrix<T>(x.size(), weights.back().size());
        for (std::size_t i = 0; i < logits.rows; ++i)
            for (std::size_t k = 0; k < logits.length; ++k) logits.values[k * logits.rows + i] = outputs(i, k);
        return logits;
    };
    using hidden = dense<width, width, elu>;
    using last = dense<width, width>;
    switch (weights.size()) {
    case 1:
        return run(policy::mlp<T, last>{});
    case 2:
        return run(policy::mlp<T, hidden, last>{});
    case 3:
        return run(policy::mlp<T, hidden, hidden, last>{});
    case 4:
        return run(policy::mlp<T, hidden, hidden, hidden, last>{});
    default:
        throw std::runtime_error("a network of 1 to 4 layers");
    }
}

template <class T, class Execution>
golden::functions functions(Execution execution) {
    auto known = golden::functions{};

    known["pinball"] = [=](json const& inputs, json const&) -> json {
        auto const q = matrix<T>(inputs["q"]);
        auto const y = golden::flat<T>(inputs["y"]), tau = golden::flat<T>(inputs["tau"]);
        auto loss = q, gradient = q;
        for_each_row(execution, objective::pinball{}, y, q.in(), shared_row(tau), loss.out(), gradient.out());
        auto row_means = std::vector<T>(y.size());
        for_each_row(execution, objective::mean_pinball{}, y, q.in(), shared_row(tau), row_means);
        return {{"loss", loss.nested()}, {"mean", mean_of(row_means)}, {"grad_q", gradient.nested()}};
    };
    known["huber_pinball"] = [=](json const& inputs, json const& params) -> json {
        auto const q = matrix<T>(inputs["q"]);
        auto const y = golden::flat<T>(inputs["y"]), tau = golden::flat<T>(inputs["tau"]);
        auto loss = q, gradient = q;
        for_each_row(execution, objective::huber_pinball{golden::to_number(params["alpha"])}, y, q.in(),
                     shared_row(tau), loss.out(), gradient.out());
        return {{"loss", loss.nested()}, {"grad_q", gradient.nested()}};
    };
    known["weighted_interval_score"] = [=](json const& inputs, json const&) -> json {
        auto const q = matrix<T>(inputs["q"]);
        auto const y = golden::flat<T>(inputs["y"]), tau = golden::flat<T>(inputs["tau"]);
        auto score = std::vector<T>(y.size());
        auto intervals = matrix<T>(y.size(), tau.size() / 2);
        for_each_row(execution, metric::weighted_interval_score{}, y, q.in(), shared_row(tau), score, intervals.out());
        auto means = json::array();
        for (std::size_t k = 0; k < intervals.length; ++k)
            means.push_back(mean(row<T const>(intervals.values.data() + k * y.size(), y.size())));
        return {{"wis", score}, {"mean_interval_scores", means}};
    };
    known["aggregate"] = [=](json const& inputs, json const& params) -> json {
        return with_granularity(params["granularity"], [&](auto granularity) -> json {
            auto const run = [&]<bool Normalized>(std::bool_constant<Normalized>) -> json {
                auto const preds = matrix<T>(inputs["preds"]), cotangent = matrix<T>(inputs["cotangent"]);
                auto const levels = cotangent.length;
                auto quantiles = cotangent;
                auto aggregator = weighting::quantile_aggregator<T, decltype(granularity), Normalized>(
                    preds.length / levels, levels, granularity);
                if (golden::left_out(params, "local") || !params["local"].get<bool>()) {
                    auto const logits = golden::flat<T>(inputs["logits"]);
                    auto gradient = std::vector<T>(logits.size());
                    aggregator.forward(execution, preds.in(), shared_row(logits), quantiles.out());
                    aggregator.global_pullback(execution, preds.in(), cotangent.in(), gradient);
                    return {{"q", quantiles.nested()}, {"grad_logits", gradient}};
                }
                auto const logits = matrix<T>(inputs["logits"]);
                auto gradient = logits;
                aggregator.forward(execution, preds.in(), logits.in(), quantiles.out());
                aggregator.pullback(execution, preds.in(), cotangent.in(), gradient.out());
                return {{"q", quantiles.nested()}, {"grad_logits", gradient.nested()}};
            };
            return params.value("normalize", true) ? run(std::true_type{}) : run(std::false_type{});
        });
    };
    known["aggregate_grouped"] = [=](json const& inputs, json const&) -> json {
        auto const preds = matrix<T>(inputs["preds"]);
        auto const groups = golden::flat<std::size_t>(inputs["groups"]);
        auto const logits = golden::flat<T>(inputs["logits"]);
        auto const grouped = granularity::grouped(std::span<std::size_t const>(groups));
        auto aggregator =
            weighting::quantile_aggregator<T, decltype(grouped)>(preds.length / groups.size(), groups.size(), grouped);
        auto quantiles = matrix<T>(preds.rows, groups.size());
        aggregator.forward(execution, preds.in(), shared_row(logits), quantiles.out());
        return {{"q", quantiles.nested()}};
    };
    known["crossing_penalty"] = [=](json const& inputs, json const&) -> json {
        auto const q = matrix<T>(inputs["q"]);
        return with_margin<T>(inputs["margin"], [&](auto kind, std::vector<T> const& margins) -> json {
            auto value = std::vector<T>(q.rows);
            auto gradient = q;
            for_each_row(execution, objective::crossing_penalty<decltype(kind)>{}, q.in(), shared_row(margins), value,
                         gradient.out());
            for (auto& g : gradient.values) g /= T(q.rows);
            return {{"value", mean_of(value)}, {"grad_q", gradient.nested()}};
        });
    };
    known["isotonic"] = [=](json const& inputs, json const&) -> json {
        auto const z = one_row(golden::flat<T>(inputs["z"])), g = one_row(golden::flat<T>(inputs["cotangent"]));
        auto result = json::object();
        auto const run = [&](std::vector<T> const& weights, std::string const& suffix) {
            auto fit = z, pullback = z;
            for_each_row(execution, solver::isotonic_regression{}, z.in(), shared_row(weights), g.in(), fit.out(),
                         pullback.out());
            result["fit" + suffix] = fit.values;
            result["vjp" + suffix] = pullback.values;
        };
        run(std::vector<T>(z.length, T(1)), "");
        if (inputs.contains("weights")) run(golden::flat<T>(inputs["weights"]), "_weighted");
        return result;
    };
    known["monotonise"] = [=](json const& inputs, json const& params) -> json {
        auto const z = one_row(golden::flat<T>(inputs["z"])), g = one_row(golden::flat<T>(inputs["cotangent"]));
        auto const run = [&](auto op) {
            auto result = std::array{z, z};
            for_each_row(execution, solver::monotonise<decltype(op)>{op}, z.in(), g.in(), result[0].out(),
                         result[1].out());
            return std::pair{result[0].values, result[1].values};
        };
        auto const [sorted, sorted_vjp] = run(monotone::sorted{});
        auto const [swept, swept_vjp] = run(monotone::sweep{});
        auto result = json{{"sort", sorted}, {"sort_vjp", sorted_vjp}, {"minmax_sweep", swept}};
        result["minmax_sweep_vjp"] = swept_vjp;
        result["soft_sort"] = result["soft_sort_vjp"] = json::array();
        if (params.contains("eps"))
            for (auto const eps : golden::flat<double>(json::array({params["eps"]}))) {
                auto const [soft, soft_vjp] = run(monotone::soft_sort{eps});
                result["soft_sort"].push_back(soft);
                result["soft_sort_vjp"].push_back(soft_vjp);
            }
        return result;
    };
    known["conformal"] = [=](json const& inputs, json const& params) -> json {
        auto const y = one_row(golden::flat<T>(inputs["y"])), lower = one_row(golden::flat<T>(inputs["lower"])),
                   upper = one_row(golden::flat<T>(inputs["upper"]));
        auto result = json::object();
        auto shift = std::array<T, 1>{}, other = std::array<T, 1>{};
        if (params.contains("alpha")) {
            for_each_row(execution, estimator::conformalized_quantiles{params["alpha"]}, y.in(), lower.in(), upper.in(),
                         shift);
            result["sym"] = shift[0];
        }
        if (params.contains("alpha_lo")) {
            for_each_row(execution,
                         estimator::asymmetric_conformalized_quantiles{params["alpha_lo"], params["alpha_hi"]}, y.in(),
                         lower.in(), upper.in(), shift, other);
            result["asym_lo"] = shift[0];
            result["asym_hi"] = other[0];
        }
        return result;
    };
    known["cv_plus"] = [=](json const& inputs, json const& params) -> json {
        auto const lo = one_row(golden::flat<T>(inputs["lo"])), hi = one_row(golden::flat<T>(inputs["hi"])),
                   scores = one_row(golden::flat<T>(inputs["scores"]));
        auto low = std::array<T, 1>{}, high = std::array<T, 1>{};
        for_each_row(execution, estimator::cv_plus{params["alpha"]}, lo.in(), hi.in(), scores.in(), low, high);
        return {{"low", low[0]}, {"high", high[0]}};
    };
    known["conformal_levels"] = [=](json const& inputs, json const&) -> json {
        auto const q = matrix<T>(inputs["q"]);
        auto const y = golden::flat<T>(inputs["y"]), tau = golden::flat<T>(inputs["tau"]);
        auto shift = std::vector<T>(tau.size()), covered = std::vector<T>(tau.size());
        for_each_row(execution, estimator::conformal_level_shift{}, shared_row(y), q.columns(), tau, shift);
        for_each_row(execution, metric::coverage{}, shared_row(y), q.columns(), covered);
        return {{"shift", shift}, {"coverage_raw", covered}};
    };
    known["adaptive_margin"] = [=](json const& inputs, json const& params) -> json {
        auto const preds = matrix<T>(inputs["preds"]);
        auto const y = golden::flat<T>(inputs["y"]), tau = golden::flat<T>(inputs["tau"]);
        auto residuals = std::vector<T>(y.size()), margins = std::vector<T>(tau.size());
        for_each_row(execution, estimator::median_model_residual{tau.size()}, y, preds.in(), residuals);
        for_each_row(execution, estimator::empirical_quantiles{}, shared_row(residuals), shared_row(tau),
                     rows_of(margins.data(), 1, margins.size()));
        for (auto& v : margins) v *= static_cast<T>(params.value("scale", 1.0));
        return {{"margins", margins}};
    };
    known["training_objective"] = [=](json const& inputs, json const& params) -> json {
        auto const preds = matrix<T>(inputs["preds"]);
        auto const y = golden::flat<T>(inputs["y"]), tau = golden::flat<T>(inputs["tau"]),
                   logits = golden::flat<T>(inputs["logits"]);
        return with_granularity(params["granularity"], [&](auto granularity) {
            return with_operator(params, [&](auto op) {
                return with_margin_matrix<T>(params, tau.size(), [&](auto kind, std::vector<T> const& margins) -> json {
                    auto training = solver::quantile_objective(
                        execution, solver::quantile_data<decltype(preds.in()), T>{preds.in(), y, tau, margins},
                        granularity,
                        objective::quantile_training<decltype(op), decltype(kind)>{params.value("margin_weight", 0.0),
                                                                                   op});
                    auto gradient = std::vector<T>(logits.size());
                    auto const value = training(shared_row(logits), gradient.data());
                    return {{"value", value}, {"grad_logits", gradient}};
                });
            });
        });
    };
    known["lp_optimum"] = [=](json const& inputs, json const&) -> json {
        auto const preds = matrix<T>(inputs["preds"]);
        auto const y = golden::flat<T>(inputs["y"]), tau = golden::flat<T>(inputs["tau"]);
        auto const no_margin = std::vector<T>{T(0)};
        auto const data = solver::quantile_data<decltype(preds.in()), T>{preds.in(), y, tau, no_margin};
        auto result = json{{"coarse", fitted_optimum(execution, data, granularity::coarse{})},
                           {"medium", fitted_optimum(execution, data, granularity::medium{})},
                           {"fine", fitted_optimum(execution, data, granularity::fine{})}};
        if (inputs.contains("groups")) {
            auto const groups = golden::flat<std::size_t>(inputs["groups"]);
            result["grouped"] =
                fitted_optimum(execution, data, granularity::grouped(std::span<std::size_t const>(groups)));
        }
        return result;
    };
    known["simplex_steps"] = [=](json const& inputs, json const& params) -> json {
        auto const v = one_row(golden::flat<T>(inputs["v"])), w = one_row(golden::flat<T>(inputs["w"])),
                   g = one_row(golden::flat<T>(inputs["g"]));
        auto projection = v, exponentiated = w;
        for_each_row(execution, solver::simplex_projection{}, v.in(), projection.out());
        for_each_row(execution, solver::exponentiated_gradient<double>{golden::to_number(params["eta"])}, w.in(),
                     g.in(), exponentiated.out());
        return {{"projection", projection.values}, {"exponentiated", exponentiated.values}};
    };
    known["local_network"] = [=](json const& inputs, json const& params) -> json {
        auto const preds = matrix<T>(inputs["preds"]);
        auto const levels = inputs["preds"][0][0].size();
        auto const logits = network_logits<T>(inputs["x"], inputs["weights"], inputs["biases"]);
        return with_granularity(params["granularity"], [&](auto granularity) -> json {
            auto quantiles = matrix<T>(preds.rows, levels);
            weighting::quantile_aggregator<T, decltype(granularity)>(preds.length / levels, levels, granularity)
                .forward(execution, preds.in(), logits.in(), quantiles.out());
            return {{"logits", logits.nested()}, {"q", quantiles.nested()}};
        });
    };
    return known;
}

// float: sums of a few dozen terms of size up to 10 are good to some 1e-6.
inline constexpr auto float_tolerance = 2e-5;

} // namespace quantile_aggregation_golden
