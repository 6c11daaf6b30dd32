#pragma once

#include "poise/core/error.hpp"
#include "poise/core/math.hpp"

#include <algorithm>
#include <ranges>
#include <utility>
#include <vector>

namespace poise::reward {

/// 1 where `predicate(context, action)` holds, else 0: a reward that can be checked.
template <scalar T, class Context, class Action, class Predicate>
struct verifiable {
    using value_type = T;
    using context_type = Context;
    using action_type = Action;

    Predicate predicate;

    constexpr T score(Context const& context, Action const& action) const {
        return math::select(predicate(context, action), T(1), T(0));
    }
};

/// A verifiable reward of a predicate such as a lambda: `verified_by<double, std::size_t, tokens>(is_sorted)`.
template <scalar T, class Context, class Action, class Predicate>
constexpr auto verified_by(Predicate predicate) {
    return verifiable<T, Context, Action, Predicate>{std::move(predicate)};
}

/// Whether an action is, token by token, the answer of its context.
template <std::ranges::input_range Tokens>
struct matches_answer {
    std::vector<Tokens> answers; ///< of context 0, 1, …

    constexpr bool operator()(std::size_t context, std::ranges::input_range auto const& action) const {
        return std::ranges::equal(answers[context], action);
    }
};

/// 1 for exactly the answer of the context, a sequence of tokens, else 0.
template <scalar T, std::ranges::input_range Tokens>
constexpr auto exact_match(std::vector<Tokens> answers) {
    require(!answers.empty(), "exact_match", "answers", "one for each context", 0);
    return verified_by<T, std::size_t, Tokens>(matches_answer<Tokens>{std::move(answers)});
}

} // namespace poise::reward
