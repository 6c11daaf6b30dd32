#pragma once

#include "experiment.hpp"

#include "poise/estimator/conformal.hpp"
#include "poise/execution/simd.hpp"
#include "poise/metric/interval_score.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/quantile_fit.hpp"

#include <array>
#include <vector>

/// What the experiments of quantile aggregation share: nine levels, rows of predictions, their scores, and the fits.
namespace quantile_gallery {

using namespace poise;
namespace granularity = weighting::granularity;
namespace monotone = solver::monotone;

inline gallery::method const method{.slug = "quantile-aggregation",
                                    .title = "Flexible quantile aggregation",
                                    .paper = "Fakoor, Kim, Mueller, Smola and Tibshirani, 2023, Flexible model "
                                             "aggregation for quantile regression"};

inline constexpr std::array levels{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
inline constexpr std::size_t level_count = levels.size();
inline constexpr std::array no_margin{0.0};
inline constexpr auto simd = execution::in_lanes{};

/// Rows of numbers, one per sample, interleaved: element k of all samples is consecutive.
struct sample_rows {
    std::size_t samples = 0;
    std::size_t length = 0;
    std::vector<double> values{};

    sample_rows() = default;
    sample_rows(std::size_t n, std::size_t m) : samples(n), length(m), values(n * m) {}
    double& operator()(std::size_t i, std::size_t k) { return values[k * samples + i]; }
    double operator()(std::size_t i, std::size_t k) const { return values[k * samples + i]; }
    auto in() const { return interleaved_rows_of(values.data(), samples, length); }
    auto out() { return interleaved_rows_of(values.data(), samples, length); }
    /// Columns first, … as rows over the samples.
    auto columns(std::size_t first, std::size_t count) const {
        return rows_of(values.data() + first * samples, count, samples);
    }
    /// The quantiles of model j.
    sample_rows model(std::size_t j) const {
        auto result = sample_rows(samples, level_count);
        for (std::size_t k = 0; k < level_count; ++k)
            for (std::size_t i = 0; i < samples; ++i) result(i, k) = (*this)(i, j * level_count + k);
        return result;
    }
};

inline double mean_of(std::vector<double> const& values) { return mean(row<double const>(values)); }

/// The weighted interval score of every sample.
inline std::vector<double> interval_scores(std::vector<double> const& targets, sample_rows const& quantiles) {
    auto scores = std::vector<double>(targets.size());
    auto intervals = sample_rows(targets.size(), level_count / 2);
    for_each_row(simd, metric::weighted_interval_score{}, targets, quantiles.in(), shared_row(levels), scores,
                 intervals.out());
    return scores;
}
inline double score(std::vector<double> const& targets, sample_rows const& quantiles) {
    return mean_of(interval_scores(targets, quantiles));
}

/// How many rows an operator made worse, beyond rounding.
inline double rows_made_worse(std::vector<double> const& before, std::vector<double> const& after) {
    auto count = std::size_t{0};
    for (std::size_t i = 0; i < before.size(); ++i) count += after[i] > before[i] + 1e-12;
    return static_cast<double>(count);
}

template <class Operator>
sample_rows monotonised(sample_rows const& quantiles, Operator op = {}) {
    auto result = quantiles, pullback = quantiles;
    for_each_row(simd, solver::monotonise<Operator>{op}, quantiles.in(), quantiles.in(), result.out(), pullback.out());
    return result;
}

/// How often each level covers the target.
inline std::vector<double> coverages(std::vector<double> const& targets, sample_rows const& quantiles) {
    auto result = std::vector<double>(level_count);
    for_each_row(execution::along{}, metric::coverage{}, shared_row(targets), quantiles.columns(0, level_count),
                 result);
    return result;
}
/// Curves over the levels, beside the ideal.
inline gallery::plot coverage_plot(std::string title, std::string y_label, std::vector<gallery::curve> curves) {
    auto const x = std::vector<double>(levels.begin(), levels.end());
    for (auto& curve : curves) {
        curve.x = x;
        curve.style = gallery::curve::styles::lines_and_points;
    }
    curves.push_back({.name = "ideal", .x = x, .y = x});
    return {.name = "coverage",
            .title = std::move(title),
            .x_label = "level",
            .y_label = std::move(y_label),
            .curves = std::move(curves)};
}
/// How often the interval between two levels covers it, each end shifted outwards.
inline double interval_coverage(std::vector<double> const& targets, sample_rows const& quantiles, std::size_t low,
                                std::size_t high, double low_shift = 0, double high_shift = 0) {
    auto ends = sample_rows(targets.size(), 2);
    for (std::size_t i = 0; i < targets.size(); ++i) {
        ends(i, 0) = quantiles(i, low) - low_shift;
        ends(i, 1) = quantiles(i, high) + high_shift;
    }
    auto result = std::array{0.0};
    for_each_row(execution::along{}, metric::interval_coverage{}, shared_row(targets), ends.columns(0, 1),
                 ends.columns(1, 1), result);
    return result[0];
}

/// The symmetric conformal shift of the interval between two levels, from a calibration set.
inline double conformal_shift(std::vector<double> const& targets, sample_rows const& quantiles, std::size_t low,
                              std::size_t high, double alpha) {
    auto shift = std::array{0.0};
    for_each_row(execution::along{}, estimator::conformalized_quantiles{alpha}, shared_row(targets),
                 quantiles.columns(low, 1), quantiles.columns(high, 1), shift);
    return shift[0];
}

inline auto training_data(sample_rows const& predictions, std::vector<double> const& targets) {
    return solver::quantile_data<decltype(predictions.in()), double>{predictions.in(), targets, levels, no_margin};
}

/// One row of logits for all samples, by full-batch Adam on the mean pinball loss from zero.
template <class G>
std::vector<double> fit_global(sample_rows const& predictions, std::vector<double> const& targets, G granularity,
                               std::size_t steps, double learning_rate) {
    auto objective = solver::quantile_objective(simd, training_data(predictions, targets), granularity);
    auto fit = solver::global_quantile_fit(std::move(objective), solver::adam{.learning_rate = learning_rate});
    for (std::size_t t = 0; t < steps; ++t) fit.step();
    return {fit.logits().begin(), fit.logits().end()};
}

template <class G>
sample_rows aggregate_global(sample_rows const& predictions, std::vector<double> const& logits, G granularity) {
    auto quantiles = sample_rows(predictions.samples, level_count);
    weighting::quantile_aggregator<double, G>(predictions.length / level_count, level_count, granularity)
        .forward(simd, predictions.in(), shared_row(logits), quantiles.out());
    return quantiles;
}

/// All-zero logits: the plain average over the models.
inline sample_rows plain_average(sample_rows const& predictions) {
    return aggregate_global(predictions, std::vector<double>(predictions.length / level_count), granularity::coarse{});
}

/// Logits linear in the features, from zero, by the same means; returns the network.
template <class G, std::size_t Models, std::size_t Features>
auto fit_local(sample_rows const& features, sample_rows const& predictions, std::vector<double> const& targets,
               G granularity, std::size_t steps, solver::adam<> rule) {
    constexpr auto weights = weighting::weight_count(G{}, Models, level_count);
    auto fit =
        solver::local_quantile_fit(solver::quantile_objective(simd, training_data(predictions, targets), granularity),
                                   policy::mlp<double, policy::dense<Features, weights>>{}, rule, features.in());
    for (std::size_t t = 0; t < steps; ++t) fit.step();
    return fit.network();
}

template <class G, class Network>
sample_rows aggregate_local(sample_rows const& features, sample_rows const& predictions, Network const& network,
                            G granularity) {
    auto tape = typename Network::tape(predictions.samples);
    auto quantiles = sample_rows(predictions.samples, level_count);
    weighting::quantile_aggregator<double, G>(predictions.length / level_count, level_count, granularity)
        .forward(simd, predictions.in(), network.forward(features.in(), tape), quantiles.out());
    return quantiles;
}

} // namespace quantile_gallery
