#pragma once

#include "poise/policy/batch_by_sample.hpp"
#include "poise/policy/log_probability_formulas.hpp"

#include <vector>

namespace poise::policy {

/// A table of probabilities, one row per context, that are the parameters themselves. Whoever moves them keeps each row
/// on the simplex: see solver/simplex_step.hpp.
template <scalar T>
class simplex : public batch_by_sample<simplex<T>, T, std::size_t, action_number<T>> {
    using batches = batch_by_sample<simplex<T>, T, std::size_t, action_number<T>>;

public:
    using value_type = T;
    using context_type = std::size_t;
    using action_type = action_number<T>;
    /// The same policy over another scalar.
    template <scalar U>
    using over = simplex<U>;

    using batches::pullback;
    using batches::sample;

    /// Uniform.
    constexpr simplex(std::size_t contexts, std::size_t actions)
        : actions_(actions), probabilities_(contexts * actions, T(1) / T(actions)) {
        require(actions > 0, "simplex", "actions", "at least one", actions);
    }
    template <scalar U>
    constexpr explicit simplex(simplex<U> const& other) : simplex(other.contexts(), other.actions()) {
        for (std::size_t k = 0; k < probabilities_.size(); ++k) probabilities_[k] = T(other.parameters()[k]);
    }

    constexpr std::size_t contexts() const { return probabilities_.size() / actions_; }
    constexpr std::size_t actions() const { return actions_; }
    constexpr row<T> parameters() { return {probabilities_.data(), probabilities_.size()}; }
    constexpr row<T const> parameters() const { return {probabilities_.data(), probabilities_.size()}; }
    constexpr row<T> probabilities(std::size_t context) {
        return {probabilities_.data() + context * actions_, actions_};
    }
    constexpr row<T const> probabilities(std::size_t context) const {
        return {probabilities_.data() + context * actions_, actions_};
    }

    /// -inf where the probability is 0.
    constexpr void log_probabilities(std::size_t context, writable_row auto out) const {
        map(out, math::log, probabilities(context));
    }
    constexpr T log_probability(std::size_t context, std::size_t action) const {
        return math::log(probabilities(context)[action]);
    }
    /// An action for each lane.
    constexpr T log_probability(std::size_t context, T action) const
        requires random::lane_pack<T>
    {
        auto const p = probabilities(context);
        return math::log(sum([=](auto k, auto v) { return math::select(T(k) == action, v, T(0)); }, indices_of(p), p));
    }
    /// The action drawn at this address, never one of probability 0; for packs one action per lane.
    constexpr action_type sample(std::size_t context, random::address where) const
        requires random::drawable<T>
    {
        return random::categorical(where, probabilities(context));
    }
    /// In nats.
    constexpr T entropy(std::size_t context) const { return poise::entropy(probabilities(context)); }
    /// KL(pi(. | context) || other(. | context)) in nats; +inf where the other has probability 0 and this has not.
    constexpr T kl_divergence(std::size_t context, simplex const& other) const {
        return poise::kl_divergence(probabilities(context), other.probabilities(context));
    }

    /// Adds to `gradient` (as long as `parameters()`) J^T c, J the Jacobian of this context's log-probabilities in the
    /// probabilities, which are taken as free: c_a / pi_a, and 0 where c_a is 0.
    constexpr void pullback(std::size_t context, row_of_reals auto cotangent, row<T> gradient) const {
        auto const here = gradient_of(context, gradient);
        map(
            here, [](auto g, auto c, auto p) { return g + math::select(c == T(0), T(0), c / p); }, here, cotangent,
            probabilities(context));
    }
    /// The same for the log-probability of one action: c / pi_action at that action.
    constexpr void pullback(std::size_t context, std::size_t action, T cotangent, row<T> gradient) const {
        auto const k = context * actions_ + action;
        gradient[k] += math::select(cotangent == T(0), T(0), cotangent / probabilities_[k]);
    }
    constexpr void pullback(std::size_t context, T action, T cotangent, row<T> gradient) const
        requires random::lane_pack<T>
    {
        auto const here = gradient_of(context, gradient);
        map(
            here,
            [=](auto k, auto g, auto p) {
                return math::select((T(k) == action) & (cotangent != T(0)), g + cotangent / p, g);
            },
            indices_of(here), here, probabilities(context));
    }
    /// Adds c dH / d probabilities, which are taken as free: -c (log pi_a + 1), infinite where pi_a is 0.
    constexpr void entropy_pullback(std::size_t context, T cotangent, row<T> gradient) const {
        auto const here = gradient_of(context, gradient);
        map(here, [=](auto g, auto p) { return g - cotangent * (math::log(p) + T(1)); }, here, probabilities(context));
    }
    /// Adds c d KL(pi || other) / d probabilities of pi: c (log pi_a / other_a + 1).
    constexpr void kl_divergence_pullback(std::size_t context, simplex const& other, T cotangent,
                                          row<T> gradient) const {
        auto const here = gradient_of(context, gradient);
        map(
            here, [=](auto g, auto p, auto q) { return g + cotangent * (math::log(p / q) + T(1)); }, here,
            probabilities(context), other.probabilities(context));
    }

private:
    constexpr row<T> gradient_of(std::size_t context, row<T> gradient) const {
        return {gradient.data() + context * actions_, actions_};
    }

    std::size_t actions_;
    std::vector<T> probabilities_;
};

} // namespace poise::policy
