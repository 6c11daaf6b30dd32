#pragma once

#include "poise/core/segment.hpp"

#include <array>
#include <utility>

namespace poise {

/// The first `Count` scratch rows, cut to n elements: a kernel's are as long as its longest argument.
template <std::size_t Count>
constexpr auto scratch_of_length(auto const& scratch, std::size_t n) {
    return [&]<std::size_t... S>(std::index_sequence<S...>) {
        return std::array{segment(scratch[S], 0, n)...};
    }(std::make_index_sequence<Count>{});
}

} // namespace poise
