#pragma once

#include "poise/core/error.hpp"
#include "poise/environment/finite_mdp.hpp"
#include "poise/random/continuous.hpp"
#include "poise/random/discrete.hpp"

#include <string>
#include <utility>
#include <vector>

namespace poise::environment {

/// An arm that pays 1 with its mean as probability, else 0.
struct bernoulli_arms {
    template <random::drawable T>
    constexpr T operator()(T mean, random::address where) const {
        return math::select(random::uniform<T>(where) < mean, T(1), T(0));
    }
};

/// An arm that pays its mean plus normal noise.
struct gaussian_arms {
    double standard_deviation = 1;

    template <random::drawable T>
    constexpr T operator()(T mean, random::address where) const {
        return mean + T(real_of<T>(standard_deviation)) * random::normal<T>(where);
    }
};

/// A contextual bandit: a context drawn uniformly, one action, a reward drawn about the mean of that context and
/// action, and the episode is over. For packs, each lane has means of its own.
template <random::drawable T, class Arms = bernoulli_arms>
class contextual_bandit {
public:
    using value_type = T;
    using state_type = discrete<T>;
    using action_type = discrete<T>;
    static constexpr std::uint32_t draws = 1;

    /// `means` has one number per context and action, context after context.
    constexpr contextual_bandit(std::vector<T> means, std::size_t actions, Arms arms = {})
        : means_(std::move(means)), actions_(actions), arms_(arms) {
        if (actions == 0 || means_.empty() || means_.size() % actions != 0)
            require(false, "contextual_bandit", "means", "a multiple of " + std::to_string(actions) + " actions",
                    means_.size());
    }

    constexpr std::size_t states() const { return means_.size() / actions_; }
    constexpr std::size_t actions() const { return actions_; }
    constexpr T mean(state_type context, action_type action) const {
        if constexpr (std::floating_point<T>)
            return means_[context * actions_ + action];
        else
            return look_up<T>(means_, context * T(static_cast<real_of<T>>(actions_)) + action);
    }

    constexpr state_type reset(random::address where) const {
        auto const n = static_cast<real_of<T>>(states());
        return as_discrete<T>(math::floor(random::uniform<T>(where) * T(n)));
    }
    constexpr transition<state_type, T> step(state_type context, action_type action, random::address where) const {
        return {context, arms_(mean(context, action), where), mask_of<T>(true), mask_of<T>(false)};
    }
    constexpr std::size_t observation_size() const { return states(); }
    constexpr void observe(state_type context, writable_row auto out) const { one_hot<T>(context, out); }

    /// Its exact form.
    finite_mdp<real_of<T>> mdp() const
        requires std::floating_point<T>
    {
        auto const contexts = states();
        return {actions_, std::vector<T>(means_.size() * contexts, T(0)), means_,
                std::vector<T>(contexts, T(1) / static_cast<T>(contexts)), T(1)};
    }

private:
    std::vector<T> means_;
    std::size_t actions_;
    Arms arms_;
};

/// A bandit with one arm per mean: `bandit<double>({0.2, 0.8})`, `bandit<double>({0.0, 1.5}, gaussian_arms{0.5})`.
template <random::drawable T, class Arms = bernoulli_arms>
constexpr auto bandit(std::vector<T> means, Arms arms = {}) {
    auto const actions = means.size();
    return contextual_bandit<T, Arms>(std::move(means), actions, arms);
}

} // namespace poise::environment
