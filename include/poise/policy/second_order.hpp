#pragma once

#include "poise/core/dual.hpp"
#include "poise/core/error.hpp"
#include "poise/core/row.hpp"

#include <algorithm>
#include <vector>

/// Products of second derivatives with a vector, for every policy that has pullbacks: the pullback is evaluated on dual
/// numbers whose parameters move along the vector (forward over reverse; Pearlmutter, "Fast exact multiplication by the
/// Hessian", Neural Computation 6, 1994). One costs about three pullbacks.
namespace poise::policy {

/// The policy over dual numbers, and a gradient of them; allocated once for many products:
///     auto along = policy::second_order(pi);
///     along.move(pi, vector);
///     along.hessian_vector_product(context, action, out);
template <class Policy>
class second_order {
public:
    using value_type = typename Policy::value_type;
    using moved_policy = typename Policy::template over<dual<value_type>>;

    constexpr explicit second_order(Policy const& policy)
        : moving_(policy), resting_(policy), gradient_(policy.parameters().size()) {}

    /// The parameters of `policy` from now on, and the vector v. Throws `argument_error` where lengths differ.
    constexpr void move(Policy const& policy, row<value_type const> vector) {
        auto const n = gradient_.size();
        require(policy.parameters().size() == n, "second_order::move", "policy", n, policy.parameters().size());
        require(vector.size() == n, "second_order::move", "vector", n, vector.size());
        for (std::size_t k = 0; k < n; ++k) {
            moving_.parameters()[k] = {policy.parameters()[k], vector[k]};
            resting_.parameters()[k] = policy.parameters()[k];
        }
    }

    /// out += H v, H the Hessian of log pi(action | context) in the parameters.
    template <class Context, class Action>
    constexpr void hessian_vector_product(Context const& context, Action const& action, row<value_type> out) {
        add_derivative(
            out, [&](auto gradient) { moving_.pullback(context, action, dual<value_type>(value_type(1)), gradient); });
    }

    /// out += F v, F = E[(d log pi)(d log pi)^T] the Fisher information of pi(. | context): the Hessian of
    /// KL(pi || pi_0) at pi_0 = pi.
    template <class Context>
    constexpr void fisher_vector_product(Context const& context, row<value_type> out) {
        add_derivative(out, [&](auto gradient) {
            moving_.kl_divergence_pullback(context, resting_, dual<value_type>(value_type(1)), gradient);
        });
    }

    /// out += H v, H the Hessian of the entropy of pi(. | context) in the parameters.
    template <class Context>
    constexpr void entropy_hessian_vector_product(Context const& context, row<value_type> out) {
        add_derivative(
            out, [&](auto gradient) { moving_.entropy_pullback(context, dual<value_type>(value_type(1)), gradient); });
    }

private:
    template <class Pullback>
    constexpr void add_derivative(row<value_type> out, Pullback const& pullback) {
        require(out.size() == gradient_.size(), "second_order", "out", gradient_.size(), out.size());
        std::fill(gradient_.begin(), gradient_.end(), dual<value_type>());
        pullback(row<dual<value_type>>(gradient_));
        for (std::size_t k = 0; k < gradient_.size(); ++k) out[k] += gradient_[k].derivative;
    }

    moved_policy moving_;
    moved_policy resting_;
    std::vector<dual<value_type>> gradient_;
};

/// out += H v, H the Hessian of log pi(action | context) in the parameters. Allocates; for many use `second_order`.
template <class Policy, class Context, class Action>
constexpr void hessian_vector_product(Policy const& policy, Context const& context, Action const& action,
                                      row<typename Policy::value_type const> vector,
                                      row<typename Policy::value_type> out) {
    auto along = second_order<Policy>(policy);
    along.move(policy, vector);
    along.hessian_vector_product(context, action, out);
}

/// out += F v, F the Fisher information of pi(. | context). Allocates; for many use `second_order`.
template <class Policy, class Context>
constexpr void fisher_vector_product(Policy const& policy, Context const& context,
                                     row<typename Policy::value_type const> vector,
                                     row<typename Policy::value_type> out) {
    auto along = second_order<Policy>(policy);
    along.move(policy, vector);
    along.fisher_vector_product(context, out);
}

} // namespace poise::policy
