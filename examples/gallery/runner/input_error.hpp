#pragma once

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace gallery {

/// The user's input cannot be used; the program says why and ends with status 2.
struct input_error : std::runtime_error {
    using std::runtime_error::runtime_error;

    /// Written as compilers do, `file:line:column: what`, lines and columns counted from 1, columns in bytes.
    input_error(std::filesystem::path const& file, std::size_t line, std::size_t column, std::string_view what)
        : std::runtime_error(fmt::format("{}:{}:{}: {}", file.string(), line, column, what)) {}
};

/// The whole file as one string.
inline std::string read_text(std::filesystem::path const& file) {
    if (std::filesystem::is_directory(file))
        throw input_error(fmt::format("cannot read '{}': it is a folder", file.string()));
    errno = 0;
    std::ifstream stream(file, std::ios::binary);
    if (!stream) throw input_error(fmt::format("cannot read '{}': {}", file.string(), std::strerror(errno)));
    std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (stream.bad()) throw input_error(fmt::format("cannot read '{}': the reading failed", file.string()));
    return text;
}

/// A piece of a line that remembers its column, so that an error can point at it.
struct cell {
    std::string_view text;
    std::size_t column = 1;

    constexpr cell part(std::size_t first, std::size_t length = std::string_view::npos) const {
        return {text.substr(first, length), column + first};
    }

    constexpr cell trimmed() const {
        constexpr std::string_view blank = " \t\r";
        auto const first = text.find_first_not_of(blank);
        if (first == std::string_view::npos) return part(text.size());
        return part(first, text.find_last_not_of(blank) - first + 1);
    }
};

/// Text from the user's file as shown in a message: short, and printable on a terminal.
inline std::string shown(std::string_view text) {
    constexpr std::size_t longest = 40;
    std::string printable(text.substr(0, longest));
    for (char& letter : printable)
        if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) letter = '?';
    return fmt::format("'{}{}'", printable, text.size() > longest ? "..." : "");
}

/// Calls `visit(number, line)` for the lines of a text, numbered from 1, without their ends and
/// without a byte order mark before the first.
template <class Visit>
void for_each_line(std::string_view text, Visit visit) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    for (std::size_t number = 1; !text.empty(); ++number) {
        auto const end = text.find('\n');
        auto line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        visit(number, line);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

} // namespace gallery
