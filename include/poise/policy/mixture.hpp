#pragma once

#include "poise/policy/geometric_mixture.hpp"
#include "poise/policy/reweighted_policy.hpp"

#include <string>

namespace poise::policy {

/// How two distributions p and q are mixed, on rows of log-probabilities with log q given and log p replaced; and what
/// a cotangent of the mixture gives for log p.
namespace mixing {

/// (1 - w) p + w q
struct linear {
    template <class T>
    static constexpr void mix(row<T> log_p, row<T> log_q, double weight) {
        auto const log_rest = log_of_rest<T>(weight), log_weight = T(real_of<T>(math::log(weight)));
        map(log_p, [=](auto l, auto m) { return math::log_add_exp(l + log_rest, m + log_weight); }, log_p, log_q);
    }
    /// c_a (1 - w) p_a / mixture_a
    template <class T>
    static constexpr void pull_back(row<T> log_p, row<T> log_mixture, row<T> cotangent, double weight) {
        map(cotangent, detail::share_of_component<T>{log_of_rest<T>(weight)}, log_p, log_mixture, cotangent);
    }

private:
    template <class T>
    static constexpr T log_of_rest(double weight) {
        return T(real_of<T>(math::log1p(-weight)));
    }
};

/// p^(1 - w) q^w / Z: the opponent of Nash-MD (slug nash-md: Munos et al., 2023, arXiv 2312.00886).
struct geometric {
    template <class T>
    static constexpr void mix(row<T> log_p, row<T> log_q, double weight) {
        log_geometric_mixture(log_p, log_p, log_q, T(real_of<T>(weight)));
    }
    /// (1 - w) (c_a - mixture_a sum_b c_b)
    template <class T>
    static constexpr void pull_back(row<T>, row<T> log_mixture, row<T> cotangent, double weight) {
        auto const rest = T(real_of<T>(1 - weight)), total = sum(cotangent);
        map(cotangent, [=](auto l, auto c) { return rest * (c - math::exp(l) * total); }, log_mixture, cotangent);
    }
};

} // namespace mixing

/// A policy mixed with a reference over the same contexts and actions, in each context:
///     auto opponent = policy::mixture(policy::mixing::geometric{}, pi, mu, 0.125);
/// The parameters are the policy's; the reference, any `concepts::finite_policy`, is held fixed. `weight` in [0, 1] is
/// the reference's.
template <class Mixing, class Policy, class Reference>
class mixture : public reweighted_policy<mixture<Mixing, Policy, Reference>, Policy> {
    using base = reweighted_policy<mixture, Policy>;
    using T = typename Policy::value_type;

public:
    template <class U>
    using over = mixture<Mixing, typename Policy::template over<U>, typename Reference::template over<U>>;

    double weight = 0.5;

    /// Throws `domain_violation` unless 0 <= w <= 1, `argument_error` where the numbers of actions or contexts differ.
    constexpr mixture(Mixing, Policy policy, Reference reference, double w)
        : base(std::move(policy)), weight(w), reference_(std::move(reference)) {
        require_domain(w >= 0 && w <= 1, "mixture", "weight", "a weight in [0, 1]", w);
        require(reference_.actions() == this->actions(), "mixture", "reference", this->actions(), reference_.actions());
        if constexpr (requires { this->contexts() == reference_.contexts(); })
            require(reference_.contexts() == this->contexts(), "mixture", "reference",
                    std::to_string(this->contexts()) + " contexts", reference_.contexts());
    }
    template <class P, class R>
    constexpr explicit mixture(mixture<Mixing, P, R> const& other)
        : mixture({}, Policy(other.inner()), Reference(other.reference()), other.weight) {}

    constexpr Reference const& reference() const { return reference_; }

    constexpr void reweight(auto const& context, row<T> log_p) const {
        auto log_q = detail::log_probability_buffer<T>(this->actions());
        reference_.log_probabilities(context, log_q.get());
        Mixing::mix(log_p, log_q.get(), weight);
    }
    constexpr void pull_back(row<T> log_p, row<T> log_mixture, row<T> cotangent) const {
        Mixing::pull_back(log_p, log_mixture, cotangent, weight);
    }

private:
    Reference reference_;
};

} // namespace poise::policy
