#pragma once

#include <cstddef>
#include <iosfwd>

#include "runner/csv.hpp"
#include "runner/preflib.hpp"

/// What the gallery does with the user's own data. Each writes its answer to `out` and returns the exit status; the
/// runner shows the answer when it is whole. An exception (`std::exception`) is told to the user and ends with
/// status 2.
namespace gallery {

/// `--preflib FILE`: the Nash equilibrium of the pairwise preferences, and how intransitive they are.
int solve_preference_file(preflib_profile const& profile, std::ostream& out);

/// `--csv FILE --target COLUMN`: quantiles of the column `target` (a valid number) aggregated over several base models.
int aggregate_csv(csv_table const& table, std::size_t target, std::ostream& out);

} // namespace gallery
