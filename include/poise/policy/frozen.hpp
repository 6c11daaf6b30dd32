#pragma once

#include "poise/core/row.hpp"
#include "poise/random/address.hpp"

#include <cstddef>
#include <span>
#include <utility>

namespace poise::policy {

/// A copy of a policy without trainable parameters: a reference for divergences and mixtures. `parameters()` is empty
/// and pullbacks add nothing. It stands where a divergence asks for a policy of its kind:
///     auto const reference = policy::frozen(pi);
///     pi.kl_divergence(context, reference);
template <class Policy>
class frozen {
public:
    using value_type = typename Policy::value_type;
    using context_type = typename Policy::context_type;
    using action_type = typename Policy::action_type;
    using tape = typename Policy::tape;
    /// The same policy over another scalar.
    template <class U>
    using over = frozen<typename Policy::template over<U>>;

    constexpr explicit frozen(Policy policy) : policy_(std::move(policy)) {}
    template <class Other>
    constexpr explicit frozen(frozen<Other> const& other) : policy_(other.policy()) {}

    constexpr Policy const& policy() const { return policy_; }
    constexpr operator Policy const&() const { return policy_; }

    constexpr row<value_type> parameters() { return {nullptr, 0}; }
    constexpr row<value_type const> parameters() const { return {nullptr, 0}; }
    constexpr std::size_t actions() const
        requires requires(Policy const& p) { p.actions(); }
    {
        return policy_.actions();
    }

    constexpr std::size_t contexts() const
        requires requires(Policy const& p) { p.contexts(); }
    {
        return policy_.contexts();
    }

    constexpr auto log_probability(auto const& context, auto const& action) const {
        return policy_.log_probability(context, action);
    }
    constexpr void log_probabilities(auto const& context, writable_row auto out) const
        requires requires(Policy const& p) { p.actions(); }
    {
        policy_.log_probabilities(context, out);
    }
    constexpr auto sample(auto const& context, random::address where) const
        requires requires(Policy const& p) { p.sample(context, where); }
    {
        return policy_.sample(context, where);
    }
    constexpr auto entropy(auto const& context) const { return policy_.entropy(context); }
    constexpr auto kl_divergence(auto const& context, Policy const& other) const {
        return policy_.kl_divergence(context, other);
    }
    constexpr void pullback(auto const&, auto const&, value_type, row<value_type>) const {}
    constexpr void pullback(auto const&, row_of_reals auto, row<value_type>) const {}
    constexpr void entropy_pullback(auto const&, value_type, row<value_type>) const {}
    constexpr void kl_divergence_pullback(auto const&, Policy const&, value_type, row<value_type>) const {}

    constexpr void sample(auto const& contexts, random::address where, tape& memory,
                          std::span<action_type> drawn) const {
        policy_.sample(contexts, where, memory, drawn);
    }
    constexpr void evaluate(auto const& contexts, std::span<action_type const> actions, tape& memory,
                            row<value_type> log_probabilities, row<value_type> entropies) const {
        policy_.evaluate(contexts, actions, memory, log_probabilities, entropies);
    }
    constexpr void evaluate_tokens(auto const& contexts, std::span<action_type const> actions, tape& memory,
                                   row<value_type> log_probabilities, row<value_type> entropies) const {
        policy_.evaluate_tokens(contexts, actions, memory, log_probabilities, entropies);
    }
    constexpr void pullback(tape&, row<value_type const>, row<value_type const>, row<value_type>) const {}

protected:
    constexpr Policy& frozen_policy() { return policy_; }

private:
    Policy policy_;
};

} // namespace poise::policy
