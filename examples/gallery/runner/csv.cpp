#include "csv.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/ranges.h>

#include "input_error.hpp"

namespace gallery {
namespace {

char separator_of(std::string_view header) {
    for (char const candidate : {',', ';', '\t'})
        if (header.find(candidate) != std::string_view::npos) return candidate;
    return ',';
}

/// Takes the next cell of a line at `position` and moves it to the start of the one after; past the end after the last
/// one.
cell next_cell(cell line, char separator, std::size_t& position, std::filesystem::path const& file,
               std::size_t line_number) {
    auto start = position;
    while (start < line.text.size() && line.text[start] == ' ') ++start;
    if (start < line.text.size() && line.text[start] == '"') {
        auto const close = line.text.find('"', start + 1);
        if (close == std::string_view::npos)
            throw input_error(file, line_number, line.column + start, "the quote is not closed on this line");
        auto const end = std::min(line.text.find(separator, close), line.text.size());
        auto const rest = line.part(close + 1, end - close - 1).trimmed();
        if (!rest.text.empty())
            throw input_error(file, line_number, rest.column,
                              fmt::format("unexpected {} after the closing quote", shown(rest.text)));
        position = end + 1;
        return line.part(start + 1, close - start - 1).trimmed();
    }
    auto const end = std::min(line.text.find(separator, position), line.text.size());
    auto const found = line.part(position, end - position).trimmed();
    position = end + 1;
    return found;
}

} // namespace

csv_table parse_csv(std::string_view text, std::filesystem::path const& file) {
    csv_table table{.file = file};
    char separator = ',';
    std::size_t lines = 0;
    for_each_line(text, [&](std::size_t number, std::string_view content) {
        lines = number;
        if (cell{content}.trimmed().text.empty()) return;
        if (table.columns.empty()) separator = separator_of(content);
        cell const line{content};
        std::size_t position = 0;
        auto const next = [&] { return next_cell(line, separator, position, file, number); };
        if (table.columns.empty()) {
            while (position <= content.size()) {
                auto const name = next();
                if (name.text.empty()) throw input_error(file, number, name.column, "a column has no name");
                if (std::find(table.columns.begin(), table.columns.end(), name.text) != table.columns.end())
                    throw input_error(file, number, name.column,
                                      fmt::format("column {} is named twice", shown(name.text)));
                table.columns.emplace_back(name.text);
            }
            return;
        }
        for (auto const& column : table.columns) {
            if (position > content.size())
                throw input_error(file, number, content.size() + 1,
                                  fmt::format("the line ends before column {}, expected {} cells", shown(column),
                                              table.columns.size()));
            auto const at = next();
            if (at.text.empty())
                throw input_error(file, number, at.column,
                                  fmt::format("column {} is empty, expected a number", shown(column)));
            bool const plus = at.text.starts_with('+') && !at.text.starts_with("+-"); // from_chars takes no plus
            auto const digits = at.text.substr(plus ? 1 : 0);
            double value = 0;
            auto const end = digits.data() + digits.size();
            auto const [stop, error] = std::from_chars(digits.data(), end, value);
            if (error != std::errc{} || stop != end || !std::isfinite(value))
                throw input_error(file, number, at.column,
                                  fmt::format("column {}: {} is not a finite number", shown(column), shown(at.text)));
            table.values.push_back(value);
        }
        if (position <= content.size())
            throw input_error(file, number, position + 1,
                              fmt::format("more cells than the {} columns of the first line: {}", table.columns.size(),
                                          shown(content.substr(position))));
    });
    if (table.columns.empty()) throw input_error(file, 1, 1, "the file is empty, expected a line of column names");
    if (table.values.empty()) throw input_error(file, lines + 1, 1, "the file ends without a line of numbers");
    return table;
}

csv_table read_csv(std::filesystem::path const& file) { return parse_csv(read_text(file), file); }

std::size_t csv_table::column(std::string_view name) const {
    auto const found = std::find(columns.begin(), columns.end(), name);
    if (found == columns.end())
        throw input_error(file, 1, 1,
                          fmt::format("unknown column {}; the columns are: {}", shown(name), fmt::join(columns, ", ")));
    return static_cast<std::size_t>(found - columns.begin());
}

} // namespace gallery
