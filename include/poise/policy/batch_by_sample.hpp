#pragma once

#include "poise/core/error.hpp"
#include "poise/core/row.hpp"
#include "poise/random/address.hpp"
#include "poise/random/lanes.hpp"

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace poise::policy {

namespace detail {

/// An empty row stands for what is not wanted, or not there.
constexpr void check_batch_row(std::size_t size, std::size_t samples, char const* function, char const* argument) {
    require(size == 0 || size == samples, function, argument, samples, size);
}

/// Throws `argument_error` unless all are numbers of something of which there are `count`: 0, …, count - 1.
template <std::unsigned_integral Number>
constexpr void check_numbers(std::span<Number const> numbers, std::size_t count, char const* function,
                             char const* argument) {
    for (auto const number : numbers)
        if (number >= count) // text is not free
            require(false, function, argument, "numbers below " + std::to_string(count), number);
}
template <random::lane_pack Number>
constexpr void check_numbers(std::span<Number const> numbers, std::size_t count, char const* function,
                             char const* argument) {
    for (auto const number : numbers)
        if (any(!((number >= Number(0)) & (number < Number(real_of<Number>(count))))))
            require(false, function, argument, "numbers below " + std::to_string(count), "another in a lane");
}

/// Contexts and actions of a policy that has numbers for them.
template <class Policy, class Context>
constexpr void check_contexts(Policy const& policy, std::span<Context const> contexts, char const* function) {
    if constexpr (requires { check_numbers(contexts, policy.contexts(), function, "contexts"); })
        check_numbers(contexts, policy.contexts(), function, "contexts");
}
template <class Policy, class Action>
constexpr void check_actions(Policy const& policy, std::span<Action const> actions, char const* function) {
    if constexpr (requires { check_numbers(actions, policy.actions(), function, "actions"); })
        check_numbers(actions, policy.actions(), function, "actions");
}

constexpr random::address at_index(random::address where, std::size_t sample) {
    where.index += static_cast<std::uint32_t>(sample);
    return where;
}

} // namespace detail

/// What makes a policy a `concepts::batched_policy`, one sample after another: the base of every policy that has
/// nothing faster for a batch.
///     auto tape = policy::tape(samples);                                  // allocated once
///     policy.sample(contexts, where, tape, actions);
///     policy.evaluate(contexts, actions, tape, log_probabilities, entropies);
///     policy.pullback(tape, log_probability_cotangents, entropy_cotangents, gradient);
/// An empty row means: not wanted, or no cotangent. Contexts and actions that are numbers are checked here, once per
/// batch; the policy's functions of one sample take them as they come.
template <class Policy, scalar T, class Context, class Action>
class batch_by_sample {
public:
    /// The contexts and actions of a batch of at most `capacity` samples, for the pullback. Allocated once.
    class tape {
    public:
        constexpr explicit tape(std::size_t capacity) : contexts_(capacity), actions_(capacity) {}
        constexpr std::size_t capacity() const { return contexts_.size(); }
        constexpr std::size_t samples() const { return samples_; }

    private:
        friend batch_by_sample;
        std::vector<Context> contexts_;
        std::vector<Action> actions_;
        std::size_t samples_ = 0;
    };

    /// actions_i is drawn in context i at address index + i.
    constexpr void sample(std::span<Context const> contexts, random::address where, tape&,
                          std::span<Action> actions) const {
        require(actions.size() == contexts.size(), "policy::sample", "actions", contexts.size(), actions.size());
        detail::check_contexts(self(), contexts, "policy::sample");
        for (std::size_t i = 0; i < contexts.size(); ++i)
            actions[i] = self().sample(contexts[i], detail::at_index(where, i));
    }

    /// log pi(actions_i | contexts_i) and the entropy of pi(. | contexts_i) of every sample.
    constexpr void evaluate(std::span<Context const> contexts, std::span<Action const> actions, tape& memory,
                            row<T> log_probabilities, row<T> entropies) const {
        auto const n = contexts.size();
        require(n <= memory.capacity(), "policy::evaluate", "contexts", "at most the tape's capacity", n);
        require(actions.size() == n, "policy::evaluate", "actions", n, actions.size());
        detail::check_batch_row(log_probabilities.size(), n, "policy::evaluate", "log_probabilities");
        detail::check_batch_row(entropies.size(), n, "policy::evaluate", "entropies");
        detail::check_contexts(self(), contexts, "policy::evaluate");
        detail::check_actions(self(), actions, "policy::evaluate");
        memory.samples_ = n;
        for (std::size_t i = 0; i < n; ++i) {
            memory.contexts_[i] = contexts[i];
            memory.actions_[i] = actions[i];
            if (log_probabilities.size() > 0) log_probabilities[i] = self().log_probability(contexts[i], actions[i]);
            if (entropies.size() > 0) entropies[i] = self().entropy(contexts[i]);
        }
    }

    /// Adds to `gradient` sum_i c_i d log pi(a_i | x_i) / d parameters + e_i d H(pi(. | x_i)) / d parameters, for the
    /// samples that `evaluate` left in the tape.
    constexpr void pullback(tape const& memory, row<T const> log_probability_cotangents,
                            row<T const> entropy_cotangents, row<T> gradient) const {
        auto const n = memory.samples_;
        detail::check_batch_row(log_probability_cotangents.size(), n, "policy::pullback", "log_probability_cotangents");
        detail::check_batch_row(entropy_cotangents.size(), n, "policy::pullback", "entropy_cotangents");
        for (std::size_t i = 0; i < n; ++i) {
            if (log_probability_cotangents.size() > 0)
                self().pullback(memory.contexts_[i], memory.actions_[i], log_probability_cotangents[i], gradient);
            if (entropy_cotangents.size() > 0)
                self().entropy_pullback(memory.contexts_[i], entropy_cotangents[i], gradient);
        }
    }

private:
    constexpr Policy const& self() const { return static_cast<Policy const&>(*this); }
};

} // namespace poise::policy
