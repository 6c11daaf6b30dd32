#pragma once

#include "poise/execution/sequential.hpp"
#include "poise/weighting/quantile_weights.hpp"

#include <span>
#include <vector>

namespace poise::weighting {

namespace detail {

/// total = sum_k x_k
struct row_total {
    constexpr void operator()(row_of_reals auto row, writable_row auto total) const { total[0] = sum(row); }
};

} // namespace detail

/// Aggregates a batch of samples and pulls cotangents back into the logits. Logits given as a shared row are global,
/// logits with a row per sample are local (a network's output). `Normalized = false` takes the logits themselves as
/// weights.
///     auto aggregator = quantile_aggregator<double, granularity::medium>(models, levels);
///     aggregator.forward(execution, predictions, shared_row(logits), quantiles);
///     aggregator.pullback(execution, predictions, cotangent, per_weight);      // after forward
template <scalar T, weight_granularity G, bool Normalized = true>
class quantile_aggregator {
public:
    quantile_aggregator(std::size_t models, std::size_t levels, G granularity = {})
        : granularity_(granularity), models_(models), levels_(levels) {
        require(models > 0, "quantile_aggregator", "models", "at least one model", models);
        require(levels > 0, "quantile_aggregator", "levels", "at least one level", levels);
    }

    std::size_t weight_count() const { return weighting::weight_count(granularity_, models_, levels_); }
    G const& granularity() const { return granularity_; }
    /// The weights of the last `forward`: one row if global, one per sample, interleaved, if local.
    std::span<T const> weights() const { return weights_; }

    /// quantiles (a row of m per sample) from predictions (a row of p m per sample) and logits.
    template <class Execution, class Predictions, class Logits, class Quantiles>
    void forward(Execution const& execution, Predictions const& predictions, Logits const& logits,
                 Quantiles const& quantiles) {
        auto const samples = predictions.rows();
        auto const rows = Logits::is_shared ? 1 : samples;
        poise::detail::check_length("quantile_aggregator", "logits", logits, weight_count());
        poise::detail::check_length("quantile_aggregator", "quantiles", quantiles, levels_);
        weights_.resize(rows * weight_count());
        auto const weights = interleaved_rows_of(weights_.data(), rows, weight_count());
        if constexpr (Logits::is_shared) {
            auto const row = rows_of(logits.data(), 1, weight_count());
            normalize(execution::sequential{}, row, weights);
            for_each_row(execution, quantile_aggregate<G>{granularity_}, predictions,
                         shared_row(std::span<T const>(weights_)), quantiles);
        } else {
            normalize(execution, logits, weights);
            for_each_row(execution, quantile_aggregate<G>{granularity_}, predictions,
                         batch<T const, dynamic, interleaved>(weights), quantiles);
        }
    }

    /// Local: the gradient of each sample's logits, a row per sample, from the cotangent of its quantiles.
    template <class Execution, class Predictions, class Cotangent, class Gradient>
    void pullback(Execution const& execution, Predictions const& predictions, Cotangent const& cotangent,
                  Gradient const& logit_gradient) {
        if (predictions.rows() * weight_count() != weights_.size())
            require(false, "quantile_aggregator::pullback", "predictions",
                    "as many rows as the logits of the forward before it", predictions.rows());
        gradient_.resize(weights_.size());
        auto const gradient = interleaved_rows_of(gradient_.data(), predictions.rows(), weight_count());
        for_each_row(execution, quantile_aggregate_pullback<G>{granularity_}, predictions, cotangent, gradient);
        pull_through_softmax(execution, gradient, logit_gradient);
    }

    /// Global: the gradient of the one row of logits, summed over the samples. Each weight's is a sum over the samples,
    /// and the weights are dealt out as rows.
    template <class Execution, class Predictions, class Cotangent>
    void global_pullback(Execution const& execution, Predictions const& predictions, Cotangent const& cotangent,
                         std::span<T> logit_gradient) {
        if constexpr (Execution::checked) check_global_pullback<Execution>(predictions, cotangent);
        auto const samples = predictions.rows(), columns = granularity_.columns(levels_);
        gradient_.assign(weight_count(), T(0));
        sums_.resize(granularity_.inputs(models_, levels_));
        for (std::size_t k = 0; k < levels_; ++k) {
            auto const inputs = granularity_.inputs(models_, levels_);
            auto const products = generated_rows(inputs, samples, [&, k](std::size_t s, std::size_t i) {
                return cotangent(i, k) * predictions(i, granularity_.input(s, k, levels_));
            });
            for_each_row(execution, detail::row_total{}, products, sums_);
            for (std::size_t s = 0; s < inputs; ++s) gradient_[s * columns + granularity_.column(k)] += sums_[s];
        }
        pull_through_softmax(execution::sequential{}, rows_of(gradient_.data(), 1, weight_count()),
                             rows_of(logit_gradient.data(), 1, logit_gradient.size()));
    }

private:
    template <class Execution>
    void check_global_pullback(auto const& predictions, auto const& cotangent) const {
        constexpr auto name = "quantile_aggregator::global_pullback";
        require(weights_.size() == weight_count(), name, "logits", "a forward before it with logits that all share",
                weights_.size());
        poise::detail::check_length(name, "predictions", predictions, models_ * levels_);
        poise::detail::check_length(name, "cotangent", cotangent, levels_);
        require(cotangent.rows() == predictions.rows(), name, "cotangent", predictions.rows(), cotangent.rows());
        if constexpr (!requires { Execution::on_device; }) poise::detail::check_not_nan(name, "cotangent", cotangent);
    }
    template <class Execution, class Logits, class Weights>
    void normalize(Execution const& execution, Logits const& logits, Weights const& weights) const {
        if constexpr (Normalized)
            for_each_row(execution, input_softmax{granularity_.columns(levels_)}, logits, weights);
        else
            for_each_row(execution, row_copy{}, logits, weights);
    }
    template <class Execution, class Gradient, class Out>
    void pull_through_softmax(Execution const& execution, Gradient const& gradient, Out const& out) const {
        using input = typename Gradient::value_type const;
        auto const weights = interleaved_rows_of(weights_.data(), gradient.rows(), weight_count());
        auto const from = batch<input, dynamic, typename Gradient::layout>(gradient);
        if constexpr (Normalized)
            for_each_row(execution, input_softmax_pullback{granularity_.columns(levels_)}, weights, from, out);
        else
            for_each_row(execution, row_copy{}, from, out);
    }

    struct row_copy {
        constexpr void operator()(row_of_reals auto in, writable_row auto out) const { copy(out, in); }
    };

    G granularity_;
    std::size_t models_;
    std::size_t levels_;
    std::vector<T> weights_;
    std::vector<T> gradient_;
    std::vector<T> sums_; ///< over the samples, one per input
};

} // namespace poise::weighting
