#pragma once

#include "poise/core/error.hpp"
#include "poise/core/math.hpp"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace poise::reward {

/// A score for each action of each context, context after context.
template <scalar T>
class table {
public:
    using value_type = T;
    using context_type = std::size_t;
    using action_type = std::size_t;

    constexpr table(std::vector<T> scores, std::size_t actions) : scores_(std::move(scores)), actions_(actions) {
        if (actions == 0 || scores_.size() % actions != 0)
            require(false, "reward::table", "scores", "a multiple of " + std::to_string(actions) + " actions",
                    scores_.size());
    }
    constexpr std::size_t contexts() const { return scores_.size() / actions_; }
    constexpr std::size_t actions() const { return actions_; }
    constexpr T score(std::size_t context, std::size_t action) const { return scores_[context * actions_ + action]; }

private:
    std::vector<T> scores_;
    std::size_t actions_;
};

/// Compares actions by their scores: P(a is preferred to b) = sigmoid(score(a) - score(b)) (Bradley and Terry 1952).
template <class Scores>
struct bradley_terry {
    using value_type = typename Scores::value_type;
    using context_type = typename Scores::context_type;
    using action_type = typename Scores::action_type;

    Scores scores;

    constexpr auto preference(context_type const& context, action_type const& a, action_type const& b) const {
        return math::sigmoid(scores.score(context, a) - scores.score(context, b));
    }
};

} // namespace poise::reward
