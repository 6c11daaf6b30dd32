#include "own_data.hpp"
#include "quantile_models.hpp"
#include "runner/input_error.hpp"

#include <fmt/format.h>

#include <ostream>

namespace {

using namespace quantile_gallery;

constexpr auto least_rows = std::size_t{40};
constexpr auto most_rows = std::size_t{3000}; // nearest neighbours take quadratic time
constexpr auto most_features = std::size_t{128};
constexpr auto splits = std::size_t{5};

/// |correlation| of a feature with the target.
double relevance(table const& data, std::size_t feature) {
    auto column = data.y;
    for (std::size_t i = 0; i < data.rows(); ++i) column[i] = data.at(i, feature);
    auto const spread = deviation_of(column) * deviation_of(data.y);
    auto const centre = mean_of(column), target_centre = mean_of(data.y);
    auto const product = sum([=](auto x, auto y) { return (x - centre) * (y - target_centre); },
                             row<double const>(column), row<double const>(data.y));
    return spread > 0 ? std::abs(product) / (spread * static_cast<double>(data.rows())) : 0;
}

/// The features that are most correlated with the target, in their old order.
table most_relevant(table const& data, std::size_t count) {
    auto order = std::vector<std::size_t>(data.features);
    std::iota(order.begin(), order.end(), std::size_t{0});
    auto scores = std::vector<double>(data.features);
    for (std::size_t f = 0; f < data.features; ++f) scores[f] = relevance(data, f);
    std::ranges::sort(order, [&](auto a, auto b) { return std::pair(-scores[a], a) < std::pair(-scores[b], b); });
    order.resize(count);
    std::ranges::sort(order);
    auto result = table{.features = count, .y = data.y};
    for (std::size_t i = 0; i < data.rows(); ++i)
        for (auto const f : order) result.x.push_back(data.at(i, f));
    return result;
}

split_result evaluate(table const& data, std::size_t split) {
    constexpr auto steps = std::size_t{300};
    if (data.features <= 16) return evaluate_split<16>(data, split, steps);
    return evaluate_split<most_features>(data, split, steps);
}

} // namespace

namespace gallery {

int aggregate_csv(csv_table const& file, std::size_t target, std::ostream& out) {
    auto const name = file.columns[target];
    auto const refuse = [&](std::string const& why) {
        throw input_error(fmt::format("{}: {}", file.file.string(), why));
    };
    if (file.columns.size() < 2) refuse("only one column: there is nothing to predict the target from");
    if (file.rows() < least_rows)
        refuse(fmt::format("{} rows of numbers; at least {} are needed to train, calibrate and test", file.rows(),
                           least_rows));

    auto all = table{.features = file.columns.size() - 1};
    for (std::size_t i = 0; i < file.rows(); ++i) {
        all.y.push_back(file(i, target));
        for (std::size_t c = 0; c < file.columns.size(); ++c)
            if (c != target) all.x.push_back(file(i, c));
    }
    if (!(deviation_of(all.y) > 0)) refuse(fmt::format("the column '{}' is constant", name));
    auto order = std::vector<std::size_t>(all.rows());
    random::permutation(random::address{.seed = 11}, order);
    order.resize(std::min(order.size(), most_rows));
    auto data = all.part(order);
    if (data.features > most_features) data = most_relevant(data, most_features);

    auto scores = std::vector<std::pair<std::string, std::vector<double>>>{};
    auto weights = std::array<double, base_models.size()>{};
    auto raw = 0.0, conformal = 0.0;
    for (std::size_t split = 0; split < splits; ++split) {
        auto const r = evaluate(data, split);
        auto const values =
            std::vector<std::pair<std::string, double>>{{"quantiles of the target alone", r.unconditional},
                                                        {base_models[0], r.base[0]},
                                                        {base_models[1], r.base[1]},
                                                        {base_models[2], r.base[2]},
                                                        {"plain average", r.average},
                                                        {"weight per model", r.coarse},
                                                        {"weight per model and level", r.medium},
                                                        {"weight per model and pair of levels", r.fine},
                                                        {"weight per model, varying with the row", r.local_coarse}};
        scores.resize(values.size());
        for (std::size_t k = 0; k < values.size(); ++k) {
            scores[k].first = values[k].first;
            scores[k].second.push_back(values[k].second);
        }
        for (std::size_t j = 0; j < weights.size(); ++j) weights[j] += r.coarse_weights[j] / double(splits);
        raw += r.raw_coverage / double(splits);
        conformal += r.conformal_coverage / double(splits);
    }

    out << fmt::format("Quantiles of '{}' from {} columns, {} rows", name, all.features, all.rows());
    if (data.rows() < all.rows()) out << fmt::format(" (a random {} of them used)", data.rows());
    if (data.features < all.features)
        out << fmt::format(" (the {} columns most correlated with it used)", data.features);
    out << fmt::format("\n{} random splits: 50 % train the models and weights, 20 % calibrate, 30 % test.\n\n", splits);
    out << "Weighted interval score on test rows, levels 0.1 ... 0.9 (lower is better; in units of the target)\n";
    for (auto const& [label, values] : scores)
        out << fmt::format("  {:<42} {:>12.5g}   ({:.5g} to {:.5g})\n", label, mean_of(values),
                           *std::ranges::min_element(values), *std::ranges::max_element(values));
    out << "\nFitted weights, one per model\n";
    for (std::size_t j = 0; j < weights.size(); ++j)
        out << fmt::format("  {:<42} {:>12.3f}\n", base_models[j], weights[j]);
    out << fmt::format(
        "\nTest rows inside the 80 % interval: {:.1f} % as fitted, {:.1f} % after conformal calibration\n", 100 * raw,
        100 * conformal);
    return 0;
}

} // namespace gallery
