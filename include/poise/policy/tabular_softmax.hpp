#pragma once

#include "poise/policy/softmax_policy.hpp"

#include <vector>

namespace poise::policy {

/// The softmax of a table of logits, one row per context: log pi(a | c) = z_ca - log sum_b e^{z_cb}. All logits are one
/// flat row of parameters, context after context. With T a SIMD pack it is one policy per lane.
template <scalar T>
class tabular_softmax : public softmax_policy<tabular_softmax<T>, T> {
public:
    /// The same policy over another scalar.
    template <scalar U>
    using over = tabular_softmax<U>;

    /// Uniform: all logits 0.
    constexpr tabular_softmax(std::size_t contexts, std::size_t actions)
        : actions_(actions), logits_(contexts * actions, T(0)) {
        require(actions > 0, "tabular_softmax", "actions", "at least one", actions);
    }
    template <scalar U>
    constexpr explicit tabular_softmax(tabular_softmax<U> const& other)
        : tabular_softmax(other.contexts(), other.actions()) {
        for (std::size_t k = 0; k < logits_.size(); ++k) logits_[k] = T(other.parameters()[k]);
    }

    constexpr std::size_t contexts() const { return logits_.size() / actions_; }
    constexpr std::size_t actions() const { return actions_; }
    constexpr row<T> parameters() { return {logits_.data(), logits_.size()}; }
    constexpr row<T const> parameters() const { return {logits_.data(), logits_.size()}; }
    constexpr row<T> logits(std::size_t context) { return {logits_.data() + context * actions_, actions_}; }
    constexpr row<T const> logits(std::size_t context) const { return {logits_.data() + context * actions_, actions_}; }

    /// Adds a gradient in this context's logits to that in all parameters.
    constexpr void add_logit_gradient(std::size_t context, row_of_reals auto logit_gradient, row<T> gradient) const {
        auto const here = row<T>(gradient.data() + context * actions_, actions_);
        map(here, [](auto g, auto d) { return g + d; }, here, logit_gradient);
    }

private:
    std::size_t actions_;
    std::vector<T> logits_;
};

} // namespace poise::policy
