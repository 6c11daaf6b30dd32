#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"

#include <array>
#include <utility>

namespace poise::field {

POISE_FIELD(regularized_reward, replaced); ///< reward less temperature times log pi / reference

} // namespace poise::field

namespace poise::objective {

/// The pairwise consistency of a prompt's K responses (slug group-relative-reinforce: Yao et al., "Group-Relative
/// REINFORCE Is Secretly an Off-Policy Algorithm", 2025, arXiv 2509.24203). The policy that maximises
/// E[r] - temperature KL(pi || reference) has equal regularised rewards a_i = r_i - temperature log(pi / reference) of
/// all responses; how far they are from that, whichever policy the responses come from:
///     L = (1 / K^2) sum_{i<j} (a_i - a_j)^2 = (1 / K) sum_i (a_i - mean(a))^2,
///     dL / d log pi_i = -(2 temperature / K) (a_i - mean(a)).
/// At pi = reference that is 2 temperature times the gradient of REINFORCE with the group's mean as the baseline. Per
/// element the loss is (a_i - mean(a))^2, of which L is the mean. With the field `weight` L becomes
/// (1 / W^2) sum_{i<j} w_i w_j (a_i - a_j)^2, W = sum w: the weighted mean takes the place of mean(a), and losses are
/// scaled by K / W, so that their mean with weights w is L; weights of 0 leave responses out.
struct pairwise_consistency {
    double temperature = 1;

    using reads = fields<field::reward, field::log_probability, field::reference_log_probability>;
    using reads_if_given = fields<field::weight>;
    using writes = fields<field::loss, field::gradient<field::log_probability>, field::regularized_reward>;
    static constexpr std::array argument_names{
        "reward", "log_probability", "reference_log_probability", "loss", "gradient", "regularized_reward", "weight"};

    constexpr void operator()(row_of_reals auto reward, row_of_reals auto log_probability,
                              row_of_reals auto reference_log_probability, writable_row auto loss,
                              writable_row auto gradient, writable_row auto regularized,
                              row_of_reals auto... weight) const {
        using T = value_of<decltype(loss)>;
        using R = real_of<T>;
        auto const tau = R(temperature);
        map(
            regularized, [=](auto r, auto log_p, auto log_q) { return r - tau * (log_p - log_q); }, reward,
            log_probability, reference_log_probability);
        auto const count = T(R(reward.size()));
        auto const [centre, scale] = [&] {
            if constexpr (sizeof...(weight) == 0) {
                return std::pair{T(mean(regularized)), T(1)};
            } else {
                auto const total = T(sum(weight...));
                return std::pair{T(weighted_sum(weight..., regularized)) / total, count / total};
            }
        }();
        map_pair(
            loss, gradient,
            [c = centre, s = scale, tau](auto a) {
                auto const away = a - c;
                return std::pair{s * away * away, R(-2) * tau * s * away};
            },
            regularized);
    }
    constexpr void check_hyperparameters() const {
        require_domain(temperature > 0 && math::isfinite(temperature), "pairwise_consistency", "temperature",
                       "a finite number above 0", temperature);
    }
    constexpr void check_length(std::size_t responses) const {
        require(responses > 0, "pairwise_consistency", "reward", "at least 1 element", responses);
    }
    constexpr void check(auto const& reward, auto const&... others) const {
        check_hyperparameters();
        for (std::size_t i = 0; i < reward.rows(); ++i) check_length(reward.length(i));
        require_equal_lengths("pairwise_consistency", argument_names, reward, others...);
    }
};

} // namespace poise::objective
