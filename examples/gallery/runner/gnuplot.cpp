#include "gnuplot.hpp"

#include <array>
#include <cmath>
#include <set>
#include <stdexcept>

#include <fmt/format.h>

#include "results.hpp"

namespace gallery {
namespace {

// Seven hues that stay apart for the colour-blind and on light and dark paper.
constexpr std::array palette{"#2f7fd6", "#e0662f", "#1f9e77", "#c65fa3", "#c9971a", "#4bb3d3", "#8a8f98"};

/// A gnuplot string: in single quotes nothing is special but the quote itself.
std::string single_quoted(std::string_view text) {
    std::string result = "'";
    for (char const letter : text) {
        if (letter == '\'') result += '\'';
        result += static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;
    }
    return result + '\'';
}

/// Tic labels are also formats for the position.
std::string tic_label(std::string_view text) {
    std::string doubled;
    for (char const letter : text) doubled.append(letter == '%' ? 2 : 1, letter);
    return single_quoted(doubled);
}

std::string coordinate(double value, bool logarithmic) {
    return std::isfinite(value) && (!logarithmic || value > 0) ? full_precision(value) : "NaN";
}

/// On a logarithmic axis with few points (T = 100, 200, 400, ...) the points themselves are the tics: decades are too
/// far apart.
std::string few_tics(plot const& of) {
    std::set<double> places;
    for (auto const& c : of.curves)
        for (auto const x : c.x)
            if (std::isfinite(x) && x > 0) places.insert(x);
    if (places.size() > 8) return {};
    std::string list;
    for (auto const x : places) list += fmt::format("{}{}", list.empty() ? "" : ", ", full_precision(x));
    return fmt::format("set xtics ({})\n", list);
}

} // namespace

std::string gnuplot_script(plot const& of) {
    bool const bars = !of.categories.empty();
    auto const count = of.curves.size();
    auto const width = 0.8 / static_cast<double>(count); // of a bar
    std::string script =
        fmt::format("set encoding utf8\n"
                    "set terminal svg noenhanced dynamic size 600,400 font 'sans-serif,13'\n"
                    "set title {}\nset xlabel {}\nset ylabel {}\n"
                    "set datafile missing 'NaN'\nset border 3 lc rgb '#888888'\n"
                    "set grid lt 1 lw 0.5 lc rgb '#a0888888'\nset tics nomirror out scale 0.6,0.3\n"
                    "set autoscale xfix\nset key below center horizontal height 0.7\nset style fill solid 0.85 "
                    "noborder\nset offsets graph 0.015, graph 0.015, graph 0.04, graph 0.02\n",
                    single_quoted(of.title), single_quoted(of.x_label), single_quoted(of.y_label));
    if (of.log_x) script += "set logscale x\nset format x '%g'\n" + few_tics(of);
    if (bars && !of.log_y) script += "set yrange [*<0:0<*]\n"; // a bar's length is its value
    if (of.log_y) script += "set logscale y\nset format y '%g'\n";
    if (bars) {
        script += fmt::format("set boxwidth {}\nset xrange [-0.6:{}]\nset xtics (", full_precision(0.92 * width),
                              full_precision(static_cast<double>(of.categories.size()) - 0.4));
        for (std::size_t i = 0; i < of.categories.size(); ++i)
            script += fmt::format("{}{} {}", i ? ", " : "", tic_label(of.categories[i]), i);
        script += ") scale 0\n";
    }
    for (std::size_t k = 0; k < count; ++k) {
        auto const& c = of.curves[k];
        script += fmt::format("$curve{} << END\n", k);
        for (std::size_t i = 0; i < c.y.size(); ++i) {
            auto const shift = (static_cast<double>(k) - 0.5 * static_cast<double>(count - 1)) * width;
            auto const x = bars ? full_precision(static_cast<double>(i) + shift) : coordinate(c.x[i], of.log_x);
            script += fmt::format("{} {}", x, coordinate(c.y[i], of.log_y));
            if (!c.low.empty())
                script += fmt::format(" {} {}", coordinate(c.low[i], of.log_y), coordinate(c.high[i], of.log_y));
            script += '\n';
        }
        script += "END\n";
    }
    std::string parts;
    auto const add = [&](std::string const& part) { parts += (parts.empty() ? "plot " : ", \\\n     ") + part; };
    for (std::size_t k = 0; k < count; ++k) { // the bands lie under all curves
        auto const& c = of.curves[k];
        bool const whiskers = bars || c.style == curve::styles::points;
        if (!c.low.empty() && !whiskers)
            add(fmt::format(
                "$curve{} using 1:3:4 with filledcurves fs transparent solid 0.2 noborder lc rgb '{}' notitle", k,
                palette[k % palette.size()]));
    }
    for (std::size_t k = 0; k < count; ++k) {
        auto const& c = of.curves[k];
        auto const* const colour = palette[k % palette.size()];
        auto const title = c.name.empty() ? "notitle" : "title " + single_quoted(c.name);
        auto const* const dash = (k / palette.size()) % 2 == 1 ? "dt 2 " : ""; // the colours come round again
        auto const* const marks = bars || c.style == curve::styles::lines ? ""
                                  : c.style == curve::styles::points      ? "pt 7 ps 0.6 "
                                                                          : "pt 7 ps 0.4 ";
        auto const* const with = bars                                         ? "boxes"
                                 : c.style == curve::styles::lines            ? "lines lw 2"
                                 : c.style == curve::styles::lines_and_points ? "linespoints lw 2"
                                                                              : "points";
        add(fmt::format("$curve{} using 1:2 with {} {}{}lc rgb '{}' {}", k, with, marks, dash, colour, title));
        if (!c.low.empty() && (bars || c.style == curve::styles::points))
            add(fmt::format("$curve{} using 1:3:(0):($4-$3) with vectors nohead lw 1.5 lc rgb '{}' notitle", k,
                            bars ? "#888888" : colour));
    }
    return script + parts + '\n';
}

std::string draw(plot const& of, std::string const& id, output_folder const& folder) {
    auto const script = folder.plots() / (id + ".gp");
    write_atomically(script, gnuplot_script(of));
    auto const drawn = run_process({"gnuplot", script.string()});
    if (drawn.status != 0 || drawn.output.find("</svg>") == std::string::npos) {
        auto why = drawn.errors;
        for (auto at = why.find(script.string()); at != std::string::npos; at = why.find(script.string()))
            why.replace(at, script.string().size(), "the script"); // the report is the same wherever it is written
        throw std::runtime_error(fmt::format("gnuplot cannot draw '{}' (status {}): {}", id, drawn.status, why));
    }
    write_atomically(folder.plots() / (id + ".svg"), drawn.output);
    return drawn.output;
}

} // namespace gallery
