#pragma once

#include "poise/core/computed_row.hpp"
#include "poise/policy/batch_by_sample.hpp"
#include "poise/random/discrete.hpp"

#include <type_traits>

namespace poise::policy {

/// What numbers an action: an integer; for a policy per SIMD lane the pack of the lanes' numbers.
template <scalar T>
using action_number = std::conditional_t<random::lane_pack<T>, T, std::size_t>;

namespace detail {

/// -p log p from log p, 0 where p is 0.
struct surprise {
    template <class T>
    constexpr T operator()(T log_p) const {
        return math::select(log_p == T(-math::infinity<T>), T(0), -math::exp(log_p) * log_p);
    }
};

/// p (log p - log q - offset), 0 where p is 0.
template <class T>
struct excess {
    T offset = T(0);
    constexpr T operator()(T log_p, T log_q) const {
        return math::select(log_p == T(-math::infinity<T>), T(0), math::exp(log_p) * (log_p - log_q - offset));
    }
};

} // namespace detail

/// Everything about log pi(a | x) = z_a - log sum_b e^{z_b} but the logits z, which `Policy` gives for a context x:
///     policy.logits(x)                                       a row; may be lazy
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
        auto const z = self().logits(context);
        return z[action] - log_sum_exp(z);
    }
    /// An action for each lane.
    constexpr T log_probability(std::size_t context, T action) const
        requires random::lane_pack<T>
    {
        auto const z = self().logits(context);
        auto const chosen = [=](auto k, auto v) { return math::select(T(k) == action, v, T(0)); };
        return sum(chosen, indices_of(z), z) - log_sum_exp(z);
    }
    /// The action drawn at this address, by Gumbel-max; for packs one action per lane.
    constexpr action_type sample(std::size_t context, random::address where) const
        requires random::drawable<T>
    {
        return random::categorical_from_logits(where, self().logits(context));
    }
    /// In nats.
    constexpr T entropy(std::size_t context) const {
        auto const z = self().logits(context);
        auto const normaliser = log_sum_exp(z);
        return sum([=](auto v) { return detail::surprise{}(v - normaliser); }, z);
    }
    /// KL(pi(. | context) || other(. | context)) in nats; +inf where the other has probability 0 and this has not.
    constexpr T kl_divergence(std::size_t context, Policy const& other) const {
        auto const z = self().logits(context), w = other.logits(context);
        auto const normaliser = log_sum_exp(z), other_normaliser = log_sum_exp(w);
        return sum([=](auto a, auto b) { return detail::excess<T>{}(a - normaliser, b - other_normaliser); }, z, w);
    }

    /// Adds to `gradient` (as long as `parameters()`) J^T c, J the Jacobian of this context's log-probabilities in the
    /// parameters: in the logits c_a - pi_a sum_b c_b.
    constexpr void pullback(std::size_t context, row_of_reals auto cotangent, row<T> gradient) const {
        auto const z = self().logits(context);
        auto const normaliser = log_sum_exp(z);
        auto const total = sum(cotangent);
        add(context, [=](std::size_t a) { return T(cotangent[a]) - math::exp(z[a] - normaliser) * total; }, gradient);
    }
    /// The same for the log-probability of one action: in the logits c (1{a = action} - pi_a).
    constexpr void pullback(std::size_t context, std::size_t action, T cotangent, row<T> gradient) const {
        auto const z = self().logits(context);
        auto const normaliser = log_sum_exp(z);
        auto const slope = [=](std::size_t a) {
            return cotangent * (T(a == action ? 1 : 0) - math::exp(z[a] - normaliser));
        };
        add(context, slope, gradient);
    }
    constexpr void pullback(std::size_t context, T action, T cotangent, row<T> gradient) const
        requires random::lane_pack<T>
    {
        auto const z = self().logits(context);
        auto const normaliser = log_sum_exp(z);
        auto const slope = [=](std::size_t a) {
            return cotangent * (math::select(T(a) == action, T(1), T(0)) - math::exp(z[a] - normaliser));
        };
        add(context, slope, gradient);
    }
    /// Adds c dH / d parameters: in the logits -c pi_a (log pi_a + H).
    constexpr void entropy_pullback(std::size_t context, T cotangent, row<T> gradient) const {
        auto const z = self().logits(context);
        auto const normaliser = log_sum_exp(z);
        auto const h = sum([=](auto v) { return detail::surprise{}(v - normaliser); }, z);
        auto const slope = [=](std::size_t a) { return -cotangent * detail::excess<T>{-h}(z[a] - normaliser, T(0)); };
        add(context, slope, gradient);
    }
    /// Adds c d KL(pi || other) / d parameters of pi: in the logits c pi_a (log pi_a - log other_a - KL).
    constexpr void kl_divergence_pullback(std::size_t context, Policy const& other, T cotangent,
                                          row<T> gradient) const {
        auto const z = self().logits(context), w = other.logits(context);
        auto const normaliser = log_sum_exp(z), other_normaliser = log_sum_exp(w);
        auto const log_ratio = [=](auto a, auto b) {
            return detail::excess<T>{}(a - normaliser, b - other_normaliser);
        };
        auto const kl = sum(log_ratio, z, w);
        auto const slope = [=](std::size_t a) {
            return cotangent * detail::excess<T>{kl}(z[a] - normaliser, w[a] - other_normaliser);
        };
        add(context, slope, gradient);
    }

private:
    constexpr Policy const& self() const { return static_cast<Policy const&>(*this); }

    template <class Slope>
    constexpr void add(std::size_t context, Slope const& slope, row<T> gradient) const {
        self().add_logit_gradient(context, computed_row(self().actions(), slope), gradient);
    }
};

} // namespace poise::policy
