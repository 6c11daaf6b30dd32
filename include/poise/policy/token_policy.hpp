#pragma once

#include "poise/policy/log_probability_formulas.hpp"
#include "poise/policy/sequence_expectation.hpp"
#include "poise/policy/token_batches.hpp"

namespace poise::policy {

/// An autoregressive policy over a small vocabulary, a table of logits for every context and history:
///     log pi(y | x) = sum_t log pi(y_t | x, history of y_<t),   log pi(. | x, h) = log_softmax(z_xh).
/// A history is the last `order` tokens, or all where there are fewer: order 0 is a unigram, 1 a bigram model, and
/// MaximalLength - 1 conditions on all that came before. A sequence ends with the end token, the last of the
/// vocabulary, or without one after MaximalLength tokens; sequences sum to probability 1. Parameters: the logits
/// [context][history][token].
///
/// Other histories (token_histories.hpp) make another policy, here logits per position, always for MaximalLength
/// tokens:
///     token_policy<double, 10, position_histories>(contexts, position_histories(vocabulary, 10))
template <scalar T, std::size_t MaximalLength, histories Histories = token_histories>
class token_policy : public token_batches<token_policy<T, MaximalLength, Histories>, T, MaximalLength> {
    static_assert(MaximalLength > 0, "token_policy needs room for a token");
    using batches = token_batches<token_policy, T, MaximalLength>;

public:
    using value_type = T;
    using context_type = std::size_t;
    using action_type = token_sequence<MaximalLength>;
    static constexpr std::size_t maximal_length = MaximalLength;
    /// The same policy over another scalar.
    template <scalar U>
    using over = token_policy<U, MaximalLength, Histories>;

    using batches::pullback;
    using batches::sample;

    /// A batch of at most `capacity` samples, and each distribution of the next token that it came by last.
    class tape : public batches::tape {
    public:
        using batches::tape::tape;

    private:
        friend token_policy;
        std::vector<std::size_t> rows_; // of the histories that came, context by context
        std::vector<char> has_row_;
        std::vector<T> log_p_, entropies_, sums_, entropy_sums_;
    };

    /// Uniform over the next token: all logits 0.
    constexpr token_policy(std::size_t contexts, Histories known)
        : histories_(known), logits_(contexts * known.size() * known.vocabulary(), T(0)) {}
    constexpr token_policy(std::size_t contexts, std::size_t vocabulary, std::size_t order)
        requires std::same_as<Histories, token_histories>
        : token_policy(contexts, token_histories(vocabulary, order)) {
        require(order < MaximalLength, "token_policy", "order", "less than the maximal length", order);
    }
    template <scalar U>
    constexpr explicit token_policy(token_policy<U, MaximalLength, Histories> const& other)
        : token_policy(other.contexts(), other.histories()) {
        for (std::size_t k = 0; k < logits_.size(); ++k) logits_[k] = T(other.parameters()[k]);
    }

    constexpr std::size_t contexts() const { return logits_.size() / (histories_.size() * vocabulary()); }
    constexpr std::size_t vocabulary() const { return histories_.vocabulary(); }
    constexpr std::uint32_t end_token() const
        requires requires(Histories const& known) { known.end_token(); }
    {
        return histories_.end_token();
    }
    constexpr Histories const& histories() const { return histories_; }
    constexpr row<T> parameters() { return {logits_.data(), logits_.size()}; }
    constexpr row<T const> parameters() const { return {logits_.data(), logits_.size()}; }
    constexpr row<T> logits(std::size_t context, std::size_t history) {
        return {logits_.data() + first(context, history), vocabulary()};
    }
    constexpr row<T const> logits(std::size_t context, std::size_t history) const {
        return {logits_.data() + first(context, history), vocabulary()};
    }

    // ---- one sequence

    constexpr T log_probability(std::size_t context, action_type const& sequence) const {
        auto total = T(0);
        for_each_token(sequence, [&](std::size_t, std::size_t history, std::uint32_t token) {
            total += T(log_p(context, history)[token]);
        });
        return total;
    }
    /// log pi(y_t | x, y_<t) of each token; 0 behind the last. `out` has the length of the sequence or more.
    constexpr void token_log_probabilities(std::size_t context, action_type const& sequence,
                                           writable_row auto out) const {
        check_tokens(sequence, out.size(), "token_policy::token_log_probabilities", "out");
        fill(out, T(0));
        for_each_token(sequence, [&](std::size_t t, std::size_t history, std::uint32_t token) {
            out[t] = T(log_p(context, history)[token]);
        });
    }
    /// The entropy of the next token's distribution before each token, in nats; 0 behind the last.
    constexpr void token_entropies(std::size_t context, action_type const& sequence, writable_row auto out) const {
        check_tokens(sequence, out.size(), "token_policy::token_entropies", "out");
        fill(out, T(0));
        for_each_token(sequence, [&](std::size_t t, std::size_t history, std::uint32_t) {
            out[t] = T(entropy_from_log_probabilities(log_p(context, history)));
        });
    }
    /// The sequence drawn at this address, token by token.
    constexpr action_type sample(std::size_t context, random::address where) const
        requires std::floating_point<T>
    {
        auto words = random::word_sequence(where);
        auto sequence = action_type();
        for (std::size_t history = 0; sequence.size() < MaximalLength;) {
            auto const token =
                static_cast<std::uint32_t>(random::detail::categorical_from_logits(words, logits(context, history)));
            sequence.push_back(token);
            if (histories_.ends(token)) break;
            history = histories_.next(history, token);
        }
        return sequence;
    }

    /// Adds c d log pi(y | x) / d parameters.
    constexpr void pullback(std::size_t context, action_type const& sequence, T cotangent, row<T> gradient) const {
        pullback(context, sequence, computed_row(sequence.size(), [=](std::size_t) { return cotangent; }), gradient);
    }
    /// Adds sum_t c_t d log pi(y_t | x, y_<t) / d parameters. Cotangents behind the last token count for nothing.
    constexpr void pullback(std::size_t context, action_type const& sequence, row_of_reals auto cotangents,
                            row<T> gradient) const {
        check_tokens(sequence, cotangents.size(), "token_policy::pullback", "cotangents");
        check_gradient(gradient);
        for_each_token(sequence, [&](std::size_t t, std::size_t history, std::uint32_t token) {
            add(gradient, context, history,
                logit_gradient::of_log_probability(log_p(context, history), std::size_t{token}, T(cotangents[t])));
        });
    }
    /// Adds sum_t e_t d (entropy before token t) / d parameters, for the histories that the sequence has.
    constexpr void token_entropy_pullback(std::size_t context, action_type const& sequence,
                                          row_of_reals auto cotangents, row<T> gradient) const {
        check_tokens(sequence, cotangents.size(), "token_policy::token_entropy_pullback", "cotangents");
        check_gradient(gradient);
        for_each_token(sequence, [&](std::size_t t, std::size_t history, std::uint32_t) {
            add(gradient, context, history, logit_gradient::of_entropy(log_p(context, history), T(cotangents[t])));
        });
    }

    // ---- tokens of a batch. Samples of one context and history share the work: their distribution is computed once.

    constexpr void evaluate_tokens(std::span<std::size_t const> contexts, std::span<action_type const> sequences,
                                   tape& memory, row<T> log_probabilities, row<T> entropies) const {
        this->keep_tokens(contexts, sequences, memory, log_probabilities, entropies);
        begin(memory);
        fill(log_probabilities, T(0));
        fill(entropies, T(0));
        for (std::size_t i = 0; i < contexts.size(); ++i)
            for_each_token(sequences[i], [&](std::size_t t, std::size_t history, std::uint32_t token) {
                auto const r = known_row(memory, contexts[i], history), at = i * MaximalLength + t;
                if (log_probabilities.size() > 0) log_probabilities[at] = memory.log_p_[r * vocabulary() + token];
                if (entropies.size() > 0) entropies[at] = memory.entropies_[r];
            });
    }
    /// The distributions are those of the evaluation.
    constexpr void pullback_tokens(tape& memory, row<T const> log_probability_cotangents,
                                   row<T const> entropy_cotangents, row<T> gradient) const {
        this->check_cotangents(memory, log_probability_cotangents, entropy_cotangents);
        check_gradient(gradient);
        for (auto const r : memory.rows_) memory.sums_[r] = memory.entropy_sums_[r] = T(0);
        for (std::size_t i = 0; i < memory.samples(); ++i)
            for_each_token(this->sequence_of(memory, i), [&](std::size_t t, std::size_t history, std::uint32_t token) {
                auto const r = number_of(this->context_of(memory, i), history), at = i * MaximalLength + t;
                if (log_probability_cotangents.size() > 0) {
                    gradient[r * vocabulary() + token] += log_probability_cotangents[at];
                    memory.sums_[r] += log_probability_cotangents[at];
                }
                if (entropy_cotangents.size() > 0) memory.entropy_sums_[r] += entropy_cotangents[at];
            });
        // d log p_a / d z = onehot_a - p
        for (auto const r : memory.rows_) {
            auto const here = row<T>(gradient.data() + r * vocabulary(), vocabulary());
            auto const log_p = row_in(memory, r);
            map(here, [c = memory.sums_[r]](auto g, auto l) { return g - c * math::exp(l); }, here, log_p);
            if (entropy_cotangents.size() > 0)
                map(
                    here, [](auto g, auto slope) { return g + slope; }, here,
                    logit_gradient::of_entropy(log_p, memory.entropy_sums_[r]));
        }
    }

    // ---- all sequences, exactly. The working memory is allocated where none is given.

    /// -sum_y pi(y | x) log pi(y | x) over all sequences, in nats.
    constexpr T entropy(std::size_t context) const {
        auto memory = std::vector<T>();
        return entropy(context, memory);
    }
    constexpr T entropy(std::size_t context, std::vector<T>& memory) const {
        return sequence_expectation::value<T>(histories_, MaximalLength, log_p_in(context), surprise(context), memory);
    }
    /// KL(pi(. | context) || other(. | context)) between distributions of sequences, in nats.
    constexpr T kl_divergence(std::size_t context, token_policy const& other) const {
        auto memory = std::vector<T>();
        return sequence_expectation::value<T>(histories_, MaximalLength, log_p_in(context), log_ratio(context, other),
                                              memory);
    }
    /// Adds c dH / d parameters.
    constexpr void entropy_pullback(std::size_t context, T cotangent, row<T> gradient) const {
        auto memory = std::vector<T>();
        entropy_pullback(context, cotangent, gradient, memory);
    }
    constexpr void entropy_pullback(std::size_t context, T cotangent, row<T> gradient, std::vector<T>& memory) const {
        check_gradient(gradient);
        sequence_expectation::pullback<T>(histories_, MaximalLength, log_p_in(context), surprise(context), memory,
                                          cotangent, add_in(context, gradient));
    }
    /// Adds c d KL(pi || other) / d parameters of pi.
    constexpr void kl_divergence_pullback(std::size_t context, token_policy const& other, T cotangent,
                                          row<T> gradient) const {
        check_gradient(gradient);
        auto memory = std::vector<T>();
        sequence_expectation::pullback<T>(histories_, MaximalLength, log_p_in(context), log_ratio(context, other),
                                          memory, cotangent, add_in(context, gradient));
    }

private:
    constexpr std::size_t number_of(std::size_t context, std::size_t history) const {
        return context * histories_.size() + history;
    }
    constexpr std::size_t first(std::size_t context, std::size_t history) const {
        return number_of(context, history) * vocabulary();
    }
    constexpr void begin(tape& memory) const {
        auto const rows = logits_.size() / vocabulary();
        memory.has_row_.resize(rows);
        memory.rows_.reserve(rows);
        memory.log_p_.resize(logits_.size());
        for (auto* values : {&memory.entropies_, &memory.sums_, &memory.entropy_sums_}) values->resize(rows);
        for (auto const r : memory.rows_) memory.has_row_[r] = 0;
        memory.rows_.clear();
    }
    constexpr row<T const> row_in(tape const& memory, std::size_t r) const {
        return {memory.log_p_.data() + r * vocabulary(), vocabulary()};
    }
    constexpr std::size_t known_row(tape& memory, std::size_t context, std::size_t history) const {
        auto const r = number_of(context, history);
        if (!memory.has_row_[r]) {
            memory.has_row_[r] = 1;
            memory.rows_.push_back(r);
            log_softmax(row<T>(memory.log_p_.data() + r * vocabulary(), vocabulary()), logits(context, history));
            memory.entropies_[r] = entropy_from_log_probabilities(row_in(memory, r));
        }
        return r;
    }
    constexpr auto log_p(std::size_t context, std::size_t history) const {
        auto const z = logits(context, history);
        auto const normaliser = log_sum_exp(z);
        return computed_row(vocabulary(), [=](std::size_t a) { return T(z[a]) - normaliser; });
    }
    constexpr void add(row<T> gradient, std::size_t context, std::size_t history, row_of_reals auto slopes) const {
        auto const here = row<T>(gradient.data() + first(context, history), vocabulary());
        map(here, [](auto g, auto d) { return g + d; }, here, slopes);
    }
    // visit(t, history before token t, token t)
    template <class Visit>
    constexpr void for_each_token(action_type const& sequence, Visit const& visit) const {
        auto const n = sequence.size();
        require(n > 0 && (n == MaximalLength || histories_.ends(sequence[n - 1])), "token_policy", "sequence",
                "the end token last, or the maximal length", n);
        for (std::size_t t = 0, history = 0; t < n; ++t) {
            auto const token = sequence[t];
            require(token < vocabulary() && (t + 1 == n || !histories_.ends(token)), "token_policy", "sequence",
                    "tokens of the vocabulary, the end token only last", token);
            visit(t, history, token);
            if (t + 1 < n) history = histories_.next(history, token);
        }
    }

    // The terms whose expectation over all sequences are the entropy and the divergence: term(history)[token].
    constexpr auto surprise(std::size_t context) const {
        return [this, context](std::size_t history) {
            return computed_row(vocabulary(), [l = log_p(context, history)](std::size_t a) { return -l[a]; });
        };
    }
    constexpr auto log_ratio(std::size_t context, token_policy const& other) const {
        return [this, context, &other](std::size_t history) {
            return computed_row(vocabulary(), [l = log_p(context, history), m = other.log_p(context, history)](
                                                  std::size_t a) { return l[a] - m[a]; });
        };
    }

    constexpr auto log_p_in(std::size_t context) const {
        return [this, context](std::size_t history) { return log_p(context, history); };
    }
    constexpr auto add_in(std::size_t context, row<T> gradient) const {
        return [=, this](std::size_t history, auto slopes) { this->add(gradient, context, history, slopes); };
    }

    static constexpr void check_tokens(action_type const& sequence, std::size_t length, char const* function,
                                       char const* argument) {
        require(length >= sequence.size(), function, argument, sequence.size(), length);
    }
    constexpr void check_gradient(row<T> gradient) const {
        require(gradient.size() == logits_.size(), "policy::pullback", "gradient", logits_.size(), gradient.size());
    }

    Histories histories_;
    std::vector<T> logits_;
};

} // namespace poise::policy
