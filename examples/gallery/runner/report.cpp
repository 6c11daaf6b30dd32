#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "gnuplot.hpp"
#include "statistics.hpp"

namespace gallery {
namespace {

constexpr std::string_view style = R"(
:root { color-scheme: light dark; --paper: #fbfbfa; --card: #fff; --ink: #1d2129; --muted: #667080; --line: #e3e5e8;
  --good: #178a5c; --good-soft: #d8f0e5; --bad: #c8382e; --bad-soft: #fbe1de; --accent: #2f6fd0; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --card: #1b1f26; --ink: #e4e7ec; --muted: #98a2b3;
  --line: #2e343d; --good: #4cc492; --good-soft: #173a2d; --bad: #f27d72; --bad-soft: #472320; --accent: #7eaaf0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main, header { max-width: 72rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 3rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0; letter-spacing: -.02em; }
h2 { font-size: 1.5rem; line-height: 1.25; margin: 3.5rem 0 0; letter-spacing: -.01em; }
h3 { font-size: 1.1rem; margin: 0; }
p { margin: .4rem 0; max-width: 48rem; }
a { color: var(--accent); }
.muted, small, th { color: var(--muted); }
.score { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: baseline; margin: 1.75rem 0 .5rem; }
.score b { font-size: 2.5rem; line-height: 1; letter-spacing: -.02em; }
.bar { display: flex; height: .5rem; border-radius: 1rem; overflow: hidden; background: var(--bad); }
.bar i { background: var(--good); }
nav { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1.25rem 0 0; }
nav a { text-decoration: none; border: 1px solid var(--line); border-radius: 2rem; padding: .15rem .8rem;
  background: var(--card); color: inherit; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem 1.5rem;
  margin: 1.25rem 0; }
article > div:first-child { display: flex; flex-wrap: wrap; gap: .2rem 1rem; justify-content: space-between; align-items: baseline; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; font-size: .85rem; white-space: nowrap; }
th, td { padding: .45rem 1rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { white-space: nowrap; }
td:first-child { min-width: 14rem; }
td:nth-child(2) { min-width: 9rem; }
.mark { display: inline-block; border-radius: 1rem; padding: 0 .6rem; font-size: .85rem; font-weight: 600;
  white-space: nowrap; }
.good { color: var(--good); background: var(--good-soft); }
.bad { color: var(--bad); background: var(--bad-soft); }
.strip { display: block; width: 9rem; height: 1.1rem; margin-top: .2rem; }
.strip .axis { stroke: var(--line); } .strip .band { fill: var(--good); opacity: .22; }
.strip circle { fill: var(--ink); opacity: .5; } .strip .mean { stroke: var(--accent); stroke-width: 2; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figure svg { display: block; width: 100%; max-width: 42rem; height: auto; margin: 0 auto; }
figcaption { text-align: center; font-size: .85rem; }
.error { white-space: pre-wrap; color: var(--bad); font-family: ui-monospace, monospace; font-size: .9rem; }
footer { color: var(--muted); margin: 3rem 0; font-size: .9rem; }
)";

std::string escaped(std::string_view text) {
    std::string safe;
    for (char const letter : text) {
        switch (letter) {
        case '&':
            safe += "&amp;";
            break;
        case '<':
            safe += "&lt;";
            break;
        case '>':
            safe += "&gt;";
            break;
        case '"':
            safe += "&quot;";
            break;
        case '\'':
            safe += "&#39;";
            break;
        default:
            safe += letter;
        }
    }
    return safe;
}

/// Four digits for the eye; CSV and JSON hold the rest.
std::string number(double value, int digits = 4) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "∞" : "−∞";
    auto text = fmt::format("{:.{}g}", value == 0 ? 0.0 : value, digits);
    for (auto at = text.find('-'); at != std::string::npos; at = text.find('-')) text.replace(at, 1, "−");
    return text;
}

std::string interval(band const& of) {
    bool const below = std::isinf(of.low);
    bool const above = std::isinf(of.high);
    if (below && above) return "any";
    if (below) return "≤ " + number(of.high);
    if (above) return "≥ " + number(of.low);
    if (of.low == of.high) return "= " + number(of.low);
    return fmt::format("{} … {}", number(of.low), number(of.high));
}

std::string mark(bool good, std::string_view yes, std::string_view no) {
    return fmt::format(R"(<span class="mark {}">{} {}</span>)", good ? "good" : "bad", good ? "✓" : "✗",
                       good ? yes : no);
}

/// Where the values lie in their band: a dot for each, a line for the mean.
std::string strip(measurement const& of, summary const& s) {
    constexpr double width = 144;
    constexpr double margin = 8;
    auto low = s.minimum;
    auto high = s.maximum;
    for (auto const end : {of.accepted.low, of.accepted.high})
        if (std::isfinite(end)) low = std::min(low, end), high = std::max(high, end);
    if (!std::isfinite(low) || !std::isfinite(high) || !std::isfinite(high - low)) return {};
    auto const place = [&](double value) {
        if (std::isinf(value)) return value > 0 ? width : 0.0;
        return high > low ? margin + (width - 2 * margin) * (value - low) / (high - low) : width / 2;
    };
    auto const left = place(of.accepted.low);
    auto const right = place(of.accepted.high);
    auto svg = fmt::format(R"(<svg class="strip" viewBox="0 0 {0} 18" aria-hidden="true">)"
                           R"(<rect class="band" x="{1:.1f}" width="{2:.1f}" y="2" height="14" rx="2"/>)"
                           R"(<path class="axis" d="M0 9H{0}"/>)",
                           width, left, std::max(right - left, 2.0));
    for (auto const value : of.values) svg += fmt::format(R"(<circle cx="{:.1f}" cy="9" r="3"/>)", place(value));
    if (of.values.size() > 1) svg += fmt::format(R"(<path class="mean" d="M{:.1f} 2v14"/>)", place(s.mean));
    return svg + "</svg>";
}

std::string row(measurement const& of) {
    auto const s = summarize(of);
    bool const several = of.values.size() > 1;
    return fmt::format("<tr><td>{}</td><td>{}</td><td class=\"n\">{}{}</td><td class=\"n\">{}</td>"
                       "<td class=\"n\">{}{}{}</td><td>{}</td></tr>\n",
                       escaped(of.name), escaped(of.paper), number(s.mean),
                       std::isfinite(s.half_width) ? fmt::format(" <small>± {}</small>", number(s.half_width, 2)) : "",
                       several ? fmt::format("{} … {}", number(s.minimum), number(s.maximum)) : "–",
                       interval(of.accepted), several && of.every_seed ? " <small>each</small>" : "", strip(of, s),
                       mark(s.in_band, "in band", "out of band"));
}

/// gnuplot's SVG as a part of the page: without the prolog, in the page's colour, its ids those of this plot alone.
std::string inlined(std::string svg, plot const& of, std::string const& id) {
    svg.erase(0, svg.find("<svg"));
    auto const replace = [&](std::string_view from, std::string const& to) {
        for (auto at = svg.find(from); at != std::string::npos; at = svg.find(from, at + to.size()))
            svg.replace(at, from.size(), to);
    };
    replace("color=\"black\"", "color=\"inherit\"");
    replace("fill=\"black\"", "fill=\"currentColor\"");
    replace("stroke=\"black\"", "stroke=\"currentColor\"");
    replace("id='", "id='" + id + "-");
    replace("href='#", "href='#" + id + "-");
    replace("id=\"gnuplot_", "id=\"" + id + "-");
    for (std::string_view const tag : {"title", "desc"}) // gnuplot's tooltips say only "plot_1"
        for (auto from = svg.find(fmt::format("<{}>", tag)); from != std::string::npos;
             from = svg.find(fmt::format("<{}>", tag))) {
            auto const close = fmt::format("</{}>", tag);
            svg.erase(from, svg.find(close, from) + close.size() - from);
        }
    svg.insert(4, fmt::format(R"( role="img" aria-label="{}")", escaped(of.title)));
    return svg;
}

std::string section_title(result const& of) { return of.method.title.empty() ? of.method.slug : of.method.title; }

std::string article(result const& of, std::vector<std::string> const& figures) {
    auto const verdict = of.failed() ? mark(false, "", "failed") : mark(of.in_band(), "in band", "out of band");
    auto html = fmt::format("<article id=\"{}\">\n<div><h3>{}</h3>{}</div>\n", of.experiment.name,
                            escaped(of.experiment.title.empty() ? of.experiment.name : of.experiment.title), verdict);
    if (!of.experiment.claim.empty()) html += fmt::format("<p>{}</p>\n", escaped(of.experiment.claim));
    if (of.failed()) return html + fmt::format("<p class=\"error\">{}</p>\n</article>\n", escaped(of.error));
    html += "<div class=\"scroll\"><table>\n<tr><th>measurement</th><th>paper</th><th>measured</th>"
            "<th>over seeds</th><th>accepted</th><th></th></tr>\n";
    for (auto const& m : of.outcome.measurements) html += row(m);
    html += "</table></div>\n";
    if (!of.outcome.reading.empty()) html += fmt::format("<p>{}</p>\n", escaped(of.outcome.reading));
    if (!figures.empty()) {
        html += "<div class=\"plots\">\n";
        for (std::size_t k = 0; k < figures.size(); ++k) {
            auto const id = fmt::format("{}.{}", of.experiment.name, of.outcome.plots[k].name);
            html +=
                fmt::format("<figure>{0}<figcaption><a href=\"plots/{1}.svg\">SVG</a> · "
                            "<a href=\"plots/{1}.gp\">gnuplot</a> · <a href=\"results/{1}.csv\">CSV</a></figcaption>"
                            "</figure>\n",
                            figures[k], id);
        }
        html += "</div>\n";
    }
    return html +
           fmt::format("<p class=\"muted\"><small>{0} · {1} seed{2}{3} · <a href=\"results/{0}.json\">every number"
                       "</a></small></p>\n</article>\n",
                       of.experiment.name, of.settings.seeds, of.settings.seeds == 1 ? "" : "s",
                       of.settings.quick ? " · quick" : "");
}

std::string page(std::vector<result> const& results, std::vector<std::vector<std::string>> const& figures) {
    auto const sum = count(results);
    auto html = fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<title>poise gallery: {0} of {1} in band</title>\n<style>{2}</style>\n</head>\n<body>\n<header>\n"
        "<h1>The gallery of poise</h1>\n"
        "<p class=\"muted\">What papers claim, and what was measured.</p>\n"
        "<div class=\"score\"><b>{0} of {1}</b><span>measurements in their accepted band{3}</span></div>\n"
        "<div class=\"bar\"><i style=\"width:{4:.2f}%\"></i></div>\n<nav>\n",
        sum.in_band, sum.measurements, style,
        sum.failed_experiments
            ? fmt::format("; {} experiment{} failed", sum.failed_experiments, sum.failed_experiments == 1 ? "" : "s")
            : "",
        sum.measurements ? 100.0 * static_cast<double>(sum.in_band) / static_cast<double>(sum.measurements) : 0.0);
    std::string sections;
    for (std::size_t k = 0; k < results.size();) {
        auto const& first = results[k];
        sections +=
            fmt::format("<section id=\"method-{}\">\n<h2>{}</h2>\n", first.method.slug, escaped(section_title(first)));
        if (!first.method.paper.empty())
            sections += fmt::format("<p class=\"muted\">{}</p>\n", escaped(first.method.paper));
        bool all_good = true;
        for (; k < results.size() && results[k].method.slug == first.method.slug; ++k) {
            sections += article(results[k], figures[k]);
            all_good = all_good && results[k].in_band();
        }
        sections += "</section>\n";
        html += fmt::format("<a href=\"#method-{}\"><span class=\"{}\" style=\"background:none\">{}</span> {}</a>\n",
                            first.method.slug, all_good ? "good" : "bad", all_good ? "✓" : "✗",
                            escaped(section_title(first)));
    }
    return html + "</nav>\n</header>\n<main>\n" + sections +
           "<footer>Measured is the mean over the seeds ± the half width of its 95% confidence interval (Student's t). "
           "The band is for the mean, or for each seed where it says so. All numbers: "
           "<a href=\"measurements.csv\">measurements.csv</a>, <a href=\"summary.json\">summary.json</a>.</footer>\n"
           "</main>\n</body>\n</html>\n";
}

} // namespace

void write_report(std::vector<result>& results, output_folder const& folder) {
    std::vector<std::vector<std::string>> figures;
    for (auto& r : results) {
        auto& drawn = figures.emplace_back();
        std::vector<std::filesystem::path> files;
        if (!r.failed()) files.emplace_back("results/" + r.experiment.name + ".json");
        try {
            for (auto const& p : r.outcome.plots) {
                auto const id = r.experiment.name + '.' + p.name;
                drawn.push_back(inlined(draw(p, id, folder), p, id));
                write_atomically(folder.results() / (id + ".csv"), plot_csv(p));
                for (auto const& name : {"plots/" + id + ".gp", "plots/" + id + ".svg", "results/" + id + ".csv"})
                    files.emplace_back(name);
            }
        } catch (std::exception const& error) {
            r.error = error.what();
            r.outcome = {};
        }
        folder.remove_others(r.experiment.name, files);
    }
    write_atomically(folder.root() / "measurements.csv", measurements_csv(results));
    write_atomically(folder.root() / "summary.json", summary_json(results));
    write_atomically(folder.root() / "index.html", page(results, figures));
}

} // namespace gallery
