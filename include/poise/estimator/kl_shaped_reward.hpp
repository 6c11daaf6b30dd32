#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/verbs.hpp"
#include "poise/penalty/kl.hpp"

/// Divergences from a reference policy as part of the reward (slug catalogue-policy-losses, sections 1 and 8).
namespace poise::estimator {

/// r - coefficient sum_t (log pi_old,t - log ref,t) over a response's tokens: RLOO's reward.
struct kl_penalized_reward {
    double coefficient = 0.05;

    using reads = fields<field::reward, field::old_log_probability, field::reference_log_probability>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<>;
    using writes_per_sequence = fields<field::reward>;
    using scope = per_sequence;

    constexpr void operator()(row_of_reals auto reward, row_of_reals auto old_log_probability,
                              row_of_reals auto reference_log_probability, writable_row auto penalized,
                              row_of_reals auto... mask) const {
        using T = value_of<decltype(penalized)>;
        auto const divergence = sum(
            [](auto l, auto q, auto... m) {
                if constexpr (sizeof...(m) == 0)
                    return l - q;
                else
                    return counted(m..., l - q);
            },
            old_log_probability, reference_log_probability, mask...);
        penalized[0] = T(reward[0]) - T(real_of<T>(coefficient)) * T(divergence);
    }
    constexpr void check_hyperparameters() const {
        require_domain(math::isfinite(coefficient), "kl_penalized_reward", "coefficient", "a finite number",
                       coefficient);
    }
    constexpr void check(auto const& reward, auto const& old, auto const& reference, auto const& penalized,
                         auto const&... mask) const {
        constexpr auto name = "kl_penalized_reward";
        check_hyperparameters();
        require_length(name, "reward", reward, 1);
        require_length_of(name, "reference_log_probability", reference, old);
        require_length(name, "penalized", penalized, 1);
        (require_length_of(name, "mask", mask, old), ...);
    }
};

/// The step rewards of a response of n tokens, as PPO on language models has them (Ziegler et al., 2019): at each token
/// -coefficient k(log pi - log ref), with one of the estimates of penalty/kl.hpp, and the reward of the whole response
/// at step n, the one after its last token, or at the last step of the row if that is full. 0 elsewhere.
template <class Estimate = penalty::k1>
struct kl_shaped_reward {
    double coefficient = 0.05;
    Estimate estimate{};

    using reads = fields<field::reward, field::length, field::log_probability, field::reference_log_probability>;
    using writes = fields<field::step_reward>;
    using scope = per_sequence;

    constexpr void operator()(row_of_reals auto reward, row_of_reals auto length, row_of_reals auto log_probability,
                              row_of_reals auto reference_log_probability, writable_row auto step_reward) const {
        using T = value_of<decltype(step_reward)>;
        using R = real_of<T>;
        auto const steps = step_reward.size();
        if (steps == 0) return;
        auto const n = T(length[0]), score = T(reward[0]), place = math::min(n, T(R(steps - 1)));
        map(
            step_reward,
            [=, c = R(coefficient), k = estimate](auto l, auto q, auto t) {
                using V = decltype(l);
                auto const shaped = math::select(V(t) < V(n), V(-c * k(l - q).first), V(0));
                return shaped + math::select(V(t) == V(place), V(score), V(0));
            },
            log_probability, reference_log_probability, indices_of(step_reward));
    }
    constexpr void check_hyperparameters() const {
        require_domain(math::isfinite(coefficient), "kl_shaped_reward", "coefficient", "a finite number", coefficient);
    }
    constexpr void check(auto const& reward, auto const& length, auto const& log_probability, auto const& reference,
                         auto const& step_reward) const {
        constexpr auto name = "kl_shaped_reward";
        check_hyperparameters();
        require_length(name, "reward", reward, 1);
        require_length(name, "length", length, 1);
        require_length_of(name, "reference_log_probability", reference, log_probability);
        require_length_of(name, "step_reward", step_reward, log_probability);
    }
};

} // namespace poise::estimator
