#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../experiment.hpp"
#include "files.hpp"

namespace gallery {

/// An experiment of this run with what came of it.
struct result {
    gallery::method method{};
    gallery::experiment experiment{};
    gallery::settings settings{};
    gallery::outcome outcome{};
    std::string error{}; ///< why it failed; empty if it did not
    bool finished = false;

    bool failed() const { return !error.empty(); }
    bool in_band() const; ///< finished, and every measurement is in its band
};

/// Letters, digits, '-' and '_' only, at least one.
bool is_file_name(std::string_view name);

/// Throws std::invalid_argument for an outcome that cannot be reported: lengths that differ, names used twice, ...
void check(outcome const& of);

/// Stored results, one JSON file each in the results folder. A result is found again only under the same name, seeds,
/// quick flag and fingerprint of program and data.
class result_store {
public:
    result_store(output_folder const& folder, std::string fingerprint);

    /// Returns what a later `load` will: the report is made of this, so that it does not matter which run computed it.
    outcome save(result const& of) const;
    std::optional<outcome> load(result const& of) const;

private:
    output_folder const& folder_;
    std::string fingerprint_;
};

struct totals {
    std::size_t measurements = 0;
    std::size_t in_band = 0;
    std::size_t failed_experiments = 0;

    bool good() const { return in_band == measurements && failed_experiments == 0; }
};
totals count(std::vector<result> const& results);

/// The summary of a run: `--json` prints it, the report folder holds it.
std::string summary_json(std::vector<result> const& results);

/// All measurements, one line per value.
std::string measurements_csv(std::vector<result> const& results);

/// The points of a plot.
std::string plot_csv(plot const& of);

/// A number that reads back as the same number.
std::string full_precision(double value);

} // namespace gallery
