#include "results.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "input_error.hpp"
#include "statistics.hpp"

namespace gallery {
namespace {

using json = nlohmann::ordered_json;

constexpr int format = 1; // of the stored files

// JSON has no infinities and no NaN: they are written as strings.
json encode(double value) { return std::isfinite(value) ? json(value) : json(full_precision(value)); }

double decode(json const& value) {
    if (value.is_number()) return value.get<double>();
    auto const& text = value.get_ref<std::string const&>();
    if (text == "inf") return unbounded;
    if (text == "-inf") return -unbounded;
    if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
    throw std::invalid_argument(fmt::format("'{}' is not a number", text));
}

json interval(double low, double high) { return json::array({encode(low), encode(high)}); }

json encode(std::vector<double> const& values) {
    auto list = json::array();
    for (auto const value : values) list.push_back(encode(value));
    return list;
}

std::vector<double> decode_list(json const& list) {
    std::vector<double> values;
    for (auto const& value : list) values.push_back(decode(value));
    return values;
}

json encode(outcome const& of) {
    json measurements = json::array();
    for (auto const& m : of.measurements)
        measurements.push_back({{"name", m.name},
                                {"paper", m.paper},
                                {"values", encode(m.values)},
                                {"accepted", interval(m.accepted.low, m.accepted.high)},
                                {"every_seed", m.every_seed}});
    json plots = json::array();
    for (auto const& p : of.plots) {
        json curves = json::array();
        for (auto const& c : p.curves)
            curves.push_back({{"name", c.name},
                              {"style", static_cast<int>(c.style)},
                              {"x", encode(c.x)},
                              {"y", encode(c.y)},
                              {"low", encode(c.low)},
                              {"high", encode(c.high)}});
        plots.push_back({{"name", p.name},
                         {"title", p.title},
                         {"x_label", p.x_label},
                         {"y_label", p.y_label},
                         {"log_x", p.log_x},
                         {"log_y", p.log_y},
                         {"categories", p.categories},
                         {"curves", std::move(curves)}});
    }
    return {{"measurements", std::move(measurements)}, {"plots", std::move(plots)}, {"reading", of.reading}};
}

outcome decode_outcome(json const& stored) {
    outcome of{.reading = stored.at("reading")};
    for (auto const& m : stored.at("measurements"))
        of.measurements.push_back(
            {.name = m.at("name"),
             .paper = m.at("paper"),
             .values = decode_list(m.at("values")),
             .accepted = {.low = decode(m.at("accepted").at(0)), .high = decode(m.at("accepted").at(1))},
             .every_seed = m.at("every_seed")});
    for (auto const& p : stored.at("plots")) {
        plot read{.name = p.at("name"),
                  .title = p.at("title"),
                  .x_label = p.at("x_label"),
                  .y_label = p.at("y_label"),
                  .log_x = p.at("log_x"),
                  .log_y = p.at("log_y"),
                  .categories = p.at("categories").get<std::vector<std::string>>()};
        for (auto const& c : p.at("curves"))
            read.curves.push_back({.name = c.at("name"),
                                   .x = decode_list(c.at("x")),
                                   .y = decode_list(c.at("y")),
                                   .low = decode_list(c.at("low")),
                                   .high = decode_list(c.at("high")),
                                   .style = static_cast<curve::styles>(c.at("style").get<int>())});
        of.plots.push_back(std::move(read));
    }
    return of;
}

std::filesystem::path file_of(output_folder const& folder, result const& of) {
    return folder.results() / (of.experiment.name + ".json");
}

std::string csv_text(std::string_view text) {
    std::string quoted = "\"";
    for (char const letter : text) quoted.append(letter == '"' ? 2 : 1, letter);
    return quoted + '"';
}

void check(plot const& of, curve const& c) {
    auto const refuse = [&](std::string_view why) {
        throw std::invalid_argument(fmt::format("plot '{}', curve '{}': {}", of.name, c.name, why));
    };
    if (of.categories.empty()) {
        if (c.style == curve::styles::bars) refuse("bars need categories");
        if (c.x.size() != c.y.size()) refuse(fmt::format("{} x for {} y", c.x.size(), c.y.size()));
    } else if (c.y.size() != of.categories.size()) {
        refuse(fmt::format("{} bars for {} categories", c.y.size(), of.categories.size()));
    }
    if (c.low.size() != c.high.size() || (!c.low.empty() && c.low.size() != c.y.size()))
        refuse(fmt::format("a band of {} low and {} high around {} y", c.low.size(), c.high.size(), c.y.size()));
    bool drawable = false;
    for (std::size_t i = 0; i < c.y.size(); ++i)
        drawable = drawable || (std::isfinite(c.y[i]) && (!of.log_y || c.y[i] > 0) &&
                                (!of.categories.empty() || (std::isfinite(c.x[i]) && (!of.log_x || c.x[i] > 0))));
    if (!drawable) refuse("no point can be drawn on these axes");
}

} // namespace

bool result::in_band() const {
    return finished && !failed() &&
           std::all_of(outcome.measurements.begin(), outcome.measurements.end(),
                       [](measurement const& m) { return summarize(m).in_band; });
}

bool is_file_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

void check(outcome const& of) {
    auto const refuse = [](std::string const& why) { throw std::invalid_argument(why); };
    if (of.measurements.empty()) refuse("the experiment measured nothing");
    std::set<std::string> names;
    for (auto const& m : of.measurements) {
        if (m.values.empty()) refuse(fmt::format("measurement '{}' has no value", m.name));
        if (!names.insert(m.name).second) refuse(fmt::format("measurement '{}' is named twice", m.name));
        if (!(m.accepted.low <= m.accepted.high)) refuse(fmt::format("measurement '{}' has an empty band", m.name));
    }
    names.clear();
    for (auto const& p : of.plots) {
        if (!is_file_name(p.name)) refuse(fmt::format("plot '{}': expected letters, digits, '-' and '_'", p.name));
        if (!names.insert(p.name).second) refuse(fmt::format("plot '{}' is named twice", p.name));
        if (p.curves.empty()) refuse(fmt::format("plot '{}' has no curve", p.name));
        if (!p.categories.empty() && p.log_x) refuse(fmt::format("plot '{}': categories have no logarithm", p.name));
        for (auto const& c : p.curves) check(p, c);
    }
}

result_store::result_store(output_folder const& folder, std::string fingerprint)
    : folder_(folder), fingerprint_(std::move(fingerprint)) {}

outcome result_store::save(result const& of) const {
    json const stored{{"format", format},           {"name", of.experiment.name},  {"seeds", of.settings.seeds},
                      {"quick", of.settings.quick}, {"fingerprint", fingerprint_}, {"outcome", encode(of.outcome)}};
    auto const text = stored.dump(1) + '\n';
    write_atomically(file_of(folder_, of), text);
    return decode_outcome(json::parse(text).at("outcome"));
}

std::optional<outcome> result_store::load(result const& of) const {
    auto const file = file_of(folder_, of);
    if (!std::filesystem::is_regular_file(file)) return std::nullopt;
    try {
        auto const stored = json::parse(read_text(file));
        if (stored.at("format") != format || stored.at("name") != of.experiment.name ||
            stored.at("seeds") != of.settings.seeds || stored.at("quick") != of.settings.quick ||
            stored.at("fingerprint") != fingerprint_)
            return std::nullopt;
        auto read = decode_outcome(stored.at("outcome"));
        check(read);
        return read;
    } catch (std::exception const&) {
        return std::nullopt; // edited or damaged: computed anew
    }
}

totals count(std::vector<result> const& results) {
    totals sum;
    for (auto const& r : results) {
        sum.failed_experiments += r.failed();
        for (auto const& m : r.outcome.measurements) {
            ++sum.measurements;
            sum.in_band += summarize(m).in_band;
        }
    }
    return sum;
}

std::string summary_json(std::vector<result> const& results) {
    auto const sum = count(results);
    json experiments = json::array();
    for (auto const& r : results) {
        json measurements = json::array();
        for (auto const& m : r.outcome.measurements) {
            auto const s = summarize(m);
            json confidence = nullptr; // a single value has none
            if (m.values.size() > 1) confidence = interval(s.mean - s.half_width, s.mean + s.half_width);
            measurements.push_back({{"name", m.name},
                                    {"paper", m.paper},
                                    {"mean", encode(s.mean)},
                                    {"confidence_95", std::move(confidence)},
                                    {"minimum", encode(s.minimum)},
                                    {"maximum", encode(s.maximum)},
                                    {"accepted", interval(m.accepted.low, m.accepted.high)},
                                    {"every_seed", m.every_seed},
                                    {"in_band", s.in_band},
                                    {"values", encode(m.values)}});
        }
        json entry{
            {"name", r.experiment.name},   {"method", r.method.slug},
            {"title", r.experiment.title}, {"seeds", r.settings.seeds},
            {"quick", r.settings.quick},   {"status", r.failed() ? "failed" : r.in_band() ? "in band" : "out of band"}};
        if (r.failed()) entry["error"] = r.error;
        entry["measurements"] = std::move(measurements);
        experiments.push_back(std::move(entry));
    }
    return json{{"measurements", sum.measurements},
                {"in_band", sum.in_band},
                {"failed_experiments", sum.failed_experiments},
                {"experiments", std::move(experiments)}}
               .dump(2, ' ', false, json::error_handler_t::replace) +
           '\n';
}

std::string measurements_csv(std::vector<result> const& results) {
    std::string text = "method,experiment,measurement,seed,value,accepted_low,accepted_high,measurement_in_band\n";
    for (auto const& r : results)
        for (auto const& m : r.outcome.measurements)
            for (std::size_t seed = 0; seed < m.values.size(); ++seed)
                text += fmt::format("{},{},{},{},{},{},{},{}\n", r.method.slug, r.experiment.name, csv_text(m.name),
                                    seed, full_precision(m.values[seed]), full_precision(m.accepted.low),
                                    full_precision(m.accepted.high), summarize(m).in_band ? 1 : 0);
    return text;
}

std::string plot_csv(plot const& of) {
    bool const bars = !of.categories.empty();
    std::string text = fmt::format("curve,{},y,low,high\n", bars ? "category" : "x");
    for (auto const& c : of.curves)
        for (std::size_t i = 0; i < c.y.size(); ++i)
            text += fmt::format("{},{},{},{},{}\n", csv_text(c.name),
                                bars ? csv_text(of.categories[i]) : full_precision(c.x[i]), full_precision(c.y[i]),
                                c.low.empty() ? "" : full_precision(c.low[i]),
                                c.high.empty() ? "" : full_precision(c.high[i]));
    return text;
}

std::string full_precision(double value) { return std::isnan(value) ? "nan" : fmt::format("{}", value); }

} // namespace gallery
