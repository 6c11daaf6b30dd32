// Experiments for the tests of the runner: quick ones, slow ones, one out of its band, failing ones, and text that
// HTML, gnuplot, CSV and JSON would each like to read as their own.

#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>

#include "../../examples/gallery/experiment.hpp"

namespace {

std::string const hostile = R"(a_b^c @d {e} <b>&amp; "f", 'g' \n 50% `id` ∞)";

gallery::outcome noise(gallery::settings const& settings) {
    std::this_thread::sleep_for(std::chrono::milliseconds(settings.quick ? 1 : 60));
    gallery::measurement sine{.name = "sine of the seed", .paper = "0", .accepted = {-1, 1}, .every_seed = true};
    gallery::curve line{.name = "sine", .style = gallery::curve::styles::lines_and_points};
    for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
        auto const x = static_cast<double>(seed);
        sine.values.push_back(std::sin(x) / 3);
        line.x.push_back(x + 1);
        line.y.push_back(std::exp(-x));
        line.low.push_back(std::exp(-x) / 2);
        line.high.push_back(std::exp(-x) * 2);
    }
    gallery::plot decay{
        .name = "decay", .title = "Decay", .x_label = "T", .y_label = "KL", .log_x = true, .log_y = true};
    decay.curves = {line};
    return {.measurements = {sine}, .plots = {decay}, .reading = "Smooth."};
}

gallery::outcome text(gallery::settings const&) {
    constexpr auto infinity = gallery::unbounded;
    gallery::measurement odd{.name = hostile, .paper = hostile, .values = {0.1, 0.2, 0.3}, .accepted = {-infinity, 5}};
    gallery::measurement infinite{.name = "infinite", .values = {infinity, 1}, .accepted = {1, infinity}};
    gallery::plot bars{.name = "bars", .title = hostile, .x_label = hostile, .y_label = hostile};
    bars.categories = {hostile, "two"};
    bars.curves = {{.name = hostile, .y = {1, 2}, .low = {0.5, 1.5}, .high = {1.5, 2.5}}, {.name = "b", .y = {2, 1.5}}};
    gallery::plot points{.name = "points", .title = "Points", .x_label = "x", .y_label = "y"};
    points.curves = {{.name = "with a hole",
                      .x = {1, 2, 3},
                      .y = {1, std::numeric_limits<double>::quiet_NaN(), 3},
                      .style = gallery::curve::styles::points}};
    return {.measurements = {odd, infinite}, .plots = {bars, points}, .reading = hostile};
}

gallery::outcome outside(gallery::settings const&) {
    gallery::measurement nothing{.name = "not a number", .paper = "1", .values = {std::nan("")}, .accepted = {0, 2}};
    gallery::measurement far{.name = "far", .paper = "1", .values = {3.5, 4.5}, .accepted = {0, 2}};
    return {.measurements = {nothing, far}, .plots = {}, .reading = ""};
}

gallery::outcome failing(gallery::settings const&) { throw std::runtime_error("<i>no luck</i> & 'nothing' else"); }

gallery::outcome empty(gallery::settings const&) { return {}; }

gallery::method const tame{.slug = "tame", .title = "Tame", .paper = "Nobody, 2020"};
gallery::method const wild{.slug = "wild", .title = hostile, .paper = hostile};
gallery::registration const tame_ones{
    tame,
    {.name = "tame-1", .title = "First", .claim = "It decays.", .default_seeds = 5, .run = noise},
    gallery::experiment{.name = "tame-2", .title = "Second", .default_seeds = 4, .run = noise},
    gallery::experiment{.name = "tame-3", .title = "Third", .default_seeds = 3, .run = noise},
    gallery::experiment{.name = "tame-4", .title = "Fourth", .default_seeds = 2, .run = noise},
    gallery::experiment{.name = "tame-5", .title = "Fifth", .default_seeds = 7, .run = noise}};
gallery::registration const wild_ones{
    wild,
    {.name = "wild-text", .title = hostile, .claim = hostile, .run = text},
    gallery::experiment{.name = "wild-outside", .title = "Out of band", .run = outside},
    gallery::experiment{.name = "wild-failing", .title = "Failing", .run = failing},
    gallery::experiment{.name = "wild-empty", .title = "Empty", .run = empty}};

} // namespace
