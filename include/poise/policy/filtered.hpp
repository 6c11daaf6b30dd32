#pragma once

#include "poise/weighting/reward_rank.hpp"

#include <array>

namespace poise::policy {

/// Kernel: the law of the response that a filter of `weighting::filter` keeps of n drawn from a policy over finitely
/// many actions (slug pf-ppo: Shen and Zhang, 2024, arXiv 2409.06957). With the mass below, lo = sum pi[r < r_k], and
/// up to, hi = sum pi[r <= r_k], an action's reward, the best of n is k with probability
///     pi_k (hi^n - lo^n) / (hi - lo) = pi_k sum_{j < n} hi^j lo^{n-1-j},
/// ties sharing in proportion to pi, and the worst is the best by -r. n = 1 gives pi. Quadratic in the number of
/// actions, linear in n. `kept` must not be an input. Throws for n < 1, negative probabilities, NaN.
template <class Filter = weighting::filter::best_and_worst>
struct filtered {
    std::size_t n = 5; ///< responses drawn

    static constexpr std::array argument_names{"policy", "rewards", "kept"};

    constexpr void operator()(row_of_reals auto policy, row_of_reals auto rewards, writable_row auto kept) const {
        using T = value_of<decltype(kept)>;
        if (n == 1) return copy(kept, policy);
        for (std::size_t k = 0; k < policy.size(); ++k) {
            auto const own = T(rewards[k]), p = T(policy[k]);
            auto const mass = [=](auto const& counts) {
                return T(sum(
                    [=](auto r, auto pi) {
                        using P = decltype(pi);
                        return math::select(counts(r, P(own)), pi, P(0));
                    },
                    rewards, policy));
            };
            auto const below = mass([](auto r, auto other) { return r < other; });
            auto const tied = mass([](auto r, auto other) { return r == other; });
            auto const above = mass([](auto r, auto other) { return r > other; });
            auto const best = p * power_quotient(below + tied, below), worst = p * power_quotient(above + tied, above);
            kept[k] = Filter::law(best, worst, p, T(real_of<T>(n)));
        }
    }
    constexpr void check(auto const& policy, auto const& rewards, auto const& kept) const {
        constexpr auto name = "filtered";
        require(n > 0, name, "n", "at least 1", n);
        poise::detail::check_not_empty(name, "policy", policy);
        poise::detail::for_each_element(policy, [&](auto p) {
            require_domain(p >= decltype(p)(0), name, "policy", "probabilities not below 0", p);
        });
        poise::detail::check_not_nan(name, "rewards", rewards);
        poise::detail::check_length(name, "rewards", rewards, poise::detail::length_of(policy));
        poise::detail::check_length(name, "kept", kept, poise::detail::length_of(policy));
    }

private:
    /// (a^n - b^n) / (a - b) without the difference.
    template <class T>
    constexpr T power_quotient(T a, T b) const {
        auto quotient = T(1), power = T(1);
        for (std::size_t j = 1; j < n; ++j) {
            power = power * a;
            quotient = quotient * b + power;
        }
        return quotient;
    }
};

} // namespace poise::policy
