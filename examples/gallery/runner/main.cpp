#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "../experiment.hpp"
#include "../own_data.hpp"
#include "csv.hpp"
#include "files.hpp"
#include "input_error.hpp"
#include "preflib.hpp"
#include "report.hpp"
#include "results.hpp"
#include "schedule.hpp"
#include "statistics.hpp"

#ifndef POISE_GALLERY_DATA
#define POISE_GALLERY_DATA "examples/data"
#endif

namespace gallery {
namespace {

constexpr int good = 0;
constexpr int out_of_band = 1;
constexpr int bad_input = 2;

struct options {
    std::vector<std::string> wanted{};
    bool all = false;
    bool quick = false;
    bool json = false;
    bool resume = false;
    std::size_t seeds = 0; // 0: as many as the experiment says
    std::size_t threads = std::max(1u, std::thread::hardware_concurrency());
    std::filesystem::path output = "report";
    std::filesystem::path data = POISE_GALLERY_DATA;
    std::string preflib{};
    std::string csv{};
    std::string target{};
};

/// All experiments, ordered by method and name; throws std::logic_error for names that would collide.
std::vector<registered_experiment> sorted_registry() {
    auto experiments = registry();
    std::sort(experiments.begin(), experiments.end(), [](auto const& a, auto const& b) {
        return std::tie(a.method.slug, a.experiment.name) < std::tie(b.method.slug, b.experiment.name);
    });
    std::set<std::string> names;
    for (auto const& [method, experiment] : experiments) {
        auto const& name = experiment.name;
        if (!is_file_name(name) || !name.starts_with(method.slug) || !experiment.run || !names.insert(name).second)
            throw std::logic_error(
                fmt::format("experiment '{}' of '{}': expected a function and a name that is unique, "
                            "starts with the method's and has only letters, digits, '-' and '_'",
                            name, method.slug));
    }
    return experiments;
}

int list() {
    for (auto const& [method, experiment] : sorted_registry())
        fmt::print("{:<24} {:<32} {}\n", method.slug, experiment.name, experiment.title);
    return good;
}

std::vector<result> select(options const& chosen) {
    auto const experiments = sorted_registry();
    auto const matches = [](registered_experiment const& e, std::string const& word) {
        return word == e.method.slug || word == e.experiment.name;
    };
    for (auto const& word : chosen.wanted)
        if (std::none_of(experiments.begin(), experiments.end(), [&](auto const& e) { return matches(e, word); })) {
            std::vector<std::string> known;
            for (auto const& e : experiments)
                if (known.empty() || known.back() != e.method.slug) known.push_back(e.method.slug);
            throw input_error(fmt::format("unknown method or experiment {}; the methods are: {}", shown(word),
                                          fmt::join(known, ", ")));
        }
    std::vector<result> results;
    for (auto const& e : experiments) {
        if (!chosen.all && std::none_of(chosen.wanted.begin(), chosen.wanted.end(),
                                        [&](auto const& word) { return matches(e, word); }))
            continue;
        auto const fewest =
            chosen.quick ? std::min<std::size_t>(e.experiment.default_seeds, 3) : e.experiment.default_seeds;
        results.push_back({.method = e.method,
                           .experiment = e.experiment,
                           .settings = {.seeds = chosen.seeds ? chosen.seeds : std::max<std::size_t>(fewest, 1),
                                        .quick = chosen.quick,
                                        .data = chosen.data}});
    }
    return results;
}

int run(options const& chosen) {
    if (!chosen.all && chosen.wanted.empty()) throw input_error("run what? Name methods or experiments, or give --all");
    if (chosen.all && !chosen.wanted.empty()) throw input_error("give either names or --all");
    auto results = select(chosen);
    if (!std::filesystem::is_directory(chosen.data))
        throw input_error(fmt::format("--data: there is no folder '{}'", chosen.data.string()));
    if (!is_installed("gnuplot"))
        throw input_error("gnuplot draws the plots and is not installed: apt-get install gnuplot-nox");

    output_folder const folder(chosen.output);
    result_store const store(folder, fingerprint(chosen.data));
    if (chosen.resume)
        for (auto& r : results)
            if (auto stored = store.load(r)) {
                r.outcome = std::move(*stored);
                r.finished = true;
            }
    run_all(results, store, chosen.threads);
    write_report(results, folder);

    auto const sum = count(results);
    if (chosen.json) {
        fmt::print("{}", summary_json(results));
    } else {
        for (auto const& r : results) {
            fmt::print("{:<12} {}\n",
                       r.failed()    ? "failed"
                       : r.in_band() ? "in band"
                                     : "OUT OF BAND",
                       r.experiment.name);
            if (r.failed()) fmt::print("             {}\n", r.error);
            for (auto const& m : r.outcome.measurements)
                if (auto const s = summarize(m); !s.in_band)
                    fmt::print(
                        "             {}: mean {:.5g}, minimum {:.5g}, maximum {:.5g}; accepted {:.5g} to {:.5g}\n",
                        m.name, s.mean, s.minimum, s.maximum, m.accepted.low, m.accepted.high);
        }
        fmt::print("{} of {} measurements in band", sum.in_band, sum.measurements);
        if (sum.failed_experiments) fmt::print(", {} experiments failed", sum.failed_experiments);
        fmt::print("\n{}\n", (chosen.output / "index.html").string());
    }
    return sum.good() ? good : out_of_band;
}

/// Shows the answer only when it is whole.
template <class Solve>
int answer(Solve solve) {
    std::ostringstream out;
    auto const status = solve(out);
    fmt::print("{}", out.str());
    return status;
}

int own_data(options const& chosen) {
    if (!chosen.preflib.empty()) {
        auto const profile = read_preflib(chosen.preflib);
        return answer([&](std::ostream& out) { return solve_preference_file(profile, out); });
    }
    auto const table = read_csv(chosen.csv);
    auto const target = table.column(chosen.target);
    return answer([&](std::ostream& out) { return aggregate_csv(table, target, out); });
}

int main(int argument_count, char** arguments) {
    options chosen;
    CLI::App app("The gallery of poise: what papers claim, measured.\n"
                 "Exit status: 0 if all is in band, 1 if something is not or failed, 2 for bad usage or input.",
                 "poise-gallery");
    app.require_subcommand(0, 1);
    auto* const preflib = app.add_option("--preflib", chosen.preflib,
                                         "Solve the Nash equilibrium of a PrefLib ranking file (.soc .soi .toc .toi)")
                              ->type_name("FILE");
    auto* const csv =
        app.add_option("--csv", chosen.csv, "Aggregate quantiles on a numeric CSV file")->type_name("FILE");
    auto* const target = app.add_option("--target", chosen.target, "The column to predict")->type_name("COLUMN");
    csv->needs(target)->excludes(preflib);
    target->needs(csv);
    auto* const list_command = app.add_subcommand("list", "List the experiments");
    auto* const run_command = app.add_subcommand("run", "Run experiments and write the report");
    run_command->add_option("slug", chosen.wanted, "Methods, or single experiments");
    run_command->add_flag("--all", chosen.all, "Run all experiments");
    run_command->add_flag("--quick", chosen.quick, "Smaller sizes and at most 3 seeds");
    run_command->add_option("--seeds", chosen.seeds, "Seeds per experiment, instead of its own number")
        ->type_name("N")
        ->check(CLI::Range(1, 1'000'000));
    run_command->add_option("--threads", chosen.threads, "Experiments at a time")
        ->type_name("N")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    run_command->add_option("--output", chosen.output, "The folder of the report")
        ->type_name("DIR")
        ->capture_default_str();
    run_command->add_option("--data", chosen.data, "The folder of digits.csv and diabetes.csv")
        ->type_name("DIR")
        ->capture_default_str();
    run_command->add_flag("--json", chosen.json, "Print the summary as JSON");
    run_command->add_flag("--resume", chosen.resume, "Keep the stored results of the same program and settings");
    try {
        app.parse(argument_count, arguments);
    } catch (CLI::ParseError const& error) {
        return app.exit(error) == 0 ? good : bad_input;
    }
    bool const on_own_data = preflib->count() + csv->count() > 0;
    if (on_own_data && !app.get_subcommands().empty())
        throw input_error("--preflib and --csv stand alone, without a command");
    if (on_own_data) return own_data(chosen);
    if (list_command->parsed()) return list();
    if (run_command->parsed()) return run(chosen);
    fmt::print(stderr, "{}", app.help());
    return bad_input;
}

} // namespace
} // namespace gallery

int main(int argument_count, char** arguments) {
    try {
        return gallery::main(argument_count, arguments);
    } catch (std::exception const& error) {
        fmt::print(stderr, "poise-gallery: {}\n", error.what());
        return 2;
    }
}
