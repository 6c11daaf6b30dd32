#pragma once

#include "poise/core/error.hpp"
#include "poise/metric/task_value.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <queue>
#include <span>
#include <utility>
#include <vector>

namespace poise::solver {

/// Hands out `units` one by one, each to the candidate i with the greatest gain(i, n_i), n_i what it has (ties: the
/// first), none beyond `most`; returns how many are left. Where gains do not increase with n this maximises the sum of
/// all gains: a unit that is worth more is never behind one that is worth less. O(units x log candidates).
template <class Gain>
std::size_t allocate_greedily(std::span<std::size_t> counts, std::span<std::size_t const> candidates, std::size_t most,
                              std::size_t units, Gain const& gain) {
    struct offer {
        double gain;
        std::size_t candidate;
        bool operator<(offer const& other) const { // what comes out of the queue later
            return gain != other.gain ? gain < other.gain : candidate > other.candidate;
        }
    };
    auto offers = std::vector<offer>{};
    offers.reserve(candidates.size());
    for (auto const i : candidates)
        if (counts[i] < most) offers.push_back({gain(i, counts[i]), i});
    auto queue = std::priority_queue(std::less<offer>{}, std::move(offers));
    for (; units > 0 && !queue.empty(); --units) {
        auto const i = queue.top().candidate;
        queue.pop();
        if (++counts[i] < most) queue.push({gain(i, counts[i]), i});
    }
    return units;
}

/// How a step's rollouts are dealt out, and what that is worth.
struct rollout_allocation {
    std::vector<std::size_t> rollouts; ///< of each prompt
    std::size_t unspent = 0;
    double total_value = 0;              ///< sum of the prompts' task values
    double effective_prompt_ratio = 0;   ///< expected share of prompts that have a gradient
    double effective_response_ratio = 0; ///< expected share of rollouts that are in the group of such a prompt
};

/// Deals out a budget of rollouts to prompts by their success rates of the last epoch (slug knapsack-rl: Li et al.,
/// 2025, arXiv 2509.25849), to maximise the sum of metric::task_value:
///     1. every prompt gets `least`;
///     2. the rest goes, one by one, to the prompt with 0 < p < 1 that gains most by it, up to `most` each;
///     3. solved prompts, p = 1, keep `least`;
///     4. what is left goes to unsolved prompts, p = 0, in turn.
/// Step 2 is the optimum, as the value is concave in the number (the paper solves the same by a dynamic program).
/// With `interior_mean` the prompts of step 2 together get no more than that many each on average, so that what solved
/// prompts save is explored with: the paper leaves open where its remainder for step 4 comes from, and this is our
/// reading. Equal rates: the earlier prompt gets the odd rollout.
///     auto const next = solver::rollout_budget{.interior_mean = 8}.allocate(success_rates, 8 * prompts);
///     learner.step(contexts, next.rollouts);
struct rollout_budget {
    std::size_t least = 2;
    std::size_t most = 128;
    std::optional<double> interior_mean = std::nullopt;

    /// Throws for no prompts, rates outside [0, 1], fewer rollouts than `least` each, least < 1, most < least, a
    /// negative mean. O(prompts + total log prompts).
    template <std::floating_point T>
    rollout_allocation allocate(std::span<T const> success_rates, std::size_t total) const {
        check(success_rates, total);
        auto const prompts = success_rates.size();
        auto result = rollout_allocation{.rollouts = std::vector(prompts, least)};
        auto left = total - prompts * least;
        auto interior = std::vector<std::size_t>{}, unsolved = interior;
        for (std::size_t i = 0; i < prompts; ++i) {
            if (success_rates[i] > 0 && success_rates[i] < 1) interior.push_back(i);
            if (success_rates[i] == 0) unsolved.push_back(i);
        }
        auto const reserve = left - std::min(left, for_interior(interior.size()));
        left = reserve +
               allocate_greedily(result.rollouts, interior, most, left - reserve, [&](std::size_t i, std::size_t n) {
                   return metric::marginal_task_value(double(success_rates[i]), double(n));
               });
        result.unspent = in_turn(result.rollouts, unsolved, left);
        assess(result, success_rates);
        return result;
    }
    template <std::floating_point T>
    rollout_allocation allocate(std::vector<T> const& success_rates, std::size_t total) const {
        return allocate(std::span<T const>(success_rates), total);
    }

    void check_hyperparameters() const {
        constexpr auto name = "rollout_budget";
        require_domain(least >= 1, name, "least", "at least 1", least);
        require_domain(most >= least, name, "most", "a number not below least", most);
        if (interior_mean)
            require_domain(*interior_mean >= 0, name, "interior_mean", "a number not below 0", *interior_mean);
    }

private:
    template <class T>
    void check(std::span<T const> success_rates, std::size_t total) const {
        constexpr auto name = "rollout_budget";
        check_hyperparameters();
        require(!success_rates.empty(), name, "success_rates", "at least one prompt", 0);
        for (auto const p : success_rates)
            require_domain(p >= T(0) && p <= T(1), name, "success_rates", "probabilities in [0, 1]", p);
        require_domain(total / success_rates.size() >= least, name, "total", "at least `least` rollouts of each prompt",
                       total);
    }

    /// How many more than `least` each the interior prompts may have together.
    std::size_t for_interior(std::size_t prompts) const {
        if (!interior_mean) return std::numeric_limits<std::size_t>::max();
        auto const share = std::floor(*interior_mean * double(prompts)) - double(least * prompts);
        return static_cast<std::size_t>(std::clamp(share, 0.0, 0x1p62));
    }

    /// One unit each, over and over, up to `most`; returns what is left.
    std::size_t in_turn(std::vector<std::size_t>& counts, std::vector<std::size_t> const& candidates,
                        std::size_t units) const {
        if (candidates.empty()) return units;
        auto const rounds = std::min(units / candidates.size(), most - least);
        for (auto const i : candidates) counts[i] += rounds;
        units -= rounds * candidates.size();
        for (auto const i : candidates)
            if (units > 0 && counts[i] < most) {
                ++counts[i];
                --units;
            }
        return units;
    }

    template <class T>
    static void assess(rollout_allocation& of, std::span<T const> success_rates) {
        auto rollouts = 0.0;
        for (std::size_t i = 0; i < success_rates.size(); ++i) {
            auto const p = double(success_rates[i]), n = double(of.rollouts[i]);
            auto const signal = metric::signal_probability(p, n);
            of.total_value += signal * metric::information_gain(p);
            of.effective_prompt_ratio += signal;
            of.effective_response_ratio += n * signal;
            rollouts += n;
        }
        of.effective_prompt_ratio /= double(success_rates.size());
        of.effective_response_ratio /= rollouts;
    }
};

} // namespace poise::solver
