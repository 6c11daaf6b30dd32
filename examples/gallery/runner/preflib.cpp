#include "preflib.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "input_error.hpp"

namespace gallery {
namespace {

constexpr std::size_t most_alternatives = 1'000'000; // a guard for the memory against a header gone wrong
constexpr std::size_t largest_matrix = 5'000;

struct order_rules {
    bool complete = false;
    bool ties = true;
};

std::optional<order_rules> rules_of(std::string_view type) {
    if (type == "soc") return order_rules{.complete = true, .ties = false};
    if (type == "soi") return order_rules{.complete = false, .ties = false};
    if (type == "toc") return order_rules{.complete = true, .ties = true};
    if (type == "toi") return order_rules{.complete = false, .ties = true};
    return std::nullopt;
}

struct parser {
    std::filesystem::path const& file;
    preflib_profile profile{};
    std::optional<std::size_t> alternatives{};
    std::optional<std::uint64_t> voters{};
    std::uint64_t total = 0; // voters counted so far
    std::size_t voters_line = 1;
    std::size_t voters_column = 1;
    std::string type{};
    std::vector<std::size_t> seen{}; // per alternative, the line that ranked it last

    [[noreturn]] void fail(std::size_t line, cell at, std::string const& what) const {
        throw input_error(file, line, at.column, what);
    }

    std::uint64_t whole_number(std::size_t line, cell at, std::string_view name) const {
        std::uint64_t value = 0;
        auto const end = at.text.data() + at.text.size();
        auto const [stop, error] = std::from_chars(at.text.data(), end, value);
        if (at.text.empty()) fail(line, at, fmt::format("{} is missing, expected a whole number", name));
        if (error != std::errc{} || stop != end)
            fail(line, at, fmt::format("{} {} is not a whole number", name, shown(at.text)));
        return value;
    }

    void header(std::size_t line, cell content) {
        auto const colon = content.text.find(':');
        if (colon == std::string_view::npos) return; // a free comment
        auto const key = content.part(0, colon).trimmed();
        auto const value = content.part(colon + 1).trimmed();
        constexpr std::string_view name_key = "ALTERNATIVE NAME ";
        if (key.text == "TITLE") {
            profile.title = value.text;
        } else if (key.text == "DATA TYPE") {
            type = value.text;
        } else if (key.text == "NUMBER VOTERS") {
            voters = whole_number(line, value, "NUMBER VOTERS");
            voters_line = line;
            voters_column = value.column;
        } else if (key.text == "NUMBER ALTERNATIVES") {
            auto const number = whole_number(line, value, "NUMBER ALTERNATIVES");
            if (alternatives) fail(line, key, "NUMBER ALTERNATIVES is given twice");
            if (number == 0 || number > most_alternatives)
                fail(line, value,
                     fmt::format("NUMBER ALTERNATIVES is {}, expected 1 to {}", number, most_alternatives));
            alternatives = number;
            seen.assign(number, 0);
            for (std::size_t i = 1; i <= number; ++i) profile.names.push_back(fmt::format("Alternative {}", i));
        } else if (key.text.starts_with(name_key)) {
            auto const number = alternative(line, key.part(name_key.size()).trimmed());
            if (!value.text.empty()) profile.names[number] = value.text;
        }
    }

    /// A number from 1 as it stands in the file, returned counted from 0.
    std::size_t alternative(std::size_t line, cell at) const {
        if (!alternatives) fail(line, at, "the header must say '# NUMBER ALTERNATIVES: ...' before this");
        auto const number = whole_number(line, at, "alternative");
        if (number == 0 || number > *alternatives)
            fail(line, at, fmt::format("alternative {} is out of range, expected 1 to {}", number, *alternatives));
        return number - 1;
    }

    void order(std::size_t line, cell content, order_rules rules) {
        auto const colon = content.text.find(':');
        if (colon == std::string_view::npos)
            fail(line, content, fmt::format("{} is not an order, expected 'count: 1,2,3'", shown(content.text)));
        if (!alternatives) fail(line, content, "the header must say '# NUMBER ALTERNATIVES: ...' before the orders");
        auto const count = content.part(0, colon).trimmed();
        preflib_order read{.count = whole_number(line, count, "count")};
        if (read.count == 0) fail(line, count, "count is 0, expected at least one voter");
        if (read.count > std::numeric_limits<std::uint64_t>::max() - total)
            fail(line, count, "the counts add up to more voters than can be counted");
        auto const list = content.part(colon + 1).trimmed();

        std::size_t ranked = 0;
        std::size_t position = 0;
        bool tied = false; // inside braces
        auto const item_end = [&] { return std::min(list.text.find_first_of(",{}", position), list.text.size()); };
        auto const skip_blanks = [&] {
            position = std::min(list.text.find_first_not_of(" \t", position), list.text.size());
        };
        for (;;) {
            skip_blanks();
            if (!tied && position < list.text.size() && list.text[position] == '{') {
                if (!rules.ties) fail(line, list.part(position), "a tie in a file of strict orders");
                tied = true;
                read.tiers.emplace_back();
                ++position;
                skip_blanks();
            } else if (!tied) {
                read.tiers.emplace_back();
            }
            auto const item = list.part(position, item_end() - position).trimmed();
            auto const number = alternative(line, item);
            if (seen[number] == line)
                fail(line, item, fmt::format("alternative {} is ranked twice in this order", number + 1));
            seen[number] = line;
            read.tiers.back().push_back(number);
            ++ranked;
            position = item_end();
            if (tied && position < list.text.size() && list.text[position] == '}') {
                tied = false;
                ++position;
                skip_blanks();
            }
            if (position == list.text.size()) break;
            if (list.text[position] != ',')
                fail(line, list.part(position), fmt::format("unexpected {}", shown(list.text.substr(position, 1))));
            ++position;
        }
        if (tied) fail(line, list.part(list.text.size()), "the tie is not closed, expected '}'");
        if (rules.complete && ranked != *alternatives)
            fail(line, list,
                 fmt::format("{} of {} alternatives are ranked in a file of complete orders", ranked, *alternatives));
        total += read.count;
        profile.orders.push_back(std::move(read));
    }
};

} // namespace

std::uint64_t preflib_profile::voters() const {
    std::uint64_t total = 0;
    for (auto const& order : orders) total += order.count;
    return total;
}

preflib_profile parse_preflib(std::string_view text, std::filesystem::path const& file) {
    parser state{.file = file};
    state.profile.file = file;
    auto const ending = file.extension().string();
    auto const by_name = ending.empty() ? std::nullopt : rules_of(std::string_view(ending).substr(1));
    std::size_t lines = 0;
    for_each_line(text, [&](std::size_t number, std::string_view line) {
        lines = number;
        auto const content = cell{line}.trimmed();
        if (content.text.empty()) return;
        if (content.text.starts_with('#'))
            state.header(number, content.part(1));
        else
            state.order(number, content, by_name ? *by_name : rules_of(state.type).value_or(order_rules{}));
    });
    auto const end = cell{""};
    if (state.profile.orders.empty()) state.fail(lines + 1, end, "the file ends without an order 'count: 1,2,3'");
    if (state.voters && *state.voters != state.total)
        throw input_error(file, state.voters_line, state.voters_column,
                          fmt::format("NUMBER VOTERS is {}, but the orders count {}: is the file cut off?",
                                      *state.voters, state.total));
    return std::move(state.profile);
}

preflib_profile read_preflib(std::filesystem::path const& file) { return parse_preflib(read_text(file), file); }

pairwise_preference win_probabilities(preflib_profile const& profile) {
    auto const size = profile.names.size();
    if (size > largest_matrix)
        throw input_error(fmt::format("{}: {} alternatives, but at most {} can be compared pair by pair",
                                      profile.file.string(), size, largest_matrix));
    pairwise_preference result{size, std::vector<double>(size * size, 0.0), std::vector<double>(size * size, 0.0)};
    std::vector<std::size_t> tier(size);
    std::vector<std::size_t> ranked;
    for (auto const& order : profile.orders) {
        auto const weight = static_cast<double>(order.count);
        auto const unranked = order.tiers.size();
        std::fill(tier.begin(), tier.end(), unranked);
        ranked.clear();
        for (std::size_t t = 0; t < order.tiers.size(); ++t)
            for (auto const i : order.tiers[t]) tier[i] = t, ranked.push_back(i);
        for (auto const i : ranked) { // pairs of two unranked alternatives are compared by nobody
            for (std::size_t j = 0; j < size; ++j) {
                if (j == i || (tier[j] < unranked && j < i)) continue; // a ranked pair is met once
                auto const wins = tier[i] < tier[j] ? 1.0 : tier[i] == tier[j] ? 0.5 : 0.0;
                result.probability[i * size + j] += weight * wins;
                result.probability[j * size + i] += weight * (1.0 - wins);
                result.voters[i * size + j] += weight;
                result.voters[j * size + i] += weight;
            }
        }
    }
    for (std::size_t k = 0; k < size * size; ++k)
        result.probability[k] = result.voters[k] > 0 ? result.probability[k] / result.voters[k] : 0.5;
    return result;
}

} // namespace gallery
