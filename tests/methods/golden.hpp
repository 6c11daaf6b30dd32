#pragma once

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

/// Golden vectors: JSON files of cases {name, function, inputs, params, expected, tolerance}. A method's test gives one
/// function per name, and `check` runs every case of the method's file through it.
namespace golden {

using json = nlohmann::json;
using function = std::function<json(json const& inputs, json const& params)>;
using functions = std::map<std::string, function>;

inline std::filesystem::path directory() {
    auto const* chosen = std::getenv("POISE_GOLDEN_DIR");
    return chosen != nullptr && *chosen != '\0' ? chosen : POISE_GOLDEN_DIR_DEFAULT;
}

/// The methods that have a test, so that a file without one is noticed.
inline std::set<std::string>& tested_methods() {
    static auto methods = std::set<std::string>{};
    return methods;
}

/// Registers a method under the name of its file: `golden::method const pld{"pld"};`
struct method {
    std::string slug;
    explicit method(std::string name) : slug(std::move(name)) { tested_methods().insert(slug); }
};

inline double to_number(json const& value) {
    if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
    if (value.is_string()) {
        auto const text = value.get<std::string>();
        if (text == "inf") return std::numeric_limits<double>::infinity();
        if (text == "-inf") return -std::numeric_limits<double>::infinity();
        if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
        throw std::runtime_error("not a number: '" + text + "'");
    }
    return value.get<double>();
}

/// Whether an option was left out: absent, null or "none".
inline bool left_out(json const& options, std::string const& name) {
    return !options.contains(name) || options[name].is_null() || options[name] == "none";
}

/// All numbers of a (nested) array in row-major order.
template <class T>
std::vector<T> flat(json const& value) {
    auto numbers = std::vector<T>{};
    auto const visit = [&](auto const& self, json const& node) -> void {
        if (node.is_array())
            for (auto const& child : node) self(self, child);
        else
            numbers.push_back(static_cast<T>(to_number(node)));
    };
    visit(visit, value);
    return numbers;
}

/// A flat range as an array of rows.
template <class Range>
json rows(Range const& values, std::size_t length) {
    auto result = json::array();
    for (std::size_t i = 0; i < values.size(); i += length) {
        auto row = json::array();
        for (std::size_t k = 0; k < length; ++k) row.push_back(values[i + k]);
        result.push_back(row);
    }
    return result;
}

/// The first difference between what came and what is expected, or "".
inline std::string difference(json const& actual, json const& expected, double tolerance, std::string const& where) {
    if (expected.is_object()) {
        for (auto const& [key, value] : expected.items()) {
            if (!actual.is_object() || !actual.contains(key)) return where + "." + key + ": missing";
            if (auto text = difference(actual[key], value, tolerance, where + "." + key); !text.empty()) return text;
        }
        return "";
    }
    if (expected.is_array()) {
        if (!actual.is_array() || actual.size() != expected.size())
            return where + ": expected " + std::to_string(expected.size()) + " elements, got " +
                   actual.dump().substr(0, 80);
        for (std::size_t i = 0; i < expected.size(); ++i) {
            auto text = difference(actual[i], expected[i], tolerance, where + "[" + std::to_string(i) + "]");
            if (!text.empty()) return text;
        }
        return "";
    }
    if (expected.is_null()) return actual.is_null() ? "" : where + ": expected null, got " + actual.dump();
    auto const e = to_number(expected);
    // A JSON dump writes NaN and infinities as null; in memory they are still numbers.
    auto const a = actual.is_number_float() ? actual.get<double>() : to_number(actual);
    auto const same = std::isnan(e)   ? std::isnan(a)
                      : std::isinf(e) ? a == e
                                      : std::abs(a - e) <= tolerance * (1 + std::abs(e));
    if (same) return "";
    char text[200];
    std::snprintf(text, sizeof text, ": expected %.17g, got %.17g, tolerance %.3g", e, a, tolerance);
    return where + text;
}

/// For solvers: value v passes against an optimum when optimum - 1e-9 <= v <= optimum (1 + r).
inline std::string above_optimum(json const& actual, json const& expected, double r) {
    for (auto const& [key, value] : expected.items()) {
        if (!actual.contains(key)) return key + ": missing";
        auto const optimum = to_number(value), v = to_number(actual[key]);
        if (!(optimum - 1e-9 <= v && v <= optimum * (1 + r)))
            return key + ": optimum " + std::to_string(optimum) + ", got " + std::to_string(v);
    }
    return "";
}

/// Runs every case of the method's file, prints how many passed, and fails the test case for each that did not. The
/// tolerance is the case's own, or `least_tolerance` where that is larger (for `float`: state why).
inline void check(method const& tested, std::string const& label, functions const& known, double least_tolerance = 0) {
    auto const path = directory() / (tested.slug + ".json");
    if (!std::filesystem::exists(path)) {
        MESSAGE("golden " << tested.slug << " [" << label << "]: no file " << path.string());
        CHECK(std::getenv("POISE_GOLDEN_DIR") != nullptr); // another directory need not hold every method
        return;
    }
    auto const file = json::parse(std::ifstream(path));
    auto passed = 0, failed = 0;
    for (auto const& item : file.at("cases")) {
        auto const name = item.at("function").get<std::string>() + " '" + item.value("name", "") + "'";
        auto problem = std::string{};
        try {
            auto const found = known.find(item.at("function").get<std::string>());
            auto const params = item.value("params", json::object());
            if (found == known.end())
                problem = "unknown function";
            else {
                auto const actual = found->second(item.at("inputs"), params);
                if (params.contains("accept_relative_above"))
                    problem = above_optimum(actual, item.at("expected"), params["accept_relative_above"].get<double>());
                else
                    problem = difference(actual, item.at("expected"),
                                         std::max(item.value("tolerance", 1e-9), least_tolerance), "");
            }
        } catch (std::exception const& error) {
            problem = error.what();
        }
        (problem.empty() ? passed : failed) += 1;
        if (!problem.empty()) {
            auto const text = "golden " + tested.slug + " [" + label + "] " + name + ": " + problem;
            FAIL_CHECK(text);
        }
    }
    std::printf("golden %s.json [%s]: %d passed, %d failed\n", tested.slug.c_str(), label.c_str(), passed, failed);
    CHECK(passed + failed > 0);
}

} // namespace golden
