#pragma once

#include "poise/random/continuous.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>

/// Discrete draws. Rows are anything with `size()` and `operator[]`: `row`, std::array, std::vector, std::span. A row
/// of packs is a row per lane: lane i is the draw of replica + i, and the index comes back as a pack of reals.
namespace poise::random {

namespace detail {

constexpr std::uint64_t uniform_integer(word_sequence& words, std::uint64_t n) {
    // The first 2^64 mod n words are refused, which leaves each remainder equally many.
    auto const refused = (0 - n) % n;
    while (true) {
        auto const word = words();
        if (word >= refused) return word % n;
    }
}

template <class Row>
constexpr std::size_t categorical(word_sequence& words, Row const& weights) {
    auto total = 0.0;
    for (std::size_t k = 0; k < weights.size(); ++k) {
        auto const weight = static_cast<double>(weights[k]);
        check(weight >= 0.0, "random::categorical", "weights", "numbers not below 0", weight);
        total += weight;
    }
    check(total > 0.0 && total <= std::numeric_limits<double>::max(), "random::categorical", "weights",
          "a positive finite sum", total);
    auto const target = open_unit(words) * total;
    auto cumulative = 0.0;
    std::size_t last_possible = 0; // stands in where the product above rounds up to the total
    for (std::size_t k = 0; k < weights.size(); ++k) {
        auto const weight = static_cast<double>(weights[k]);
        if (weight > 0.0) {
            cumulative += weight;
            last_possible = k;
            if (target < cumulative) break;
        }
    }
    return last_possible;
}

template <class Row>
constexpr std::size_t categorical_from_logits(word_sequence& words, Row const& logits) {
    auto best = std::size_t{0};
    auto best_score = -std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < logits.size(); ++k) {
        auto const logit = static_cast<double>(logits[k]);
        check(logit <= std::numeric_limits<double>::max(), "random::categorical_from_logits", "logits",
              "finite numbers or -inf", logit);
        auto const score = logit + gumbel(words);
        if (score > best_score) {
            best = k;
            best_score = score;
        }
    }
    check(best_score > -std::numeric_limits<double>::infinity(), "random::categorical_from_logits", "logits",
          "at least one above -inf", "none");
    return best;
}

/// The same for a row of packs, in all lanes at once.
template <lane_pack T, class Row>
constexpr T categorical_from_logits_in_lanes(address where, Row const& logits) {
    using words_of_draw = words_of_lanes<T::size>;
    constexpr auto lanes = T::size, count = words_of_draw::count, n = count * lanes;
    constexpr auto infinity = std::numeric_limits<double>::infinity();
    auto best = std::array<double, lanes>{}, best_score = best;
    best_score.fill(-infinity);
    auto refused = std::array<double, n>{};
    auto index = 0.0;
    // Each loop does one thing over many numbers, or compilers do not make it SIMD.
    for (std::size_t first = 0; first < logits.size(); first += count) {
        auto logit = std::array<real_of<T>, n>{};
        for (std::size_t w = 0; w < count; ++w) {
            auto const here = first + w < logits.size() ? T(logits[first + w]) : T(-static_cast<real_of<T>>(infinity));
            here.store(logit.data() + words_of_draw::place(w));
        }
        auto const words = words_of_draw(where, first / 2);
        auto score = std::array<double, n>{};
        for (std::size_t i = 0; i < n; ++i) score[i] = static_cast<double>(logit[i]) + gumbel(words.all[i]);
        for (std::size_t i = 0; i < n; ++i)
            refused[i] += static_cast<double>(logit[i]) <= std::numeric_limits<double>::max() ? 0.0 : 1.0;
        for (std::size_t w = 0; w < count; ++w) {
            auto const* const here = score.data() + words_of_draw::place(w);
            for (std::size_t i = 0; i < lanes; ++i) {
                auto const better = here[i] > best_score[i];
                best[i] = better ? index : best[i];
                best_score[i] = better ? here[i] : best_score[i];
            }
            index += 1.0;
        }
    }
    auto valid = true;
    for (auto const count_of_refused : refused) valid &= count_of_refused == 0.0;
    for (auto const greatest : best_score) valid &= greatest > -infinity;
    if (!valid) // says which one is not
        for (std::size_t i = 0; i < T::size; ++i) {
            auto again = word_sequence(replica_of_lane(where, i));
            categorical_from_logits(again, lane_of_row{logits, i});
        }
    return assemble<T>([&](std::size_t i) { return best[i]; });
}

// An index for a row of reals, a pack of indices for a row of packs.
template <class Row, class Draw>
constexpr auto draw_index(address where, Row const& row, char const* function, char const* argument, Draw const& draw) {
    check<argument_error>(row.size() > 0, function, argument, "at least one element", "none");
    using T = element_of<Row>;
    if constexpr (lane_pack<T>) {
        return draw_as<T>(where, [&](word_sequence& words, std::size_t i) { return draw(words, lane_of_row{row, i}); });
    } else {
        auto words = word_sequence(where);
        return std::size_t{draw(words, lane_of_row{row, 0})};
    }
}

} // namespace detail

/// Uniform on 0, 1, …, n - 1, without bias. Throws `domain_violation` for n = 0.
constexpr std::uint64_t uniform_integer(address where, std::uint64_t n) {
    detail::check(n > 0, "random::uniform_integer", "n", "a positive integer", n);
    auto words = word_sequence(where);
    return detail::uniform_integer(words, n);
}

/// True with probability p: U < p, so never for 0 and always for 1. For a pack p a mask.
/// Throws `domain_violation` unless 0 <= p <= 1.
template <drawable P>
constexpr auto bernoulli(address where, P const& p) {
    for (std::size_t i = 0; i < detail::lane_count<P>; ++i) {
        auto const value = detail::lane(p, i);
        detail::check(value >= 0 && value <= 1, "random::bernoulli", "p", "a probability in [0, 1]", value);
    }
    return uniform<P>(where) < p;
}

/// Index k with probability w_k / sum_j w_j: the first whose cumulative sum, added up in `double` in the row's order,
/// exceeds U sum_j w_j. Weights need not sum to 1; an index of weight 0 is never drawn.
/// Throws `argument_error` for an empty row, `domain_violation` for a negative or NaN weight or a sum not in (0, inf).
template <class Row>
constexpr auto categorical(address where, Row const& weights) {
    return detail::draw_index(where, weights, "random::categorical", "weights",
                              [](word_sequence& words, auto const& row) { return detail::categorical(words, row); });
}

/// Index k with probability e^{l_k} / sum_j e^{l_j}, by Gumbel-max: argmax_k l_k + G_k. Never an index of logit -inf.
/// Throws `argument_error` for an empty row, `domain_violation` for NaN, +inf or nothing but -inf.
template <class Row>
constexpr auto categorical_from_logits(address where, Row const& logits) {
    using T = detail::element_of<Row>;
    if constexpr (lane_pack<T>) {
        detail::check<argument_error>(logits.size() > 0, "random::categorical_from_logits", "logits",
                                      "at least one element", "none");
        return detail::categorical_from_logits_in_lanes<T>(where, logits);
    } else {
        return detail::draw_index(
            where, logits, "random::categorical_from_logits", "logits",
            [](word_sequence& words, auto const& row) { return detail::categorical_from_logits(words, row); });
    }
}

/// A uniform permutation of 0, 1, …, n - 1 into `out`, n = out.size(), by Fisher and Yates.
/// Throws `argument_error` if the row's type cannot hold n - 1. An empty row stays empty.
template <class Out>
constexpr void permutation(address where, Out&& out) {
    using value_type = detail::element_of<Out>;
    auto const n = static_cast<std::size_t>(out.size());
    constexpr auto greatest = std::numeric_limits<value_type>::digits >= std::numeric_limits<std::size_t>::digits
                                  ? std::numeric_limits<std::size_t>::max()
                                  : (std::size_t{1} << std::numeric_limits<value_type>::digits) - 1;
    detail::check<argument_error>(n == 0 || n - 1 <= greatest, "random::permutation", "out",
                                  "a row whose type holds every index", n);
    auto words = word_sequence(where);
    for (std::size_t k = 0; k < n; ++k) {
        auto const j = static_cast<std::size_t>(detail::uniform_integer(words, k + 1));
        // Fisher and Yates inside out: k goes to a random place among the first k + 1, what was there to the end.
        if (j != k) out[k] = out[j];
        out[j] = static_cast<value_type>(k);
    }
}

} // namespace poise::random
