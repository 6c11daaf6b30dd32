#pragma once

#include "poise/core/computed_row.hpp"
#include "poise/core/verbs.hpp"
#include "poise/policy/token_histories.hpp"

#include <algorithm>
#include <vector>

/// Exact expectations over all sequences of an autoregressive policy with finitely many histories, by
/// recursion over its histories.
namespace poise::policy::sequence_expectation {

namespace detail {

template <class T>
constexpr T after(T const* values, histories auto const& known, std::size_t history, std::size_t number) {
    auto const token = static_cast<std::uint32_t>(number);
    return known.ends(token) ? T(0) : values[known.next(history, token)];
}

} // namespace detail

/// E[sum_t term(history_t)[y_t]] over sequences of at most `length` tokens, where log_p(history) is the row of the next
/// token's log-probabilities. With v_t(h) what is expected from token t on after history h:
///     v_t(h) = sum_a p_a (term_a + v_{t+1}(h a)).
/// `memory` holds v, and grows if it is too short.
template <class T, class LogP, class Term>
constexpr T value(histories auto const& known, std::size_t length, LogP const& log_p, Term const& term_of,
                  std::vector<T>& memory) {
    auto const n = known.size();
    if (memory.size() < (length + 3) * n) memory.resize((length + 3) * n, T(0));
    std::fill_n(memory.data() + length * n, n, T(0));
    for (auto t = length; t-- > 0;)
        for (std::size_t h = 0; h < n; ++h) {
            auto const* const later = memory.data() + (t + 1) * n;
            auto const term = term_of(h);
            auto const to_come = computed_row(
                known.vocabulary(), [&](std::size_t a) { return T(term[a]) + detail::after(later, known, h, a); });
            memory[t * n + h] =
                sum([](auto l, auto v) { return math::select(l == T(-math::infinity<T>), T(0), math::exp(l) * v); },
                    log_p(h), to_come);
        }
    return memory[0];
}

/// The gradient of `value` in the logits of every history, add(history, row), for terms whose own derivatives have mean
/// 0 (log-probabilities and differences of them): p_a (term_a + v_{t+1}(h a) - v_t(h)), weighted by the probability of
/// having history h before token t.
template <class T, class LogP, class Term, class Add>
constexpr void pullback(histories auto const& known, std::size_t length, LogP const& log_p, Term const& term_of,
                        std::vector<T>& memory, T cotangent, Add const& add) {
    value<T>(known, length, log_p, term_of, memory);
    auto const n = known.size();
    auto* reach = memory.data() + (length + 1) * n; // the probability of each history before token t
    auto* next_reach = reach + n;
    std::fill_n(reach, n, T(0));
    reach[0] = T(1);
    for (std::size_t t = 0; t < length; ++t) {
        std::fill_n(next_reach, n, T(0));
        for (std::size_t h = 0; h < n; ++h) {
            auto const term = term_of(h);
            auto const l = log_p(h);
            auto const here = memory[t * n + h], weight = cotangent * reach[h];
            auto const* const later = memory.data() + (t + 1) * n;
            add(h, computed_row(known.vocabulary(), [&](std::size_t a) {
                    auto const gain = T(term[a]) + detail::after(later, known, h, a) - here;
                    return math::select(T(l[a]) == T(-math::infinity<T>), T(0), weight * math::exp(T(l[a])) * gain);
                }));
            for (std::uint32_t a = 0; a < known.vocabulary(); ++a)
                if (!known.ends(a)) next_reach[known.next(h, a)] += reach[h] * math::exp(T(l[a]));
        }
        std::swap(reach, next_reach);
    }
}

} // namespace poise::policy::sequence_expectation
