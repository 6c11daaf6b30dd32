#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/scan.hpp"
#include "poise/core/segment.hpp"
#include "poise/core/sort.hpp"
#include "poise/objective/quantile_levels.hpp"
#include "poise/weighting/selection.hpp"

#include <array>
#include <concepts>
#include <type_traits>

/// Weights of the n responses to a prompt by the rank of their reward, for reward models that are right at the extremes
/// only (slug pf-ppo: Shen and Zhang, "Policy Filtration for RLHF to Mitigate Noise in Reward Models", 2024, arXiv
/// 2409.06957, section 4). They sum to 1: the loss they weight, summed over the responses, is the expected loss of one
/// response that is kept.
namespace poise::weighting {

/// A filter: weights by rank, from 0 for the largest reward, and the law of the kept response given those of the best
/// and the worst of n (see `policy::filtered`).
namespace filter {

/// 1/n each: no filtering (PPO-M).
struct all {
    static constexpr auto by_rank(auto, auto n) { return decltype(n)(1) / n; }
    static constexpr auto law(auto, auto, auto policy, auto) { return policy; }
};

/// The best alone (best of n).
struct best {
    static constexpr auto by_rank(auto rank, auto) {
        using T = decltype(rank);
        return math::select(rank == T(0), T(1), T(0));
    }
    static constexpr auto law(auto best, auto, auto, auto) { return best; }
};

/// The best and one of the others at random, 1/2 each.
struct best_and_random {
    static constexpr auto by_rank(auto rank, auto n) {
        using T = decltype(rank);
        return math::select(rank == T(0), T(0.5F), T(0.5F) / (n - T(1)));
    }
    static constexpr auto law(auto best, auto, auto policy, auto n) {
        using T = decltype(best);
        return best / T(2) + (n * policy - best) / (T(2) * (n - T(1)));
    }
};

/// The best and the worst, 1/2 each.
struct best_and_worst {
    static constexpr auto by_rank(auto rank, auto n) {
        using T = decltype(rank);
        return math::select((rank == T(0)) | (rank == n - T(1)), T(0.5F), T(0));
    }
    static constexpr auto law(auto best, auto worst, auto, auto) { return (best + worst) / decltype(best)(2); }
};

} // namespace filter

/// Stage: the weights of a filter. Of equal rewards the first ranks higher; a single response has weight 1, and for two
/// best_and_random and best_and_worst do not filter. Throws for no responses and NaN.
template <class Filter = filter::best_and_worst>
struct reward_rank {
    using reads = fields<field::reward>;
    using writes = fields<field::weight>;
    static constexpr std::array argument_names{"reward", "weight"};
    static constexpr std::size_t scratch_rows = argsort_scratch + 2;

    constexpr void operator()(row_of_reals auto reward, writable_row auto weight, auto const& scratch) const {
        using R = real_of<value_of<decltype(weight)>>;
        auto const n = reward.size();
        if (n == 1) return fill(weight, R(1));
        auto const work = scratch_of_length<scratch_rows>(scratch, n); // tokens may be more than responses
        auto const order = work[argsort_scratch], by_rank = work[argsort_scratch + 1];
        argsort(order, reward, descending{}, work);
        map(by_rank, [count = R(n)](auto k) { return Filter::by_rank(k, decltype(k)(count)); }, indices_of(reward));
        scatter(weight, by_rank, order);
    }
    constexpr void check(auto const& reward, auto const& weight) const {
        constexpr auto name = "reward_rank";
        poise::detail::check_not_empty(name, "reward", reward);
        poise::detail::check_not_nan(name, "reward", reward);
        poise::detail::check_length(name, "weight", weight, poise::detail::length_of(reward));
    }
};

/// Kernel: indices drawn by weights from given uniform numbers u in [0, 1), the first whose cumulative weight exceeds
/// u sum w (by which a filtered response can be kept instead of weighting all). An index of weight 0 is never drawn.
/// Throws for negative weights and a sum that is not positive, u outside [0, 1).
struct pick_by_weight {
    static constexpr std::array argument_names{"weights", "uniforms", "indices"};
    static constexpr std::size_t scratch_rows = 1;

    constexpr void operator()(row_of_reals auto weights, row_of_reals auto uniforms, writable_row auto indices,
                              auto const& scratch) const {
        using T = value_of<decltype(indices)>;
        auto const cumulative = segment(scratch[0], 0, weights.size());
        cumulative_sum(cumulative, weights);
        auto const total = T(cumulative[weights.size() - 1]);
        auto const last = T(maximum(
            [](auto w, auto k) {
                using W = decltype(w);
                return math::select(w > W(0), W(k), W(0));
            },
            weights, indices_of(weights)));
        for (std::size_t i = 0; i < uniforms.size(); ++i) {
            auto const target = T(uniforms[i]) * total;
            auto const passed = sum(
                [=](auto until) {
                    using U = decltype(until);
                    return math::select(until <= U(target), U(1), U(0));
                },
                cumulative);
            indices[i] = math::min(T(passed), last); // the product may round up to the total
        }
    }
    constexpr void check(auto const& weights, auto const& uniforms, auto const& indices) const {
        constexpr auto name = "pick_by_weight";
        using T = typename std::remove_cvref_t<decltype(weights)>::value_type;
        poise::detail::check_not_empty(name, "weights", weights);
        poise::detail::for_each_element(
            weights, [&](auto w) { require_domain(w >= T(0), name, "weights", "numbers not below 0", w); });
        if constexpr (std::same_as<mask_of<T>, bool>)
            for (std::size_t i = 0; i < weights.rows(); ++i) {
                auto total = T(0);
                for (std::size_t k = 0; k < weights.length(i); ++k) total += weights(i, k);
                require_domain(total > T(0) && math::isfinite(total), name, "weights", "a positive finite sum", total);
            }
        poise::detail::for_each_element(uniforms, [&](auto u) {
            require_domain(u >= decltype(u)(0) && u < decltype(u)(1), name, "uniforms", "numbers in [0, 1)", u);
        });
        poise::detail::check_length(name, "indices", indices, poise::detail::length_of(uniforms));
    }
};

} // namespace poise::weighting
