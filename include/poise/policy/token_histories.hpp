#pragma once

#include "poise/core/error.hpp"

#include <cstddef>
#include <cstdint>

namespace poise::policy {

/// The histories that an autoregressive model of finite order tells apart: the last `order` tokens, or all where there
/// are fewer. They are numbered like the nodes of a tree, level after level; number 0 is the empty one. The last token
/// of the vocabulary ends a sequence, so it is in no history.
class token_histories {
public:
    constexpr token_histories(std::size_t vocabulary, std::size_t order) : vocabulary_(vocabulary), order_(order) {
        require(vocabulary > 1, "token_histories", "vocabulary", "a token and the end token", vocabulary);
        for (std::size_t j = 0, ways = 1; j <= order; ++j, ways *= vocabulary - 1) {
            full_from_ = size_;
            size_ += ways;
        }
    }

    constexpr std::size_t vocabulary() const { return vocabulary_; }
    constexpr std::size_t order() const { return order_; }
    constexpr std::uint32_t end_token() const { return static_cast<std::uint32_t>(vocabulary_ - 1); }
    constexpr std::size_t size() const { return size_; }
    /// The history with a token, not the end, appended.
    constexpr std::size_t next(std::size_t history, std::uint32_t token) const {
        auto const longer = history * (vocabulary_ - 1) + token + 1;
        return longer < size_ ? longer : full_from_ + (longer - size_) % (size_ - full_from_); // forget the oldest
    }

private:
    std::size_t vocabulary_;
    std::size_t order_;
    std::size_t size_ = 0;
    std::size_t full_from_ = 0; // the first history of `order` tokens
};

} // namespace poise::policy
