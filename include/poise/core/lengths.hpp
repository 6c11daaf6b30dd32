#pragma once

#include "poise/core/error.hpp"

#include <cstddef>
#include <string>
#include <string_view>

/// Checks of the lengths of a batch's rows, for the `check` of kernels.
namespace poise {

/// The length of row i, where every row of a shared batch is its only one.
template <class Batch>
constexpr std::size_t length_of_row(Batch const& batch, std::size_t i) {
    return batch.length(Batch::is_shared ? 0 : i);
}

/// Throws `argument_error` unless a row has as many elements as expected.
constexpr void require_elements(std::string_view function, std::string_view argument, std::size_t length,
                                std::size_t expected) {
    if (length != expected) require(false, function, argument, std::to_string(expected) + " elements", length);
}

/// Throws `argument_error` unless each row is as long as the same row of `like`.
template <class Batch, class Like>
constexpr void require_length_of(std::string_view function, std::string_view argument, Batch const& batch,
                                 Like const& like) {
    auto const rows = Batch::is_shared ? like.rows() : batch.rows();
    for (std::size_t i = 0; i < rows; ++i)
        require_elements(function, argument, length_of_row(batch, i), length_of_row(like, i));
}

/// Throws `argument_error` unless each row has `expected` elements.
template <class Batch>
constexpr void require_length(std::string_view function, std::string_view argument, Batch const& batch,
                              std::size_t expected) {
    for (std::size_t i = 0; i < batch.rows(); ++i) require_elements(function, argument, batch.length(i), expected);
}

/// Throws `argument_error` unless the rows of all batches are as long as those of the first.
template <class Names, class First, class... Batches>
constexpr void require_equal_lengths(std::string_view function, Names const& names, First const& first,
                                     Batches const&... batches) {
    auto index = std::size_t{0};
    (require_length_of(function, names[++index], batches, first), ...);
}

} // namespace poise
