#pragma once

#include "quantile_scores.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>

/// Quantile aggregation on a table of numbers: three base models, out-of-fold predictions for fitting the weights,
/// scores on rows held out, conformal calibration. For the diabetes experiment and for the user's own file.
namespace quantile_gallery {

/// Rows of features with their targets.
struct table {
    std::size_t features = 0;
    std::vector<double> x{}; ///< row after row
    std::vector<double> y{};

    std::size_t rows() const { return y.size(); }
    double at(std::size_t i, std::size_t f) const { return x[i * features + f]; }
    table part(std::vector<std::size_t> const& chosen) const {
        auto result = table{.features = features};
        for (auto const i : chosen) {
            result.y.push_back(y[i]);
            for (std::size_t f = 0; f < features; ++f) result.x.push_back(at(i, f));
        }
        return result;
    }
};

inline double deviation_of(std::vector<double> const& values) { return standard_deviation(row<double const>(values)); }

/// Features and targets to mean 0 and standard deviation 1 over the training rows; constant columns become 0.
class standardisation {
public:
    explicit standardisation(table const& train) : scale_(train.features + 1), centre_(train.features + 1) {
        for (std::size_t f = 0; f <= train.features; ++f) {
            auto column = train.y;
            if (f < train.features)
                for (std::size_t i = 0; i < train.rows(); ++i) column[i] = train.at(i, f);
            auto const spread = deviation_of(column);
            centre_[f] = mean_of(column);
            scale_[f] = spread > 0 ? 1 / spread : (f < train.features ? 0 : 1);
        }
    }
    table operator()(table data) const {
        for (std::size_t i = 0; i < data.rows(); ++i) {
            for (std::size_t f = 0; f < data.features; ++f)
                data.x[i * data.features + f] = (data.at(i, f) - centre_[f]) * scale_[f];
            data.y[i] = (data.y[i] - centre_.back()) * scale_.back();
        }
        return data;
    }
    double target_deviation() const { return 1 / scale_.back(); }

private:
    std::vector<double> scale_;
    std::vector<double> centre_;
};

inline constexpr std::array base_models{"linear quantile regression", "nearest neighbours", "neural network"};

/// A network with `Width` inputs (features beyond the table's are 0), trained by Adam on the pinball loss, in batches
/// of 256.
template <std::size_t Width, class... Layers>
class quantile_network {
    using network_type = policy::mlp<double, Layers...>;

public:
    quantile_network(table const& train, std::size_t seed, std::size_t steps, double learning_rate, double weight_decay)
        : network_(policy::initialization::glorot{}, random::address{.seed = seed}) {
        auto const batch_rows = std::min<std::size_t>(train.rows(), 256);
        auto tape = typename network_type::tape(batch_rows);
        auto gradient = std::vector<double>(network_type::parameter_count);
        auto descent =
            solver::optimizer(solver::adam{.learning_rate = learning_rate, .weight_decay = weight_decay}, gradient);
        auto losses = sample_rows(batch_rows, level_count), slopes = losses;
        auto targets = std::vector<double>(batch_rows);
        auto features = sample_rows(batch_rows, Width);
        auto order = std::vector<std::size_t>(train.rows());
        auto next = train.rows();
        for (std::size_t step = 0; step < steps; ++step) {
            for (std::size_t i = 0; i < batch_rows; ++i, ++next) {
                if (next == train.rows()) {
                    random::permutation(random::generator{.seed = seed, .replica = 1}.at(step, i), order);
                    next = 0;
                }
                targets[i] = train.y[order[next]];
                for (std::size_t f = 0; f < train.features; ++f) features(i, f) = train.at(order[next], f);
            }
            auto const quantiles = network_.forward(features.in(), tape);
            for_each_row(simd, objective::pinball{}, targets, quantiles, shared_row(levels), losses.out(),
                         slopes.out());
            std::fill(gradient.begin(), gradient.end(), 0.0);
            for (auto& slope : slopes.values) slope /= static_cast<double>(batch_rows);
            network_.pullback(tape, slopes.in(), row<double>(gradient));
            descent.step(row<double>(network_.parameters().data(), gradient.size()), row<double const>(gradient));
        }
    }

    sample_rows operator()(table const& data) const {
        auto tape = typename network_type::tape(data.rows());
        auto features = sample_rows(data.rows(), Width), result = sample_rows(data.rows(), level_count);
        for (std::size_t i = 0; i < data.rows(); ++i)
            for (std::size_t f = 0; f < data.features; ++f) features(i, f) = data.at(i, f);
        auto const quantiles = network_.forward(features.in(), tape);
        for (std::size_t i = 0; i < data.rows(); ++i)
            for (std::size_t k = 0; k < level_count; ++k) result(i, k) = quantiles(i, k);
        return monotonised<monotone::sorted>(result);
    }

private:
    network_type network_;
};

/// The empirical quantiles of the targets of the nearest training rows.
inline sample_rows neighbour_quantiles(table const& train, table const& data) {
    auto const count = std::clamp<std::size_t>(2 * std::size_t(std::sqrt(double(train.rows()))), 1, train.rows());
    auto nearest = sample_rows(data.rows(), count), result = sample_rows(data.rows(), level_count);
    auto distance = std::vector<std::pair<double, std::size_t>>(train.rows());
    for (std::size_t i = 0; i < data.rows(); ++i) {
        for (std::size_t t = 0; t < train.rows(); ++t) {
            auto total = 0.0;
            for (std::size_t f = 0; f < train.features; ++f)
                total += (data.at(i, f) - train.at(t, f)) * (data.at(i, f) - train.at(t, f));
            distance[t] = {total, t};
        }
        std::ranges::nth_element(distance, distance.begin() + static_cast<std::ptrdiff_t>(count - 1));
        for (std::size_t k = 0; k < count; ++k) nearest(i, k) = train.y[distance[k].second];
    }
    for_each_row(execution::sequential{}, estimator::empirical_quantiles{}, nearest.in(), shared_row(levels),
                 result.out());
    return result;
}

/// The predictions of the base models, fitted on standardised rows: a row of models x levels per row of `data`.
template <std::size_t Width>
sample_rows base_predictions(table const& train, table const& data, std::size_t seed, std::size_t steps) {
    using policy::dense;
    auto const linear = quantile_network<Width, dense<Width, level_count>>(train, seed, steps, 0.02, 1e-3);
    auto const network = quantile_network<Width, dense<Width, 16, policy::activation::elu>, dense<16, level_count>>(
        train, seed, steps / 2, 0.01, 3e-3);
    auto const models = std::array{linear(data), neighbour_quantiles(train, data), network(data)};
    auto result = sample_rows(data.rows(), models.size() * level_count);
    for (std::size_t j = 0; j < models.size(); ++j)
        std::ranges::copy(models[j].values,
                          result.values.begin() + static_cast<std::ptrdiff_t>(j * models[j].values.size()));
    return result;
}

/// Predictions for each training row by models that did not see its fold.
template <std::size_t Width>
sample_rows out_of_fold_predictions(table const& train, std::size_t folds, std::size_t seed, std::size_t steps) {
    auto result = sample_rows(train.rows(), base_models.size() * level_count);
    for (std::size_t fold = 0; fold < folds; ++fold) {
        auto seen = std::vector<std::size_t>{}, unseen = seen;
        for (std::size_t i = 0; i < train.rows(); ++i) (i % folds == fold ? unseen : seen).push_back(i);
        auto const predicted = base_predictions<Width>(train.part(seen), train.part(unseen), seed, steps);
        for (std::size_t i = 0; i < unseen.size(); ++i)
            for (std::size_t k = 0; k < result.length; ++k) result(unseen[i], k) = predicted(i, k);
    }
    return result;
}

/// What one split into training, calibration and test rows gives; scores are test WIS in units of the target.
struct split_result {
    std::array<double, base_models.size()> base{};
    double unconditional = 0; ///< the training targets' empirical quantiles, for every row
    double average = 0;
    double coarse = 0;
    double medium = 0;
    double fine = 0;
    double local_coarse = 0;
    double fine_unsorted = 0;
    double rows_made_worse = 0; ///< by sorting the aggregates
    double raw_coverage = 0;    ///< of the interval between the outer levels of the coarse aggregate
    double conformal_coverage = 0;
    std::vector<double> level_coverage{};
    std::array<double, base_models.size()> coarse_weights{};
};

/// Half of the rows train the base models and, out of fold, the weights; a fifth calibrates, the rest tests.
template <std::size_t Width>
split_result evaluate_split(table const& data, std::size_t split, std::size_t steps) {
    auto order = std::vector<std::size_t>(data.rows());
    random::permutation(random::address{.seed = split, .replica = 7}, order);
    auto const cut = [&](double from, double to) {
        auto const at = [&](double share) {
            return order.begin() + static_cast<std::ptrdiff_t>(share * double(order.size()));
        };
        return data.part({at(from), at(to)});
    };
    auto const raw_train = cut(0, 0.5);
    auto const standardise = standardisation(raw_train);
    auto const train = standardise(raw_train), calibration = standardise(cut(0.5, 0.7)),
               test = standardise(cut(0.7, 1));
    auto const unit = standardise.target_deviation();

    auto const for_weights = out_of_fold_predictions<Width>(train, 5, split, steps);
    auto held_out = calibration; // one fit of the base models predicts both
    held_out.x.insert(held_out.x.end(), test.x.begin(), test.x.end());
    held_out.y.insert(held_out.y.end(), test.y.begin(), test.y.end());
    auto const both = base_predictions<Width>(train, held_out, split, steps);
    auto const rows_between = [](sample_rows const& all, std::size_t first, std::size_t last) {
        auto part = sample_rows(last - first, all.length);
        for (std::size_t i = first; i < last; ++i)
            for (std::size_t k = 0; k < all.length; ++k) part(i - first, k) = all(i, k);
        return part;
    };
    auto const predictions = rows_between(both, calibration.rows(), both.samples);

    auto result = split_result{};
    auto const sorted_score = [&](sample_rows const& quantiles) {
        auto const before = interval_scores(test.y, quantiles),
                   after = interval_scores(test.y, monotonised<monotone::sorted>(quantiles));
        result.rows_made_worse += rows_made_worse(before, after);
        return unit * mean_of(after);
    };
    for (std::size_t j = 0; j < base_models.size(); ++j) result.base[j] = unit * score(test.y, predictions.model(j));
    auto unconditional = std::vector<double>(level_count);
    for_each_row(execution::sequential{}, estimator::empirical_quantiles{}, shared_row(train.y), shared_row(levels),
                 rows_of(unconditional.data(), 1, level_count));
    auto everywhere = sample_rows(test.rows(), level_count);
    for (std::size_t k = 0; k < level_count; ++k)
        for (std::size_t i = 0; i < test.rows(); ++i) everywhere(i, k) = unconditional[k];
    result.unconditional = unit * score(test.y, everywhere);
    result.average = sorted_score(plain_average(predictions));

    auto const globally = [&](auto granularity) {
        auto const logits = fit_global(for_weights, train.y, granularity, 300, 0.05);
        return std::pair{logits, aggregate_global(predictions, logits, granularity)};
    };
    auto const [coarse_logits, coarse] = globally(granularity::coarse{});
    auto const fine = globally(granularity::fine{}).second;
    result.coarse = sorted_score(coarse);
    result.medium = sorted_score(globally(granularity::medium{}).second);
    result.fine = sorted_score(fine);
    result.fine_unsorted = unit * score(test.y, fine);
    softmax(row<double>(result.coarse_weights), row<double const>(coarse_logits));

    auto const inputs = [](table const& rows) {
        auto features = sample_rows(rows.rows(), Width);
        for (std::size_t i = 0; i < rows.rows(); ++i)
            for (std::size_t f = 0; f < rows.features; ++f) features(i, f) = rows.at(i, f);
        return features;
    };
    auto const network = fit_local<granularity::coarse, base_models.size(), Width>(
        inputs(train), for_weights, train.y, granularity::coarse{}, 100, {.learning_rate = 0.02, .weight_decay = 1e-3});
    result.local_coarse = sorted_score(aggregate_local(inputs(test), predictions, network, granularity::coarse{}));

    auto const last = level_count - 1;
    auto const calibrating = monotonised<monotone::sorted>(
        aggregate_global(rows_between(both, 0, calibration.rows()), coarse_logits, granularity::coarse{}));
    auto const testing = monotonised<monotone::sorted>(coarse);
    auto const shift = conformal_shift(calibration.y, calibrating, 0, last, 2 * levels[0]);
    result.raw_coverage = interval_coverage(test.y, testing, 0, last);
    result.conformal_coverage = interval_coverage(test.y, testing, 0, last, shift, shift);
    result.level_coverage = coverages(test.y, testing);
    return result;
}

} // namespace quantile_gallery
