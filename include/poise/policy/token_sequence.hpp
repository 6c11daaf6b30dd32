#pragma once

#include "poise/core/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace poise::policy {

/// At most `MaximalLength` tokens, the numbers 0, 1, …; what lies behind the last is 0.
template <std::size_t MaximalLength>
class token_sequence {
public:
    static constexpr std::size_t maximal_length = MaximalLength;

    constexpr token_sequence() = default;
    /// Throws `argument_error` for too many tokens.
    constexpr explicit token_sequence(std::span<std::uint32_t const> tokens) {
        for (auto const token : tokens) push_back(token);
    }

    constexpr std::size_t size() const { return size_; }
    constexpr std::uint32_t operator[](std::size_t t) const { return tokens_[t]; }
    constexpr auto begin() const { return tokens_.begin(); }
    constexpr auto end() const { return tokens_.begin() + static_cast<std::ptrdiff_t>(size_); }

    /// Throws `argument_error` where the sequence is full.
    constexpr void push_back(std::uint32_t token) {
        require(size_ < MaximalLength, "token_sequence::push_back", "token", "room for one more", MaximalLength);
        tokens_[size_++] = token;
    }

    friend constexpr bool operator==(token_sequence const&, token_sequence const&) = default;

private:
    std::array<std::uint32_t, MaximalLength> tokens_{};
    std::size_t size_ = 0;
};

} // namespace poise::policy
