#pragma once

#include "poise/core/error.hpp"
#include "poise/core/verbs.hpp"
#include "poise/random/discrete.hpp"

#include <vector>

namespace poise::policy {

/// The softmax of a table of logits, one row per context: log pi(a | c) = z_ca - log sum_b e^{z_cb}. All logits are one
/// flat row of parameters, context after context. With T a SIMD pack it is one policy per lane.
template <scalar T>
class tabular_softmax {
public:
    using value_type = T;
    using context_type = std::size_t;
    using action_type = std::size_t;

    /// Uniform: all logits 0.
    constexpr tabular_softmax(std::size_t contexts, std::size_t actions)
        : actions_(actions), logits_(contexts * actions, T(0)) {
        require(actions > 0, "tabular_softmax", "actions", "at least one", actions);
    }

    constexpr std::size_t contexts() const { return logits_.size() / actions_; }
    constexpr std::size_t actions() const { return actions_; }
    constexpr row<T> parameters() { return {logits_.data(), logits_.size()}; }
    constexpr row<T const> parameters() const { return {logits_.data(), logits_.size()}; }
    constexpr row<T> logits(std::size_t context) { return {logits_.data() + context * actions_, actions_}; }
    constexpr row<T const> logits(std::size_t context) const { return {logits_.data() + context * actions_, actions_}; }

    constexpr void log_probabilities(std::size_t context, writable_row auto out) const {
        log_softmax(out, logits(context));
    }
    constexpr T log_probability(std::size_t context, std::size_t action) const {
        auto const z = logits(context);
        return z[action] - log_sum_exp(z);
    }
    /// The action drawn at this address, by Gumbel-max; for packs one action per lane.
    constexpr auto sample(std::size_t context, random::address where) const {
        return random::categorical_from_logits(where, logits(context));
    }
    /// In nats.
    constexpr T entropy(std::size_t context) const {
        auto const z = logits(context);
        auto const normaliser = log_sum_exp(z);
        return -sum(
            [=](auto v) {
                auto const log_p = v - normaliser;
                return math::select(v == -math::infinity<T>, T(0), math::exp(log_p) * log_p);
            },
            z);
    }

    /// Adds to `gradient` (as long as `parameters()`) J^T c, J the Jacobian of this context's log-probabilities in the
    /// logits: c_a - pi_a sum_b c_b.
    constexpr void pullback(std::size_t context, row_of_reals auto cotangent, row<T> gradient) const {
        auto const z = logits(context);
        auto const normaliser = log_sum_exp(z);
        auto const total = sum(cotangent);
        auto const here = row<T>(gradient.data() + context * actions_, actions_);
        map(
            here, [=](auto g, auto c, auto v) { return g + c - math::exp(v - normaliser) * total; }, here, cotangent,
            z);
    }
    /// The same for the log-probability of one action: c (1{a = action} - pi_a).
    constexpr void pullback(std::size_t context, std::size_t action, T cotangent, row<T> gradient) const {
        auto const z = logits(context);
        auto const normaliser = log_sum_exp(z);
        auto const here = row<T>(gradient.data() + context * actions_, actions_);
        map(here, [=](auto g, auto v) { return g - cotangent * math::exp(v - normaliser); }, here, z);
        here[action] += cotangent;
    }

private:
    std::size_t actions_;
    std::vector<T> logits_;
};

} // namespace poise::policy
