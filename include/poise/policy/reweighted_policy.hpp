#pragma once

#include "poise/policy/batch_by_sample.hpp"
#include "poise/policy/log_probability_formulas.hpp"

#include <array>

namespace poise::policy {

namespace detail {

/// Working memory for the log-probabilities of one context: on the stack for up to 64 actions.
template <class T>
class log_probability_buffer {
public:
    constexpr explicit log_probability_buffer(std::size_t size) : size_(size) {
        if (size > short_memory_.size()) long_memory_.resize(size, T(0));
    }
    constexpr row<T> get() { return {long_memory_.empty() ? short_memory_.data() : long_memory_.data(), size_}; }

private:
    std::size_t size_;
    std::array<T, 64> short_memory_{};
    std::vector<T> long_memory_;
};

/// The cotangent of log p where log(w p + …) has cotangent c: c w p / (w p + …), 0 where p is 0.
template <class T>
struct share_of_component {
    T log_weight;
    constexpr T operator()(T log_p, T log_sum, T cotangent) const {
        auto const share = math::exp(log_p + log_weight - log_sum);
        return math::select(log_p + log_weight == T(-math::infinity<T>), T(0), cotangent * share);
    }
};

} // namespace detail

/// A policy over finitely many actions that is computed from all log-probabilities of another, whose parameters are its
/// own. `Policy` says how:
///     policy.reweight(context, row)               turns log-probabilities of the inner policy into its own
///     policy.pull_back(inner, own, row)           turns a cotangent of its own into one of the inner policy's
/// One call costs the working memory of a row of log-probabilities or three, on the heap beyond 64 actions.
template <class Policy, class Inner>
class reweighted_policy : public batch_by_sample<Policy, typename Inner::value_type, typename Inner::context_type,
                                                 typename Inner::action_type> {
    using T = typename Inner::value_type;
    using batches = batch_by_sample<Policy, T, typename Inner::context_type, typename Inner::action_type>;
    using buffer = detail::log_probability_buffer<T>;

public:
    using value_type = T;
    using context_type = typename Inner::context_type;
    using action_type = typename Inner::action_type;

    using batches::pullback;
    using batches::sample;

    constexpr explicit reweighted_policy(Inner inner) : inner_(std::move(inner)) {}

    constexpr Inner const& inner() const { return inner_; }
    constexpr std::size_t actions() const { return inner_.actions(); }
    constexpr std::size_t contexts() const
        requires requires(Inner const& policy) { policy.contexts(); }
    {
        return inner_.contexts();
    }
    constexpr row<T> parameters() { return inner_.parameters(); }
    constexpr row<T const> parameters() const { return inner_.parameters(); }

    constexpr void log_probabilities(auto const& context, writable_row auto out) const {
        auto own = buffer(actions());
        own_log_probabilities(context, own.get());
        copy(out, own.get());
    }
    constexpr T log_probability(auto const& context, action_type action) const {
        auto own = buffer(actions());
        own_log_probabilities(context, own.get());
        return detail::at_action<T>(own.get(), action);
    }
    /// The action drawn at this address, by Gumbel-max.
    constexpr action_type sample(auto const& context, random::address where) const
        requires random::drawable<T>
    {
        auto own = buffer(actions());
        own_log_probabilities(context, own.get());
        return random::categorical_from_logits(where, own.get());
    }
    /// In nats.
    constexpr T entropy(auto const& context) const {
        auto own = buffer(actions());
        own_log_probabilities(context, own.get());
        return entropy_from_log_probabilities(own.get());
    }
    /// KL(pi(. | context) || other(. | context)) in nats.
    constexpr T kl_divergence(auto const& context, Policy const& other) const {
        auto own = buffer(actions()), others = buffer(actions());
        own_log_probabilities(context, own.get());
        other.own_log_probabilities(context, others.get());
        return kl_divergence_from_log_probabilities(own.get(), others.get());
    }

    /// Adds to `gradient` (as long as `parameters()`) J^T c, J the Jacobian of this context's log-probabilities in the
    /// parameters.
    constexpr void pullback(auto const& context, row_of_reals auto cotangent, row<T> gradient) const {
        pull_back_by(context, gradient, [&](auto) { return cotangent; });
    }
    /// The same for the log-probability of one action.
    constexpr void pullback(auto const& context, action_type action, T cotangent, row<T> gradient) const {
        pull_back_by(context, gradient, [&](auto own) {
            return computed_row(own.size(), [=](std::size_t a) { return cotangent * detail::is_action<T>(a, action); });
        });
    }
    /// Adds c dH / d parameters; of the log-probabilities -c pi_a (log pi_a + 1).
    constexpr void entropy_pullback(auto const& context, T cotangent, row<T> gradient) const {
        pull_back_by(context, gradient, [&](auto own) {
            return computed_row(own.size(),
                                [=](std::size_t a) { return -cotangent * detail::excess<T>(own[a], T(0), T(-1)); });
        });
    }
    /// Adds c d KL(pi || other) / d parameters of pi; of the log-probabilities c pi_a (log pi_a / other_a + 1).
    constexpr void kl_divergence_pullback(auto const& context, Policy const& other, T cotangent,
                                          row<T> gradient) const {
        auto others = buffer(actions());
        other.own_log_probabilities(context, others.get());
        pull_back_by(context, gradient, [&, q = others.get()](auto own) {
            return computed_row(own.size(),
                                [=](std::size_t a) { return cotangent * detail::excess<T>(own[a], q[a], T(-1)); });
        });
    }

private:
    constexpr Policy const& self() const { return static_cast<Policy const&>(*this); }

    constexpr void own_log_probabilities(auto const& context, row<T> own) const {
        inner_.log_probabilities(context, own);
        self().reweight(context, own);
    }

    // cotangent_of(own log-probabilities) is their cotangent.
    template <class Cotangent>
    constexpr void pull_back_by(auto const& context, row<T> gradient, Cotangent const& cotangent_of) const {
        auto inner = buffer(actions()), own = buffer(actions()), cotangent = buffer(actions());
        inner_.log_probabilities(context, inner.get());
        copy(own.get(), inner.get());
        self().reweight(context, own.get());
        copy(cotangent.get(), cotangent_of(own.get()));
        self().pull_back(inner.get(), own.get(), cotangent.get());
        inner_.pullback(context, cotangent.get(), gradient);
    }

    Inner inner_;
};

} // namespace poise::policy
