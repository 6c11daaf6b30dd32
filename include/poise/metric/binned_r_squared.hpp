#pragma once

#include "poise/core/segment.hpp"
#include "poise/core/sort.hpp"
#include "poise/metric/least_squares_line.hpp"
#include "poise/objective/quantile_levels.hpp"

#include <array>
#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace poise::metric {

/// Kernel: how well rewards tell the true scores, the R^2 of a line through groups of responses with similar rewards
/// (slug pf-ppo: Shen and Zhang, 2024, arXiv 2409.06957, section 4: the filter with the largest one is chosen). The
/// responses in ascending order of reward, ties as they come, are cut into `groups` parts as equal as can be (the first
/// n mod groups are larger by one), whose mean rewards and scores are the points; groups = 0: every response is one.
/// The number of groups is not in the paper. Throws for fewer than 2 points, more groups than responses, rewards or
/// scores of the points that are all equal, NaN.
struct binned_r_squared {
    std::size_t groups = 20;

    static constexpr std::array argument_names{"rewards", "scores", "r_squared", "slope", "intercept"};
    static constexpr std::size_t scratch_rows = argsort_scratch + 3;

    constexpr void operator()(row_of_reals auto rewards, row_of_reals auto scores, writable_row auto r_squared,
                              writable_row auto slope, writable_row auto intercept, auto const& scratch) const {
        auto const write = [&](auto const& fit) {
            r_squared[0] = fit.r_squared();
            slope[0] = fit.slope;
            intercept[0] = fit.intercept;
        };
        if (groups == 0) return write(least_squares_line(rewards, scores));
        auto const x = segment(scratch[0], 0, groups), y = segment(scratch[1], 0, groups);
        points(rewards, scores, x, y, scratch);
        write(least_squares_line(x, y));
    }
    constexpr void check(auto const& rewards, auto const& scores, auto const&... results) const {
        constexpr auto name = "binned_r_squared";
        poise::detail::check_not_nan(name, "rewards", rewards);
        poise::detail::check_not_nan(name, "scores", scores);
        auto const n = poise::detail::length_of(rewards);
        poise::detail::check_length(name, "scores", scores, n);
        require(groups <= n, name, "groups", "at most the number of responses (" + std::to_string(n) + ")", groups);
        require((groups == 0 ? n : groups) >= 2, name, "groups", "at least 2 points", groups == 0 ? n : groups);
        auto index = std::size_t{1};
        (poise::detail::check_length(name, argument_names[++index], results, 1), ...);
        check_points(rewards, scores);
    }

private:
    /// The groups' means; scratch[0] and scratch[1] may be where they go.
    constexpr void points(row_of_reals auto rewards, row_of_reals auto scores, writable_row auto x, writable_row auto y,
                          auto const& scratch) const {
        using T = value_of<decltype(x)>;
        using R = real_of<T>;
        auto const n = rewards.size();
        auto const order = scratch[argsort_scratch], sorted_rewards = scratch[argsort_scratch + 1],
                   sorted_scores = scratch[argsort_scratch + 2];
        argsort(order, rewards, ascending{}, scratch);
        gather(sorted_rewards, rewards, order);
        gather(sorted_scores, scores, order);
        auto first = std::size_t{0};
        for (std::size_t g = 0; g < groups; ++g) {
            auto const count = n / groups + (g < n % groups ? 1 : 0);
            auto const mean_of = [&](auto sorted) {
                auto const part = segment(sorted, first, count);
                auto const origin = T(part[0]); // equal numbers have themselves as their mean
                return origin + T(sum([=](auto v) { return v - decltype(v)(origin); }, part)) / T(R(count));
            };
            x[g] = mean_of(sorted_rewards);
            y[g] = mean_of(sorted_scores);
            first += count;
        }
    }

    template <class Rewards>
    constexpr void check_points(Rewards const& rewards, auto const& scores) const {
        using T = typename Rewards::value_type;
        if constexpr (std::same_as<mask_of<T>, bool>)
            for (std::size_t i = 0; i < rewards.rows(); ++i) {
                auto const n = rewards.length(i);
                auto memory = std::vector<T>((scratch_rows + 2) * n);
                auto const part = [&](std::size_t k) { return row<T>(memory.data() + k * n, n); };
                auto x = part(scratch_rows), y = part(scratch_rows + 1);
                for (std::size_t k = 0; k < n; ++k) {
                    x[k] = rewards(i, k);
                    y[k] = T(scores(i, k));
                }
                if (groups > 0) {
                    auto const scratch = [&]<std::size_t... S>(std::index_sequence<S...>) {
                        return std::array{part(S)...};
                    }(std::make_index_sequence<scratch_rows>{});
                    points(x, y, segment(scratch[0], 0, groups), segment(scratch[1], 0, groups), scratch);
                    x = segment(scratch[0], 0, groups);
                    y = segment(scratch[1], 0, groups);
                }
                auto const varies = [&](char const* argument, row<T const> of) {
                    require_domain(minimum(of) < maximum(of), "binned_r_squared", argument,
                                   "points that are not all equal", T(of[0]));
                };
                varies("rewards", x);
                varies("scores", y);
            }
    }
};

} // namespace poise::metric
