#pragma once

#include <string>

#include "../experiment.hpp"
#include "files.hpp"

namespace gallery {

/// The script that draws a plot as SVG on standard output, its points included.
std::string gnuplot_script(plot const& of);

/// Writes `<id>.gp` and `<id>.svg` to the folder's plots and returns the SVG. Throws std::runtime_error with what
/// gnuplot says if it cannot draw.
std::string draw(plot const& of, std::string const& id, output_folder const& folder);

} // namespace gallery
