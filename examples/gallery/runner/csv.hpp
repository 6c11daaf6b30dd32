#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace gallery {

/// A table of finite numbers with named columns.
struct csv_table {
    std::filesystem::path file{};
    std::vector<std::string> columns{};
    std::vector<double> values{}; ///< rows() x columns.size(), row after row

    std::size_t rows() const { return columns.empty() ? 0 : values.size() / columns.size(); }
    double operator()(std::size_t row, std::size_t column) const { return values[row * columns.size() + column]; }

    /// The number of the column of this name; throws input_error that lists the names there are.
    std::size_t column(std::string_view name) const;
};

/// Reads a CSV file: a line of column names, then lines of numbers. The separator is the first of comma, semicolon and
/// tab that the first line holds; a cell may stand in double quotes; empty lines are passed over. Throws input_error
/// with file, line and column.
csv_table read_csv(std::filesystem::path const& file);

/// The same, of a text; `file` serves the messages.
csv_table parse_csv(std::string_view text, std::filesystem::path const& file);

} // namespace gallery
