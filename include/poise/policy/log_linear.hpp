#pragma once

#include "poise/policy/softmax_policy.hpp"

#include <span>
#include <vector>

namespace poise::policy {

/// pi(a | x) proportional to mu(a | x) e^{phi(x, a) . w}: the logits are a base plus features of each context and
/// action times the parameters w. The features (contexts x actions x w) and the base logits log mu (contexts x actions,
/// zeros if left out) are fixed.
template <scalar T>
class log_linear : public softmax_policy<log_linear<T>, T> {
public:
    /// The same policy over another scalar.
    template <scalar U>
    using over = log_linear<U>;

    /// w = 0: the base distribution. Throws `argument_error` where the numbers of elements do not fit.
    constexpr log_linear(std::size_t actions, std::size_t features_per_action, std::vector<T> features,
                         std::vector<T> base_logits = {})
        : actions_(actions),
          features_(std::move(features)),
          base_(std::move(base_logits)),
          weights_(features_per_action, T(0)) {
        require(actions > 0, "log_linear", "actions", "at least one", actions);
        require(features_per_action > 0, "log_linear", "features_per_action", "at least one", features_per_action);
        require(!features_.empty() && features_.size() % (actions * features_per_action) == 0, "log_linear", "features",
                "contexts x actions x features_per_action", features_.size());
        if (base_.empty()) base_.resize(contexts() * actions, T(0));
        require(base_.size() == contexts() * actions, "log_linear", "base_logits", contexts() * actions, base_.size());
    }
    template <scalar U>
    constexpr explicit log_linear(log_linear<U> const& other)
        : log_linear(other.actions(), other.parameters().size(), converted(other.all_features()),
                     converted(other.base_logits())) {
        for (std::size_t k = 0; k < weights_.size(); ++k) weights_[k] = T(other.parameters()[k]);
    }

    constexpr std::size_t contexts() const { return features_.size() / (actions_ * weights_.size()); }
    constexpr std::size_t actions() const { return actions_; }
    constexpr row<T> parameters() { return {weights_.data(), weights_.size()}; }
    constexpr row<T const> parameters() const { return {weights_.data(), weights_.size()}; }
    constexpr std::span<T const> all_features() const { return features_; }
    constexpr std::span<T const> base_logits() const { return base_; }
    /// phi(context, action)
    constexpr row<T const> features(std::size_t context, std::size_t action) const {
        auto const n = weights_.size();
        return {features_.data() + (context * actions_ + action) * n, n};
    }

    /// The virtual row of z_a = base_a + phi(context, a) . w.
    constexpr auto logits(std::size_t context) const {
        return computed_row(actions_, [this, context](std::size_t a) {
            return base_[context * actions_ + a] + weighted_sum(parameters(), features(context, a));
        });
    }
    /// Adds sum_a d_a phi(context, a).
    constexpr void add_logit_gradient(std::size_t context, row_of_reals auto logit_gradient, row<T> gradient) const {
        for (std::size_t a = 0; a < actions_; ++a) {
            auto const d = T(logit_gradient[a]);
            map(gradient, [=](auto g, auto phi) { return g + d * phi; }, gradient, features(context, a));
        }
    }

private:
    template <class U>
    static constexpr std::vector<T> converted(std::span<U const> values) {
        auto result = std::vector<T>();
        for (auto const& value : values) result.push_back(T(value));
        return result;
    }

    std::size_t actions_;
    std::vector<T> features_;
    std::vector<T> base_;
    std::vector<T> weights_;
};

} // namespace poise::policy
