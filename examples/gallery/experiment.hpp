#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

/// What an experiment file (`examples/gallery/<method>.cpp`) needs to know of the gallery. It computes numbers, says
/// what the paper claims and in which band the numbers are accepted, and registers itself:
///
///     namespace {
///     gallery::outcome rate(gallery::settings const& settings) {
///         gallery::measurement slope{.name = "slope of log KL over log T", .paper = "-2", .accepted = {-2.2, -1.8}};
///         for (std::size_t seed = 0; seed < settings.seeds; ++seed) slope.values.push_back(...);
///         return {.measurements = {slope}, .plots = {...}, .reading = "Exact payoffs converge faster than the
///         theorem."};
///     }
///     gallery::method const method{.slug = "nash-md", .title = "Nash-MD", .paper = "Munos et al., 2023"};
///     gallery::registration const registered{
///         method, {.name = "nash-md-rate", .title = "Rate of the last iterate", .claim = "...", .default_seeds = 5,
///         .run = rate}};
///     } // namespace
///
/// Results are stored, resumed and compared byte for byte, so an experiment depends on nothing but its settings: no
/// clock, no global state, no sum whose order depends on `threads`. It fails by throwing; the others go on.
namespace gallery {

inline constexpr double unbounded = std::numeric_limits<double>::infinity();

/// An interval, both ends included; `unbounded` and `-unbounded` leave a side open.
struct band {
    double low = -unbounded;
    double high = unbounded;

    constexpr bool contains(double value) const { return low <= value && value <= high; } // a NaN is never inside
};

/// One number of the experiment, measured once per seed.
struct measurement {
    std::string name{};
    std::string paper{};          ///< what the paper or its sheet says this number is
    std::vector<double> values{}; ///< one per seed (a single one if no randomness is involved)
    band accepted{};
    bool every_seed = false; ///< the band is for each value; otherwise for their mean
};

/// A line, a cloud of points or a group of bars. `low` and `high`, if given, are a band around y of the same length.
struct curve {
    enum class styles { lines, points, lines_and_points, bars };

    std::string name{};
    std::vector<double> x{}; ///< ignored for bars: the i-th bar stands at the i-th category of the plot
    std::vector<double> y{};
    std::vector<double> low{};
    std::vector<double> high{};
    styles style = styles::lines;
};

/// One picture. Text is shown as it is: no markup, no escapes.
struct plot {
    std::string name{}; ///< unique in the experiment; letters, digits, '-' and '_', as it becomes a file name
    std::string title{};
    std::string x_label{};
    std::string y_label{};
    bool log_x = false;
    bool log_y = false;
    std::vector<std::string> categories{}; ///< labels under the bars; all curves are bars then
    std::vector<curve> curves{};
};

struct outcome {
    std::vector<measurement> measurements{};
    std::vector<plot> plots{};
    std::string reading{}; ///< a short honest remark on what was seen
};

struct settings {
    std::size_t seeds = 1;        ///< seeds to run: 0, 1, ..., seeds - 1
    bool quick = false;           ///< smaller sizes, for a look; the bands still hold
    std::filesystem::path data{}; ///< the folder of digits.csv and diabetes.csv
    std::size_t threads = 1;      ///< threads this experiment may use by itself; must not change its numbers
};

/// A method of the gallery: one section of the report.
struct method {
    std::string slug{};
    std::string title{};
    std::string paper{}; ///< authors, year, title
};

struct experiment {
    std::string name{}; ///< unique; letters, digits, '-' and '_', starts with the slug: nash-md-rate
    std::string title{};
    std::string claim{}; ///< what the paper claims, in a sentence or two
    std::size_t default_seeds = 1;
    outcome (*run)(settings const&) = nullptr;
};

struct registered_experiment {
    gallery::method method{};
    gallery::experiment experiment{};
};

/// All registered experiments, in the order in which the linker found them; the runner sorts by slug and name.
inline std::vector<registered_experiment>& registry() {
    static std::vector<registered_experiment> experiments;
    return experiments;
}

/// A namespace-scope object of this type adds experiments of one method to the gallery.
struct registration {
    template <class... Experiments>
    explicit registration(method const& of, experiment first, Experiments... more) {
        registry().push_back({of, std::move(first)});
        (registry().push_back({of, std::move(more)}), ...);
    }
};

} // namespace gallery
