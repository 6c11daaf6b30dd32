#pragma once

#include "poise/core/lengths.hpp"
#include "poise/objective/quantile_levels.hpp"
#include "poise/solver/simplex_step.hpp"

#include <array>

namespace poise::solver {

/// Where REINFORCE on samples of a fixed policy goes (slug group-relative-reinforce: Yao et al., 2025, arXiv
/// 2509.24203), for a softmax over arms that pay r_k and a policy mu that samples, as a row kernel. The expected flow
/// of the logits,
///     d theta_k / dt = mu_k (r_k - mu . r),
/// does not depend on the policy, so that it goes to the arm of the greatest rate, which need not be the one of the
/// greatest reward. With the weights e^{A / temperature}, A = r - mu . r (RED-Weight), the flow with
/// c_k = mu_k e^{A_k / temperature} A_k is d theta / dt = c - sum(c) pi, and it goes to the point of the simplex
/// nearest to c / sum(c). Writes the rates, the two arms (from 0, the first of equals) and that point; it is NaN where
/// all arms that are sampled pay the same. Throws there, and for mu that is no distribution. Rows are short.
struct offline_flow {
    double temperature = 1;

    static constexpr std::size_t scratch_rows = simplex_projection::scratch_rows;
    static constexpr std::array argument_names{"mu", "rewards", "rates", "limit_arm", "best_arm", "weighted_limit"};

    constexpr void operator()(row_of_reals auto mu, row_of_reals auto rewards, writable_row auto rates,
                              writable_row auto limit_arm, writable_row auto best_arm, writable_row auto weighted_limit,
                              auto const& scratch) const {
        using T = value_of<decltype(rates)>;
        using R = real_of<T>;
        auto const expected = T(weighted_sum(mu, rewards));
        map(rates, [=](auto m, auto r) { return m * (r - expected); }, mu, rewards);
        limit_arm[0] = first_greatest<T>(rates);
        best_arm[0] = first_greatest<T>(rewards);

        auto const of_sampled = [](auto otherwise) {
            return [=](auto m, auto r) { return math::select(m == decltype(m)(0), decltype(r)(otherwise), r); };
        };
        auto const most = T(maximum(of_sampled(-math::infinity<R>), mu, rewards));
        auto const least = T(reduce(operation::minimum{}, of_sampled(math::infinity<R>), mu, rewards));
        map(
            weighted_limit,
            [=, tau = R(temperature)](auto m, auto r) {
                auto const a = r - expected;
                return m * math::exp((r - most) / tau) * a; // the factor e^{(mu . r - most) / tau} goes with sum(c)
            },
            mu, rewards);
        auto const total = math::select(most == least, T(math::quiet_nan<R>), T(sum(weighted_limit)));
        map(weighted_limit, [=](auto c) { return c / total; }, weighted_limit);
        simplex_projection{}(weighted_limit, weighted_limit, scratch);
    }
    constexpr void check_hyperparameters() const {
        require_domain(temperature > 0 && math::isfinite(temperature), "offline_flow", "temperature",
                       "a finite number above 0", temperature);
    }
    constexpr void check(auto const& mu, auto const& rewards, auto const& rates, auto const& limit_arm,
                         auto const& best_arm, auto const& weighted_limit) const {
        constexpr auto name = "offline_flow";
        check_hyperparameters();
        poise::detail::check_not_empty(name, "mu", mu);
        require_length_of(name, "rewards", rewards, mu);
        require_length_of(name, "rates", rates, mu);
        require_length_of(name, "weighted_limit", weighted_limit, mu);
        require_length(name, "limit_arm", limit_arm, 1);
        require_length(name, "best_arm", best_arm, 1);
        poise::detail::check_not_nan(name, "rewards", rewards);
        using T = typename std::remove_cvref_t<decltype(mu)>::value_type;
        if constexpr (std::same_as<mask_of<T>, bool>)
            for (std::size_t i = 0; i < mu.rows(); ++i) {
                auto total = T(0), most = T(-math::infinity<T>), least = T(math::infinity<T>);
                for (std::size_t k = 0; k < mu.length(i); ++k) {
                    require_domain(mu(i, k) >= T(0), name, "mu", "numbers not below 0", mu(i, k));
                    total += mu(i, k);
                    if (mu(i, k) == T(0)) continue;
                    most = math::max(most, T(rewards(i, k)));
                    least = math::min(least, T(rewards(i, k)));
                }
                require_domain(math::abs(total - T(1)) < T(1e-5), name, "mu", "numbers that sum to 1", total);
                require_domain(least < most, name, "rewards", "rewards of sampled arms that differ", most);
            }
    }

private:
    /// The index of the first of the greatest elements.
    template <class T>
    static constexpr T first_greatest(row_of_reals auto x) {
        using R = real_of<T>;
        auto const greatest = T(maximum(x));
        return T(reduce(
            operation::minimum{},
            [=](auto v, auto k) {
                using V = decltype(v);
                return math::select(v == V(greatest), V(k), V(math::infinity<R>));
            },
            x, indices_of(x)));
    }
};

} // namespace poise::solver
