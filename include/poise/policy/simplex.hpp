#pragma once

#include "poise/core/error.hpp"
#include "poise/core/verbs.hpp"
#include "poise/random/discrete.hpp"

#include <vector>

namespace poise::policy {

/// A table of probabilities, one row per context, that are the parameters themselves. Whoever moves them keeps each row
/// on the simplex: see solver/simplex_step.hpp.
template <scalar T>
class simplex {
public:
    using value_type = T;
    using context_type = std::size_t;
    using action_type = std::size_t;

    /// Uniform.
    constexpr simplex(std::size_t contexts, std::size_t actions)
        : actions_(actions), probabilities_(contexts * actions, T(1) / T(actions)) {
        require(actions > 0, "simplex", "actions", "at least one", actions);
    }

    constexpr std::size_t contexts() const { return probabilities_.size() / actions_; }
    constexpr std::size_t actions() const { return actions_; }
    constexpr row<T> parameters() { return {probabilities_.data(), probabilities_.size()}; }
    constexpr row<T const> parameters() const { return {probabilities_.data(), probabilities_.size()}; }
    constexpr row<T> probabilities(std::size_t context) {
        return {probabilities_.data() + context * actions_, actions_};
    }
    constexpr row<T const> probabilities(std::size_t context) const {
        return {probabilities_.data() + context * actions_, actions_};
    }

    /// -inf where the probability is 0.
    constexpr void log_probabilities(std::size_t context, writable_row auto out) const {
        map(out, math::log, probabilities(context));
    }
    constexpr T log_probability(std::size_t context, std::size_t action) const {
        return math::log(probabilities(context)[action]);
    }
    /// The action drawn at this address, never one of probability 0; for packs one action per lane.
    constexpr auto sample(std::size_t context, random::address where) const {
        return random::categorical(where, probabilities(context));
    }
    /// In nats.
    constexpr T entropy(std::size_t context) const { return poise::entropy(probabilities(context)); }

    /// Adds to `gradient` (as long as `parameters()`) J^T c, J the Jacobian of this context's log-probabilities in the
    /// probabilities, which are taken as free: c_a / pi_a, and 0 where c_a is 0.
    constexpr void pullback(std::size_t context, row_of_reals auto cotangent, row<T> gradient) const {
        auto const here = row<T>(gradient.data() + context * actions_, actions_);
        map(
            here, [](auto g, auto c, auto p) { return g + math::select(c == T(0), T(0), c / p); }, here, cotangent,
            probabilities(context));
    }
    /// The same for the log-probability of one action: c / pi_action at that action.
    constexpr void pullback(std::size_t context, std::size_t action, T cotangent, row<T> gradient) const {
        auto const k = context * actions_ + action;
        gradient[k] += math::select(cotangent == T(0), T(0), cotangent / probabilities_[k]);
    }

private:
    std::size_t actions_;
    std::vector<T> probabilities_;
};

} // namespace poise::policy
