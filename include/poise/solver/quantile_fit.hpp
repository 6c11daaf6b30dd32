#pragma once

#include "poise/objective/quantile_training.hpp"
#include "poise/policy/mlp.hpp"
#include "poise/solver/optimizer.hpp"
#include "poise/weighting/quantile_aggregator.hpp"

#include <span>
#include <utility>
#include <vector>

/// Fitting the weights of quantile aggregation by first-order steps. Slug quantile-aggregation.
namespace poise::solver {

/// Predictions of p models (a row of p m per sample) with their targets, levels and margins; views.
template <class Predictions, scalar T>
struct quantile_data {
    Predictions predictions;
    std::span<T const> targets;
    std::span<T const> levels;
    std::span<T const> margins;

    /// Throws `argument_error` without levels.
    std::size_t models() const {
        require(!levels.empty(), "quantile_data", "levels", "at least one level", levels.size());
        return predictions.length() / levels.size();
    }
};

/// The training objective, mean over the samples of `quantile_training` of the aggregate, as a function of the logits.
template <class Execution, scalar T, class Predictions, weighting::weight_granularity G,
          monotone_operator Monotone = monotone::none, class Margin = objective::margin::constant,
          bool Normalized = true>
class quantile_objective {
public:
    quantile_objective(Execution execution, quantile_data<Predictions, T> data, G granularity = {},
                       objective::quantile_training<Monotone, Margin> training = {})
        : execution_(execution),
          data_(data),
          training_(training),
          aggregator_(data.models(), data.levels.size(), granularity),
          quantiles_(samples() * levels()),
          cotangent_(samples() * levels()),
          values_(samples()) {
        require(samples() > 0, "quantile_objective", "targets", "at least one sample", samples());
    }

    std::size_t samples() const { return data_.targets.size(); }
    std::size_t levels() const { return data_.levels.size(); }
    std::size_t weight_count() const { return aggregator_.weight_count(); }
    auto const& aggregator() const { return aggregator_; }
    /// The raw aggregate at the last logits.
    auto quantiles() const { return interleaved_rows_of(quantiles_.data(), samples(), levels()); }

    /// The value at logits that are a shared row (global) or a row per sample (local); writes the gradient in them.
    template <class Logits>
    T operator()(Logits const& logits, T* gradient) {
        auto const quantiles = interleaved_rows_of(quantiles_.data(), samples(), levels());
        auto const cotangent = interleaved_rows_of(cotangent_.data(), samples(), levels());
        aggregator_.forward(execution_, data_.predictions, logits, quantiles);
        for_each_row(execution_, training_, data_.targets, std::as_const(*this).quantiles(), shared_row(data_.levels),
                     shared_row(data_.margins), per_row(values_), cotangent);
        auto const scale = T(1) / T(real_of<T>(samples()));
        auto const per_sample = interleaved_rows_of(std::as_const(cotangent_).data(), samples(), levels());
        auto const rows = Logits::is_shared ? std::size_t{1} : samples();
        if constexpr (Logits::is_shared)
            aggregator_.global_pullback(execution_, data_.predictions, per_sample, {gradient, weight_count()});
        else
            aggregator_.pullback(execution_, data_.predictions, per_sample,
                                 rows_of(gradient, samples(), weight_count()));
        map(
            row<T>(gradient, rows * weight_count()), [=](auto g) { return scale * g; },
            row<T const>(gradient, rows * weight_count()));
        return scale * sum(row<T const>(values_));
    }

private:
    Execution execution_;
    quantile_data<Predictions, T> data_;
    objective::quantile_training<Monotone, Margin> training_;
    weighting::quantile_aggregator<T, G, Normalized> aggregator_;
    std::vector<T> quantiles_;
    std::vector<T> cotangent_;
    std::vector<T> values_;
};

template <class Execution, class Predictions, class T, class G>
quantile_objective(Execution, quantile_data<Predictions, T>, G) -> quantile_objective<Execution, T, Predictions, G>;
template <class Execution, class Predictions, class T, class G, class Monotone, class Margin>
quantile_objective(Execution, quantile_data<Predictions, T>, G, objective::quantile_training<Monotone, Margin>)
    -> quantile_objective<Execution, T, Predictions, G, Monotone, Margin>;

/// One row of logits for all samples, from zero: the plain average. `step()` moves it by one step of the update rule.
template <class Objective, class Rule, scalar T = double>
class global_quantile_fit {
public:
    global_quantile_fit(Objective objective, Rule rule)
        : objective_(std::move(objective)),
          logits_(objective_.weight_count(), T(0)),
          gradient_(logits_.size()),
          best_(logits_),
          descent_(rule, logits_.size()) {}

    /// The objective before the step.
    T step() {
        value_ = objective_(shared_row(logits_), gradient_.data());
        if (descent_.steps == 0 || value_ < best_value_) {
            best_value_ = value_;
            best_ = logits_;
        }
        descent_.step(row<T>(logits_), row<T const>(gradient_));
        return value_;
    }

    std::span<T const> logits() const { return logits_; }
    T value() const { return value_; } ///< at the last step
    /// The logits of the smallest objective met, and that objective: it does not fall at every step, for the pinball
    /// loss has kinks.
    std::span<T const> best_logits() const { return best_; }
    T best_value() const { return best_value_; }
    Objective& objective() { return objective_; }

private:
    Objective objective_;
    std::vector<T> logits_;
    std::vector<T> gradient_;
    std::vector<T> best_;
    optimizer<Rule, T> descent_;
    T value_{};
    T best_value_{};
};

/// Logits of each sample by a network of its features (`policy::mlp`; one linear layer is the smallest).
template <class Objective, class Network, class Rule, class Features>
class local_quantile_fit {
    using T = typename Network::value_type;

public:
    local_quantile_fit(Objective objective, Network network, Rule rule, Features features)
        : objective_(std::move(objective)),
          network_(std::move(network)),
          features_(features),
          tape_(objective_.samples()),
          gradient_(Network::parameter_count),
          logit_gradient_(objective_.samples() * Network::outputs),
          descent_(rule, gradient_.size()) {
        require(Network::outputs == objective_.weight_count(), "local_quantile_fit", "network",
                "a network with " + std::to_string(objective_.weight_count()) + " outputs, one per weight",
                Network::outputs);
    }

    /// The objective before the step.
    T step() {
        auto const logits = network_.forward(features_, tape_);
        value_ = objective_(logits, logit_gradient_.data());
        std::fill(gradient_.begin(), gradient_.end(), T(0));
        network_.pullback(tape_, rows_of(std::as_const(logit_gradient_).data(), objective_.samples(), Network::outputs),
                          row<T>(gradient_));
        descent_.step(row<T>(network_.parameters().data(), gradient_.size()), row<T const>(gradient_));
        return value_;
    }

    Network const& network() const { return network_; }
    T value() const { return value_; }

private:
    Objective objective_;
    Network network_;
    Features features_;
    typename Network::tape tape_;
    std::vector<T> gradient_;
    std::vector<T> logit_gradient_;
    optimizer<Rule, T> descent_;
    T value_{};
};

} // namespace poise::solver
