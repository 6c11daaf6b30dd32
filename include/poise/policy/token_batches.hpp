#pragma once

#include "poise/concepts.hpp"
#include "poise/policy/batch_by_sample.hpp"
#include "poise/policy/token_sequence.hpp"

#include <algorithm>

namespace poise::policy {

/// What makes a policy over token sequences a `concepts::batched_policy`, and the same for every token of a batch:
///     policy.evaluate_tokens(contexts, sequences, tape, log_probabilities, entropies);
///     policy.pullback_tokens(tape, log_probability_cotangents, entropy_cotangents, gradient);
template <class Policy, scalar T, std::size_t MaximalLength>
class token_batches {
    using tokens = token_sequence<MaximalLength>;
    static constexpr std::size_t row_length = MaximalLength;

public:
    /// A batch of at most `capacity` samples. What the entropies need is allocated when they are first asked for.
    class tape {
    public:
        constexpr explicit tape(std::size_t capacity) : contexts_(capacity), sequences_(capacity) {}
        constexpr std::size_t capacity() const { return contexts_.size(); }
        constexpr std::size_t samples() const { return samples_; }

    private:
        friend token_batches;
        std::vector<std::size_t> contexts_;
        std::vector<tokens> sequences_;
        std::size_t samples_ = 0;
        std::vector<T> values_;
    };

    /// drawn_i is drawn in context i at address index + i.
    constexpr void sample(std::span<std::size_t const> contexts, random::address where, tape&,
                          std::span<tokens> drawn) const
        requires std::floating_point<T>
    {
        require(drawn.size() == contexts.size(), "policy::sample", "actions", contexts.size(), drawn.size());
        detail::check_contexts(self(), contexts, "policy::sample");
        for (std::size_t i = 0; i < contexts.size(); ++i)
            drawn[i] = self().sample(contexts[i], detail::at_index(where, i));
    }

    /// log pi(sequence | context) and the entropy of all sequences of the context, for every sample. An empty row is
    /// not wanted. Samples of one context that follow each other share the work of its entropy.
    constexpr void evaluate(std::span<std::size_t const> contexts, std::span<tokens const> sequences, tape& memory,
                            row<T> log_probabilities, row<T> entropies) const {
        auto const n = keep(contexts, sequences, memory);
        detail::check_batch_row(log_probabilities.size(), n, "policy::evaluate", "log_probabilities");
        detail::check_batch_row(entropies.size(), n, "policy::evaluate", "entropies");
        for (std::size_t i = 0; i < n; ++i) {
            if (log_probabilities.size() > 0) log_probabilities[i] = self().log_probability(contexts[i], sequences[i]);
            if (entropies.size() > 0)
                entropies[i] = i > 0 && contexts[i] == contexts[i - 1] ? entropies[i - 1]
                                                                       : self().entropy(contexts[i], memory.values_);
        }
    }
    /// Adds sum_i c_i d log pi(y_i | x_i) / d parameters + e_i d H(pi(. | x_i)) / d parameters for the samples that
    /// were evaluated last. An empty row is no cotangent.
    constexpr void pullback(tape& memory, row<T const> log_probability_cotangents, row<T const> entropy_cotangents,
                            row<T> gradient) const {
        auto const n = memory.samples_;
        detail::check_batch_row(log_probability_cotangents.size(), n, "policy::pullback", "log_probability_cotangents");
        detail::check_batch_row(entropy_cotangents.size(), n, "policy::pullback", "entropy_cotangents");
        for (std::size_t i = 0; i < log_probability_cotangents.size(); ++i)
            self().pullback(memory.contexts_[i], memory.sequences_[i], log_probability_cotangents[i], gradient);
        auto total = T(0);
        for (std::size_t i = 0; i < entropy_cotangents.size(); ++i) {
            total += entropy_cotangents[i];
            auto const context = memory.contexts_[i];
            if (i + 1 < n && memory.contexts_[i + 1] == context) continue;
            self().entropy_pullback(context, total, gradient, memory.values_);
            total = T(0);
        }
    }

    /// `token_log_probabilities` and `token_entropies` of every sample: rows of the maximal length, sample after
    /// sample. An empty row is not wanted.
    constexpr void evaluate_tokens(std::span<std::size_t const> contexts, std::span<tokens const> sequences,
                                   tape& memory, row<T> log_probabilities, row<T> entropies) const {
        keep_tokens(contexts, sequences, memory, log_probabilities, entropies);
        for (std::size_t i = 0; i < contexts.size(); ++i) {
            if (log_probabilities.size() > 0)
                self().token_log_probabilities(contexts[i], sequences[i], tokens_of(log_probabilities, i));
            if (entropies.size() > 0) self().token_entropies(contexts[i], sequences[i], tokens_of(entropies, i));
        }
    }
    /// The pullback of what `evaluate_tokens` gave. An empty row is no cotangent.
    constexpr void pullback_tokens(tape& memory, row<T const> log_probability_cotangents,
                                   row<T const> entropy_cotangents, row<T> gradient) const {
        check_cotangents(memory, log_probability_cotangents, entropy_cotangents);
        for (std::size_t i = 0; i < memory.samples_; ++i) {
            auto const context = memory.contexts_[i];
            auto const& sequence = memory.sequences_[i];
            if (log_probability_cotangents.size() > 0)
                self().pullback(context, sequence, tokens_of(log_probability_cotangents, i), gradient);
            if (entropy_cotangents.size() > 0)
                self().token_entropy_pullback(context, sequence, tokens_of(entropy_cotangents, i), gradient);
        }
    }

protected:
    // For policies that do the tokens of a batch faster: the samples of a tape, and the checks of the two above.
    static constexpr std::size_t context_of(tape const& memory, std::size_t sample) { return memory.contexts_[sample]; }
    static constexpr tokens const& sequence_of(tape const& memory, std::size_t sample) {
        return memory.sequences_[sample];
    }
    constexpr void keep_tokens(std::span<std::size_t const> contexts, std::span<tokens const> sequences, tape& memory,
                               row<T> log_probabilities, row<T> entropies) const {
        auto const n = keep(contexts, sequences, memory) * row_length;
        detail::check_batch_row(log_probabilities.size(), n, "policy::evaluate_tokens", "log_probabilities");
        detail::check_batch_row(entropies.size(), n, "policy::evaluate_tokens", "entropies");
    }
    static constexpr void check_cotangents(tape const& memory, row<T const> log_probability_cotangents,
                                           row<T const> entropy_cotangents) {
        constexpr auto name = "policy::pullback_tokens";
        auto const n = memory.samples_ * row_length;
        detail::check_batch_row(log_probability_cotangents.size(), n, name, "log_probability_cotangents");
        detail::check_batch_row(entropy_cotangents.size(), n, name, "entropy_cotangents");
    }

private:
    constexpr Policy const& self() const { return static_cast<Policy const&>(*this); }
    template <class E>
    static constexpr row<E> tokens_of(row<E> all, std::size_t sample) {
        return {all.data() + sample * row_length, row_length};
    }
    constexpr std::size_t keep(std::span<std::size_t const> contexts, std::span<tokens const> sequences,
                               tape& memory) const {
        auto const n = contexts.size();
        require(n <= memory.capacity(), "policy::evaluate", "contexts", "at most the tape's capacity", n);
        require(sequences.size() == n, "policy::evaluate", "actions", n, sequences.size());
        detail::check_contexts(self(), contexts, "policy::evaluate");
        std::copy(contexts.begin(), contexts.end(), memory.contexts_.begin());
        std::copy(sequences.begin(), sequences.end(), memory.sequences_.begin());
        return memory.samples_ = n;
    }
};

} // namespace poise::policy

namespace poise::concepts {

/// A batched policy whose actions are sequences of at most `maximal_length` tokens, `size()` of them, and that knows
/// each token's log-probability and the entropy of the distribution that it comes from. Both are rows of the maximal
/// length, sample after sample, 0 behind the last token:
///  - `evaluate_tokens(contexts, actions, tape, log_probabilities, entropies)`;
///  - `pullback_tokens(tape, log_probability_cotangents, entropy_cotangents, gradient)`.
template <class P>
concept batched_token_policy =
    batched_policy<P> &&
    requires(P const& p, typename P::tape& tape, std::span<typename P::context_type const> contexts,
             std::span<typename P::action_type const> actions, row<typename P::value_type> values,
             row<typename P::value_type const> cotangents) {
        { P::maximal_length } -> std::convertible_to<std::size_t>;
        { actions[0].size() } -> std::convertible_to<std::size_t>;
        p.evaluate_tokens(contexts, actions, tape, values, values);
        p.pullback_tokens(tape, cotangents, cotangents, values);
    };

} // namespace poise::concepts
