#pragma once

#include "poise/objective/plackett_luce.hpp"
#include "poise/random/continuous.hpp"

/// The Plackett-Luce distribution over rankings as a policy whose action is a permutation (slug pld): log-probabilities
/// and draws.
namespace poise::policy {

/// Kernel: log P(permutation | scores) = sum_k (x_k - L_k), x the scores in ranking order, L_k = log sum_{l>=k}
/// e^{x_l}. The probabilities of all C! permutations sum to 1.
struct plackett_luce_log_probability {
    static constexpr std::size_t scratch_rows = 2;
    static constexpr std::array<char const*, 3> argument_names = {"scores", "permutation", "log_probability"};

    constexpr void operator()(row_of_reals auto scores, row_of_reals auto permutation,
                              writable_row auto log_probability, auto const& scratch) const {
        auto const ranked = scratch[0], suffix = scratch[1];
        gather(ranked, scores, permutation);
        objective::suffix_log_sum_exp(suffix, ranked);
        log_probability[0] = sum([](auto x, auto L) { return x - L; }, ranked, suffix);
    }

    constexpr void check(auto const& scores, auto const& permutation, auto const& log_probability) const {
        for (std::size_t i = 0; i < scores.rows(); ++i) {
            require(permutation.length(i) == scores.length(i), "plackett_luce_log_probability", "permutation",
                    scores.length(i), permutation.length(i));
            require(log_probability.length(i) == 1, "plackett_luce_log_probability", "log_probability", 1,
                    log_probability.length(i));
        }
        objective::detail::check_permutation("plackett_luce_log_probability", permutation);
    }
};

/// Kernel: (scores, gumbel) -> permutation by descending scores + gumbel, ties by index. With independent standard
/// Gumbel noise the permutation is a draw of the Plackett-Luce distribution (Yellott 1977).
struct gumbel_ranking {
    static constexpr std::size_t scratch_rows = argsort_scratch + 1;
    static constexpr std::array<char const*, 3> argument_names = {"scores", "gumbel", "permutation"};

    constexpr void operator()(row_of_reals auto scores, row_of_reals auto gumbel, writable_row auto permutation,
                              auto const& scratch) const {
        auto const perturbed = scratch[argsort_scratch];
        map(perturbed, [](auto s, auto g) { return s + g; }, scores, gumbel);
        argsort(permutation, perturbed, descending{}, scratch);
    }

    constexpr void check(auto const& scores, auto const& gumbel, auto const& permutation) const {
        for (std::size_t i = 0; i < scores.rows(); ++i) {
            require(gumbel.length(i) == scores.length(i), "gumbel_ranking", "gumbel", scores.length(i),
                    gumbel.length(i));
            require(permutation.length(i) == scores.length(i), "gumbel_ranking", "permutation", scores.length(i),
                    permutation.length(i));
        }
    }
};

/// Draws one permutation for each row of scores, or many for scores that are a shared row: permutation i takes the
/// Gumbel noise of replica i at (seed, step), so the draws are the same in every execution.
template <class Execution, class Scores, class Permutations>
constexpr void draw_plackett_luce(Execution const& execution, std::uint64_t seed, std::uint32_t step, Scores&& scores,
                                  Permutations&& permutations) {
    auto const inputs = as_batch(scores);
    auto const outputs = as_batch(permutations);
    using T = typename decltype(inputs)::value_type;
    auto const noise = [=](std::size_t i, std::size_t k) {
        return random::gumbel<T>({.seed = seed,
                                  .replica = static_cast<std::uint32_t>(i),
                                  .step = step,
                                  .index = static_cast<std::uint32_t>(k)});
    };
    auto const length = inputs.rows() > 0 ? inputs.length(0) : 0;
    for_each_row(execution, gumbel_ranking{}, inputs, generated_rows(outputs.rows(), length, noise), outputs);
}

} // namespace poise::policy
