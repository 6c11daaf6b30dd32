#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace gallery {

/// A ranking given by `count` voters: tiers of alternatives (numbered from 0), best first, equals in one tier.
/// An alternative in no tier was not ranked.
struct preflib_order {
    std::uint64_t count = 0;
    std::vector<std::vector<std::size_t>> tiers{};
};

/// The content of a PrefLib ranking file.
struct preflib_profile {
    std::filesystem::path file{};
    std::string title{};
    std::vector<std::string> names{}; ///< of the alternatives, in the order of their numbers
    std::vector<preflib_order> orders{};

    std::uint64_t voters() const;
};

/// Reads a PrefLib ranking file (https://preflib.github.io/PrefLib-Jekyll/format): `# KEY: value` lines, then
/// `count: 1,{2,3},4` lines. The file name's ending says what an order may be: complete (.soc, .toc) or not (.soi,
/// .toi), with ties (.toc, .toi) or without (.soc, .soi); other endings leave that to the header's DATA TYPE. Throws
/// input_error with file, line and column.
preflib_profile read_preflib(std::filesystem::path const& file);

/// The same, of a text; `file` serves the messages and the ending.
preflib_profile parse_preflib(std::string_view text, std::filesystem::path const& file);

/// Who wins against whom: P(i, j) is the fraction of voters who rank i above j, among those who rank at least one of
/// the two. A ranked alternative is above an unranked one; a tie counts half. So P(i, j) + P(j, i) = 1 and P(i, i) =
/// 1/2; a pair that nobody compares is at 1/2.
struct pairwise_preference {
    std::size_t size = 0;
    std::vector<double> probability{}; ///< size x size, row after row
    std::vector<double> voters{};      ///< size x size, how many compare the pair

    double operator()(std::size_t i, std::size_t j) const { return probability[i * size + j]; }
};

/// Throws input_error for more than 5,000 alternatives, whose matrix would not be of use.
pairwise_preference win_probabilities(preflib_profile const& profile);

} // namespace gallery
