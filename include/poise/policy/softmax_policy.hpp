#pragma once

#include "poise/policy/batch_by_sample.hpp"
#include "poise/policy/log_probability_formulas.hpp"

namespace poise::policy {

/// Everything about log pi(a | x) = z_a - log sum_b e^{z_b} but the logits z, which `Policy` gives for context number
/// x:
///     policy.logits(x)                                       a row; may be virtual
///     policy.add_logit_gradient(x, row, gradient)            adds J^T row, J = d z / d parameters
template <class Policy, scalar T>
class softmax_policy : public batch_by_sample<Policy, T, std::size_t, action_number<T>> {
    using batches = batch_by_sample<Policy, T, std::size_t, action_number<T>>;

public:
    using value_type = T;
    using context_type = std::size_t;
    using action_type = action_number<T>;

    using batches::pullback;
    using batches::sample;

    constexpr void log_probabilities(std::size_t context, writable_row auto out) const {
        log_softmax(out, self().logits(context));
    }
    constexpr T log_probability(std::size_t context, std::size_t action) const {
        return detail::at_action<T>(log_p(context), action);
    }
    /// The action drawn at this address, by Gumbel-max; for packs one action per lane.
    constexpr action_type sample(std::size_t context, random::address where) const
        requires random::drawable<T>
    {
        return random::categorical_from_logits(where, self().logits(context));
    }
    /// In nats.
    constexpr T entropy(std::size_t context) const { return entropy_from_log_probabilities(log_p(context)); }
    /// KL(pi(. | context) || other(. | context)) in nats; +inf where the other has probability 0 and this has not.
    constexpr T kl_divergence(std::size_t context, Policy const& other) const {
        return kl_divergence_from_log_probabilities(log_p(context), other.log_p(context));
    }

    /// Adds to `gradient` (as long as `parameters()`) J^T c, J the Jacobian of this context's log-probabilities in the
    /// parameters.
    constexpr void pullback(std::size_t context, row_of_reals auto cotangent, row<T> gradient) const {
        self().add_logit_gradient(context, logit_gradient::of_log_probabilities(log_p(context), cotangent), gradient);
    }
    /// The same for the log-probability of one action.
    constexpr void pullback(std::size_t context, std::size_t action, T cotangent, row<T> gradient) const {
        self().add_logit_gradient(context, logit_gradient::of_log_probability(log_p(context), action, cotangent),
                                  gradient);
    }
    /// Adds c dH / d parameters.
    constexpr void entropy_pullback(std::size_t context, T cotangent, row<T> gradient) const {
        self().add_logit_gradient(context, logit_gradient::of_entropy(log_p(context), cotangent), gradient);
    }
    /// Adds c d KL(pi || other) / d parameters of pi.
    constexpr void kl_divergence_pullback(std::size_t context, Policy const& other, T cotangent,
                                          row<T> gradient) const {
        self().add_logit_gradient(
            context, logit_gradient::of_kl_divergence(log_p(context), other.log_p(context), cotangent), gradient);
    }

    // ---- an action for each lane

    constexpr T log_probability(std::size_t context, T action) const
        requires random::lane_pack<T>
    {
        return detail::at_action<T>(log_p(context), action);
    }
    constexpr void pullback(std::size_t context, T action, T cotangent, row<T> gradient) const
        requires random::lane_pack<T>
    {
        self().add_logit_gradient(context, logit_gradient::of_log_probability(log_p(context), action, cotangent),
                                  gradient);
    }

private:
    constexpr Policy const& self() const { return static_cast<Policy const&>(*this); }

    constexpr auto log_p(std::size_t context) const {
        auto const z = self().logits(context);
        auto const normaliser = log_sum_exp(z);
        return computed_row(z.size(), [=](std::size_t a) { return T(z[a]) - normaliser; });
    }
};

} // namespace poise::policy
