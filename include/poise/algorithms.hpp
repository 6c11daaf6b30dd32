#pragma once

#include "poise/estimator/baselines.hpp"
#include "poise/estimator/beta_fit.hpp"
#include "poise/estimator/component_rewards.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/estimator/success_rate.hpp"
#include "poise/estimator/trusted_reward.hpp"
#include "poise/estimator/whitened.hpp"
#include "poise/execution/batch_passes.hpp"
#include "poise/objective/aggregation.hpp"
#include "poise/objective/clipped_value_loss.hpp"
#include "poise/objective/optimal_advantage_regression.hpp"
#include "poise/objective/surrogate.hpp"
#include "poise/objective/weighted.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/weighting/beta_normalization.hpp"
#include "poise/weighting/max_variance_subset.hpp"
#include "poise/weighting/top_tokens.hpp"
#include "poise/weighting/trust.hpp"

/// Published algorithms, each a composition of the library's stages with the constants of its paper or of the field's
/// main training library: for `evaluate` and for learners. docs/guide/group-relative.md has them as a table. Other
/// constants are another composition of the same stages.
namespace poise::algorithms {

namespace detail {

inline constexpr auto standardized = estimator::group_relative<estimator::deviation::sample>{1e-4};
inline constexpr auto of_sequences = aggregation::mean_of_sequences{};
inline constexpr auto of_batch = aggregation::mean_over_batch{};
template <class Ratio, class TrustRegion = trust_region::clipped>
using surrogate = objective::surrogate<Ratio, TrustRegion>;

} // namespace detail

/// Williams, 1992.
inline constexpr auto reinforce =
    estimator::uncentered{} | detail::surrogate<ratio::none, trust_region::unclipped>{} | detail::of_sequences;
/// Ahmadian et al., 2024, arXiv 2402.14740.
inline constexpr auto rloo =
    estimator::leave_one_out{} | detail::surrogate<ratio::sequence_sum>{} | detail::of_sequences;
/// Shao et al., 2024, arXiv 2402.03300.
inline constexpr auto grpo =
    detail::standardized | detail::surrogate<ratio::token>{} | penalty::kl_k3{0.04} | detail::of_sequences;
/// Liu et al., 2025, arXiv 2503.20783: with the greatest number of tokens that a response may have.
constexpr auto dr_grpo(double maximal_length) {
    return estimator::centered{} | detail::surrogate<ratio::token>{} | aggregation::constant_length{maximal_length};
}
/// Yu et al., 2025, arXiv 2503.14476.
inline constexpr auto dapo =
    detail::standardized | detail::surrogate<ratio::token>{.trust_region = {.high = 0.28}} | detail::of_batch;
/// Zheng et al., 2025, arXiv 2507.18071.
inline constexpr auto gspo = detail::standardized |
                             detail::surrogate<ratio::sequence>{.trust_region = {.low = 3e-4, .high = 4e-4}} |
                             detail::of_sequences;
/// The same with a gradient of each token.
inline constexpr auto gspo_token =
    detail::standardized | detail::surrogate<ratio::sequence_token>{.trust_region = {.low = 3e-4, .high = 4e-4}} |
    detail::of_sequences;
/// Zhao et al., 2025, arXiv 2507.20673.
inline constexpr auto gmpo = detail::standardized |
                             detail::surrogate<ratio::clipped_geometric_mean, trust_region::unclipped>{} |
                             detail::of_sequences;
/// MiniMax, 2025, arXiv 2506.13585.
inline constexpr auto cispo =
    detail::standardized | detail::surrogate<ratio::token, trust_region::capped_weight>{} | detail::of_batch;
/// Gao et al., 2025.
inline constexpr auto sapo =
    detail::standardized | detail::surrogate<ratio::token, trust_region::sigmoid>{} | detail::of_sequences;
/// GSPO with every response as often as it is long.
inline constexpr auto luspo = detail::standardized |
                              detail::surrogate<ratio::sequence>{.trust_region = {.low = 3e-4, .high = 4e-4}} |
                              aggregation::sum_of_sequences{};
/// 2026: variational sequence-level soft policy optimisation.
inline constexpr auto vespo =
    detail::standardized | detail::surrogate<ratio::sequence_sum, trust_region::gamma_weight>{} | detail::of_batch;
/// Liu et al., 2026: two rewards, each normalised in its group, and their sum over the batch.
constexpr auto gdpo(std::array<double, 2> weights) {
    return estimator::normalized_component<0>{} | estimator::normalized_component<1>{} |
           estimator::weighted_sum<2>{weights} | over_batch(detail::standardized) | detail::surrogate<ratio::token>{} |
           detail::of_sequences;
}
/// Hu, 2025, arXiv 2501.03262, with the divergence in the loss.
inline constexpr auto reinforce_plus_plus = over_batch(estimator::centered{}) |
                                            over_batch(estimator::deviation_scale<estimator::deviation::sample>{1e-4}) |
                                            detail::surrogate<ratio::token>{} | penalty::kl_k2{0.01} | detail::of_batch;
/// Schulman et al., 2017: the policy's loss, of given advantages (`estimator::generalized_advantage`).
inline constexpr auto ppo =
    over_batch(estimator::whitened{}) | detail::surrogate<ratio::token>{} | aggregation::mean_over_batch{};
/// The same for the value function, of given returns.
inline constexpr auto ppo_value = objective::clipped_value_loss{} | aggregation::mean_over_batch{};
/// Brantley et al., 2025, arXiv 2505.20686: with V* (`estimator::optimal_value`) in `baseline`.
inline constexpr auto a2po = objective::optimal_advantage_regression{} | aggregation::mean{};
/// Xiao et al., 2025, arXiv 2506.02864, for rewards 0 and 1.
inline constexpr auto bnpo =
    estimator::success_rate{} | over_batch(estimator::beta_fit{}) | weighting::beta_normalization{} |
    detail::surrogate<ratio::token>{.trust_region = {.high = 0.28, .dual = 10}} | aggregation::sum_of_sequences{};
/// Arnal et al., 2025, arXiv 2506.20520: a baseline below the mean.
inline constexpr auto asymre = estimator::shifted_mean{.shift = -0.1} |
                               detail::surrogate<ratio::none, trust_region::unclipped>{} | aggregation::mean{};
/// Online policy mirror descent, with the squared log-ratio to the old policy.
inline constexpr auto opmd = estimator::centered{} | detail::surrogate<ratio::none, trust_region::unclipped>{} |
                             with_fields<penalty::kl_k2, fields<field::log_probability, field::old_log_probability>,
                                         fields<field::loss, field::gradient<field::log_probability>>>{{0.1}} |
                             aggregation::mean{};
/// 2025, arXiv 2509.22115: with this many rollouts of a batch, and this fraction of their tokens.
constexpr auto d3s(std::size_t rollouts, double fraction) {
    return estimator::group_relative<estimator::deviation::sample>{} |
           over_batch(weighting::max_variance_subset{rollouts}) | over_batch(weighting::top_tokens{fraction}) |
           detail::surrogate<ratio::token>{} | detail::of_batch;
}
/// Fan et al., 2025, arXiv 2505.17018: `estimator::trusted_reward`'s coefficient decays between the steps.
inline constexpr auto trust_grpo =
    weighting::trust{} | estimator::trusted_reward{} |
    estimator::group_relative<estimator::deviation::sample, estimator::singleton::uncentered>{1e-4} |
    detail::surrogate<ratio::token>{} | penalty::kl_k3{0.04} | detail::of_sequences;
/// SofT-GRPO's loss, for a policy of Gumbel-soft tokens.
inline constexpr auto soft_grpo =
    estimator::group_relative<estimator::deviation::sample, estimator::singleton::uncentered>{1e-6} |
    detail::surrogate<ratio::token>{.trust_region = {.dual = 3}} |
    penalty::kl<penalty::clamped_value<penalty::k3>>{1e-3} | detail::of_batch;

} // namespace poise::algorithms
