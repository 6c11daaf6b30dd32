#pragma once

#include "poise/core/error.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace poise::policy {

/// What an autoregressive policy (token_policy.hpp) can tell apart of the tokens so far: histories 0, …, size() - 1,
/// number 0 that of no token; `next(history, token)`, the history with a token appended; and whether a token ends the
/// sequence, `ends(token)`.
template <class H>
concept histories = std::equality_comparable<H> && requires(H const& h, std::size_t history, std::uint32_t token) {
    { h.vocabulary() } -> std::convertible_to<std::size_t>;
    { h.size() } -> std::convertible_to<std::size_t>;
    { h.next(history, token) } -> std::convertible_to<std::size_t>;
    { h.ends(token) } -> std::convertible_to<bool>;
};

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
    constexpr bool ends(std::uint32_t token) const { return token == end_token(); }
    constexpr std::size_t size() const { return size_; }
    /// The history with a token, not the end, appended.
    constexpr std::size_t next(std::size_t history, std::uint32_t token) const {
        auto const longer = history * (vocabulary_ - 1) + token + 1;
        return longer < size_ ? longer : full_from_ + (longer - size_) % (size_ - full_from_); // forget the oldest
    }
    friend constexpr bool operator==(token_histories const&, token_histories const&) = default;

private:
    std::size_t vocabulary_;
    std::size_t order_;
    std::size_t size_ = 0;
    std::size_t full_from_ = 0; // the first history of `order` tokens
};

/// Only the number of tokens so far, up to `positions` - 1: the tokens of a sequence are independent of each other. No
/// token ends it.
class position_histories {
public:
    constexpr position_histories(std::size_t vocabulary, std::size_t positions)
        : vocabulary_(vocabulary), positions_(positions) {
        require(vocabulary > 0, "position_histories", "vocabulary", "at least one token", vocabulary);
        require(positions > 0, "position_histories", "positions", "at least one", positions);
    }

    constexpr std::size_t vocabulary() const { return vocabulary_; }
    constexpr std::size_t size() const { return positions_; }
    constexpr std::size_t next(std::size_t history, std::uint32_t) const {
        return history + 1 < positions_ ? history + 1 : history;
    }
    constexpr bool ends(std::uint32_t) const { return false; }
    friend constexpr bool operator==(position_histories const&, position_histories const&) = default;

private:
    std::size_t vocabulary_;
    std::size_t positions_;
};

/// The number of tokens so far, up to `positions` - 1, and behind position `key` the token that was there. No token
/// ends a sequence. Position t is history t up to the key; behind it those of a position follow each other, one for
/// each token at the key.
class keyed_histories {
public:
    constexpr keyed_histories(std::size_t vocabulary, std::size_t positions, std::size_t key)
        : vocabulary_(vocabulary), positions_(positions), key_(key) {
        require(vocabulary > 0, "keyed_histories", "vocabulary", "at least one token", vocabulary);
        require(key + 1 < positions, "keyed_histories", "key", "a position before the last", key);
    }

    constexpr std::size_t vocabulary() const { return vocabulary_; }
    constexpr std::size_t key() const { return key_; }
    constexpr std::size_t size() const { return key_ + 1 + (positions_ - key_ - 1) * vocabulary_; }
    constexpr std::size_t next(std::size_t history, std::uint32_t token) const {
        if (history < key_) return history + 1;
        if (history == key_) return history + 1 + token;
        return history + vocabulary_ < size() ? history + vocabulary_ : history;
    }
    constexpr bool ends(std::uint32_t) const { return false; }
    friend constexpr bool operator==(keyed_histories const&, keyed_histories const&) = default;

private:
    std::size_t vocabulary_;
    std::size_t positions_;
    std::size_t key_;
};

} // namespace poise::policy
