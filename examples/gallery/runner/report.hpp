#pragma once

#include <vector>

#include "files.hpp"
#include "results.hpp"

namespace gallery {

/// Writes the report: the plots, the numbers as CSV and JSON, and at last index.html, which needs none of them. It
/// holds nothing but the results: no time, no path. A result whose plot cannot be drawn becomes a failed one.
void write_report(std::vector<result>& results, output_folder const& folder);

} // namespace gallery
