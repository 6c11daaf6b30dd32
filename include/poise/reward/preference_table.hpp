#pragma once

#include "poise/reward/preference_matrix.hpp"

#include <utility>
#include <vector>

namespace poise::reward {

/// Compares actions by a matrix of preferences for each context, context after context, transitive or not.
template <scalar T>
class preference_table {
public:
    using value_type = T;
    using context_type = std::size_t;
    using action_type = std::size_t;

    constexpr preference_table(std::vector<T> preferences, std::size_t actions)
        : preferences_(std::move(preferences)), actions_(actions) {
        constexpr auto name = "reward::preference_table";
        auto const elements = actions * actions;
        require(elements > 0 && preferences_.size() % elements == 0, name, "preferences",
                "a square matrix per context, one row and one column per action", preferences_.size());
        for (std::size_t context = 0; context < contexts(); ++context)
            check_preferences(name, elements, actions,
                              [&](std::size_t k) { return preferences_[context * elements + k]; });
    }
    constexpr std::size_t contexts() const { return preferences_.size() / (actions_ * actions_); }
    constexpr std::size_t actions() const { return actions_; }
    /// The probability that a is preferred to b.
    constexpr T preference(std::size_t context, std::size_t a, std::size_t b) const {
        return preferences_[(context * actions_ + a) * actions_ + b];
    }

private:
    std::vector<T> preferences_;
    std::size_t actions_;
};

/// Scores an action by how much likelier than not it wins against an opponent, P(action > nu) - 1/2: the reward that
/// Nash-MD's policy gradient maximises (slug nash-md). Its mean under a policy p is win(p, nu) - 1/2. `Preferences`
/// compares actions; `opponents` are distributions over n actions, context after context.
template <class Preferences>
class win_margin {
public:
    using value_type = typename Preferences::value_type;
    using context_type = std::size_t;
    using action_type = std::size_t;

    constexpr win_margin(Preferences preferences, std::vector<value_type> opponents, std::size_t actions)
        : preferences_(std::move(preferences)), opponents_(std::move(opponents)), actions_(actions) {
        constexpr auto name = "reward::win_margin";
        require(actions > 0 && opponents_.size() % actions == 0, name, "opponents",
                "a distribution over the actions per context", opponents_.size());
        for (std::size_t first = 0; first < opponents_.size(); first += actions)
            check_distribution(name, "opponents", actions, actions,
                               [&](std::size_t k) { return opponents_[first + k]; });
    }
    constexpr value_type score(std::size_t context, std::size_t action) const {
        auto total = value_type(-0.5);
        for (std::size_t b = 0; b < actions_; ++b)
            total += opponents_[context * actions_ + b] * preferences_.preference(context, action, b);
        return total;
    }

private:
    Preferences preferences_;
    std::vector<value_type> opponents_;
    std::size_t actions_;
};

} // namespace poise::reward
