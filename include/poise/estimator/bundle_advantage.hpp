#pragma once

#include "poise/estimator/center.hpp"
#include "poise/estimator/value_at_risk.hpp"

#include <array>
#include <string>
#include <type_traits>
#include <vector>

/// Advantages of bundles of questions (slug riskpo: Ren et al., 2025, arXiv 2510.00911): the scores of B questions, one
/// response of each, are summed, so that questions that are all solved or all failed still make a signal; the risk
/// advantage of the sums is then credited to the responses.
namespace poise::estimator {

/// Which quantiles of the bundles' scores count.
namespace bundle_quantiles {

/// Those of this row's own bundles, linear between order statistics.
struct batch {
    static constexpr auto used(auto own, auto) { return own; }
};
/// Those given, as `quantile_tracker` keeps them.
struct tracked {
    static constexpr auto used(auto, auto given) { return given; }
};
/// The mean of both.
struct mixed {
    static constexpr auto used(auto own, auto given) { return (own + given) / decltype(own)(2); }
};

} // namespace bundle_quantiles

/// How a bundle's advantage A_j is credited to its response to question i, whose score is s_ij.
namespace credit {

namespace detail {

/// The unbiased standard deviation of a row; 1 where it is not above `least`, and for a single element. Centred values
/// are left in `work`.
template <writable_row Work>
constexpr auto sample_deviation(row_of_reals auto x, Work work, double least) {
    using T = value_of<Work>;
    using R = real_of<T>;
    center(work, x);
    if (x.size() < 2) return T(1);
    auto const variance = T(sum([](auto d) { return d * d; }, work)) / T(R(x.size() - 1));
    auto const deviation = math::sqrt(variance);
    return T(math::select(deviation <= T(R(least)), T(1), deviation));
}

} // namespace detail

/// A_j
struct uniform {
    static constexpr void assign(row_of_reals auto bundles, row_of_reals auto scores, double, writable_row auto out,
                                 auto const&) {
        for (std::size_t i = 0; i < scores.size() / bundles.size(); ++i) copy(matrix_row(out, i, bundles), bundles);
    }
};

/// A_j / 2 where s_ij > 0, else 3 A_j / 2: failures bear more.
struct by_outcome {
    static constexpr void assign(row_of_reals auto bundles, row_of_reals auto scores, double, writable_row auto out,
                                 auto const&) {
        for (std::size_t i = 0; i < scores.size() / bundles.size(); ++i)
            map(
                matrix_row(out, i, bundles),
                [](auto a, auto s) {
                    using S = decltype(s);
                    return a * math::select(s > S(0), S(real_of<S>(0.5)), S(real_of<S>(1.5)));
                },
                bundles, matrix_row(scores, i, bundles));
    }
};

/// A_j / (sd_i + epsilon), sd_i the unbiased standard deviation of question i's scores; 1 where that is at most 1e-3.
struct standardized {
    static constexpr void assign(row_of_reals auto bundles, row_of_reals auto scores, double epsilon,
                                 writable_row auto out, auto const& work) {
        using T = value_of<decltype(out)>;
        for (std::size_t i = 0; i < scores.size() / bundles.size(); ++i) {
            auto const deviation = detail::sample_deviation(matrix_row(scores, i, bundles), work[0], 1e-3);
            auto const scale = deviation + T(real_of<T>(epsilon));
            map(matrix_row(out, i, bundles), [=](auto a) { return a / scale; }, bundles);
        }
    }
};

/// A_j d_ij / sum_i d_ij with d_ij = s_ij - mean_j s_ij; A_j / B where |sum_i d_ij| is at most 1e-6.
struct share_of_deviation {
    static constexpr void assign(row_of_reals auto bundles, row_of_reals auto scores, double, writable_row auto out,
                                 auto const& work) {
        using T = value_of<decltype(out)>;
        using R = real_of<T>;
        auto const questions = scores.size() / bundles.size();
        auto const total = work[0];
        fill(total, R(0));
        for (std::size_t i = 0; i < questions; ++i) {
            auto const deviations = matrix_row(out, i, bundles);
            center(deviations, matrix_row(scores, i, bundles));
            map(total, [](auto t, auto d) { return t + d; }, total, deviations);
        }
        for (std::size_t i = 0; i < questions; ++i) {
            auto const shares = matrix_row(out, i, bundles);
            map(
                shares,
                [equal = R(1) / R(questions)](auto d, auto t, auto a) {
                    using D = decltype(d);
                    auto const even = math::abs(t) <= D(R(1e-6));
                    return a * math::select(even, D(equal), d / math::select(even, D(1), t));
                },
                shares, total, bundles);
        }
    }
};

} // namespace credit

/// Kernel. A row of `scores` holds the G responses to question 0, then to question 1, …, B G numbers; row i of the
/// permutation of 0 … G - 1 says which response to question i is in which bundle (the paper draws them independently,
/// the released code takes all as they come: rollouts are exchangeable):
///     R_j = sum_i score[i][perm[i][j]],   A_j = normalized_value_at_risk(R_j),
/// over the bundles' unbiased standard deviation + epsilon if `divide_by_deviation` (a deviation of at most 1e-12
/// counts as 1, where the released code divides by 1e-6). The credit of bundle j for question i stands at
/// advantage[i][perm[i][j]]. `given_quantiles` are two numbers, which `bundle_quantiles::batch` does not look at;
/// `quantiles` are the two used. B follows from the lengths. Throws for what is no permutation, no bundles, NaN.
template <class Quantiles = bundle_quantiles::tracked, class Credit = credit::standardized, class Risk = risk::averse>
struct bundle_advantage {
    double alpha = 0.2;
    double beta = 0.8;
    double mixing_weight = 1.5;
    double epsilon = 1e-6;
    bool divide_by_deviation = true;

    static constexpr std::array argument_names{"scores",        "permutation", "given_quantiles",  "advantages",
                                               "bundle_scores", "quantiles",   "bundle_advantages"};
    static constexpr std::size_t scratch_rows = order_statistic_scratch + 2;

    constexpr void operator()(row_of_reals auto scores, row_of_reals auto permutation,
                              row_of_reals auto given_quantiles, writable_row auto advantages,
                              writable_row auto bundle_scores, writable_row auto quantiles,
                              writable_row auto bundle_advantages, auto const& scratch) const {
        auto const n = scores.size(), bundles = bundle_scores.size();
        auto const permuted = segment(scratch[order_statistic_scratch], 0, n),
                   credits = segment(scratch[order_statistic_scratch + 1], 0, n);
        fill(bundle_scores, real_of<value_of<decltype(bundle_scores)>>(0));
        for (std::size_t i = 0; i < n / bundles; ++i) {
            auto const in_order = matrix_row(permuted, i, bundle_scores);
            gather(in_order, matrix_row(scores, i, bundle_scores), matrix_row(permutation, i, bundle_scores));
            map(bundle_scores, [](auto total, auto s) { return total + s; }, bundle_scores, in_order);
        }
        assess(bundle_scores, permuted, given_quantiles, credits, quantiles, bundle_advantages, scratch);
        for (std::size_t i = 0; i < n / bundles; ++i)
            scatter(matrix_row(advantages, i, bundle_scores), matrix_row(credits, i, bundle_scores),
                    matrix_row(permutation, i, bundle_scores));
    }

    constexpr void check_hyperparameters() const {
        normalized_value_at_risk<Risk>{alpha, beta, mixing_weight, epsilon}.check_hyperparameters();
    }
    constexpr void check(auto const& scores, auto const& permutation, auto const& given_quantiles,
                         auto const& advantages, auto const& bundle_scores, auto const& quantiles,
                         auto const& bundle_advantages) const {
        constexpr auto name = "bundle_advantage";
        check_hyperparameters();
        poise::detail::check_not_empty(name, "bundle_scores", bundle_scores);
        poise::detail::check_not_empty(name, "scores", scores);
        poise::detail::check_not_nan(name, "scores", scores);
        auto const bundles = poise::detail::length_of(bundle_scores), n = poise::detail::length_of(scores);
        require(n % bundles == 0, name, "scores",
                "as many responses to each question as bundle_scores (" + std::to_string(bundles) + ")", n);
        poise::detail::check_length(name, "permutation", permutation, n);
        poise::detail::check_length(name, "given_quantiles", given_quantiles, 2);
        poise::detail::check_length(name, "advantages", advantages, n);
        poise::detail::check_length(name, "quantiles", quantiles, 2);
        poise::detail::check_length(name, "bundle_advantages", bundle_advantages, bundles);
        check_permutations(permutation, bundles);
    }

    /// The advantages of bundles from their scores, and the credit to the responses, which stand in the bundles' order.
    constexpr void assess(row_of_reals auto bundle_scores, row_of_reals auto permuted,
                          row_of_reals auto given_quantiles, writable_row auto credits, writable_row auto quantiles,
                          writable_row auto bundle_advantages, auto const& scratch) const {
        using T = value_of<decltype(bundle_advantages)>;
        using R = real_of<T>;
        auto const work = scratch_of_length<order_statistic_scratch>(scratch, bundle_scores.size());
        auto const levels = std::array{R(alpha), R(beta)};
        empirical_quantiles{}(bundle_scores, row<R const, 2>(levels.data()), quantiles, work);
        for (std::size_t k = 0; k < 2; ++k) quantiles[k] = T(Quantiles::used(T(quantiles[k]), T(given_quantiles[k])));
        normalized_value_at_risk<Risk>{alpha, beta, mixing_weight, epsilon}(
            bundle_scores, segment<1>(quantiles, 0), segment<1>(quantiles, 1), bundle_advantages);
        if (divide_by_deviation) {
            auto const scale = credit::detail::sample_deviation(bundle_scores, work[0], 1e-12) + T(R(epsilon));
            map(bundle_advantages, [=](auto a) { return a / scale; }, bundle_advantages);
        }
        Credit::assign(bundle_advantages, permuted, epsilon, credits, work);
    }

private:
    template <class Batch>
    static constexpr void check_permutations(Batch const& permutation, std::size_t bundles) {
        if constexpr (std::same_as<mask_of<typename Batch::value_type>, bool>) {
            auto seen = std::vector<bool>(bundles);
            for (std::size_t i = 0; i < permutation.rows(); ++i)
                for (std::size_t k = 0; k < permutation.length(i); ++k) {
                    if (k % bundles == 0) seen.assign(bundles, false);
                    auto const at = static_cast<double>(permutation(i, k));
                    auto const inside = at >= 0 && at < static_cast<double>(bundles) &&
                                        at == static_cast<double>(static_cast<std::size_t>(at));
                    require_domain(inside && !seen[static_cast<std::size_t>(at)], "bundle_advantage", "permutation",
                                   "each of 0 … " + std::to_string(bundles - 1) + " once for every question", at);
                    seen[static_cast<std::size_t>(at)] = true;
                }
        }
    }
};

/// Stage: the advantages of a row of B questions with G responses each, B G rewards, question after question; bundle j
/// is response j of every question. `bundle_quantiles::batch` needs no quantiles.
template <class Quantiles = bundle_quantiles::tracked, class Credit = credit::standardized, class Risk = risk::averse>
struct bundled {
    std::size_t questions = 5;
    bundle_advantage<Quantiles, Credit, Risk> advantage_of{};

    static constexpr bool own_quantiles = std::is_same_v<Quantiles, bundle_quantiles::batch>;
    using reads = std::conditional_t<own_quantiles, fields<field::reward>,
                                     fields<field::reward, field::lower_quantile, field::upper_quantile>>;
    using writes = fields<field::advantage>;
    static constexpr std::size_t scratch_rows = order_statistic_scratch + 3;

    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage, auto const& scratch) const
        requires own_quantiles
    {
        using T = value_of<decltype(advantage)>;
        run(reward, std::array{T(0), T(0)}, advantage, scratch);
    }
    constexpr void operator()(row_of_reals auto reward, row_of_reals auto lower_quantile,
                              row_of_reals auto upper_quantile, writable_row auto advantage, auto const& scratch) const
        requires(!own_quantiles)
    {
        using T = value_of<decltype(advantage)>;
        run(reward, std::array{T(lower_quantile[0]), T(upper_quantile[0])}, advantage, scratch);
    }
    constexpr void check_hyperparameters() const {
        require(questions > 0, "bundled", "questions", "at least 1", questions);
        advantage_of.check_hyperparameters();
    }
    constexpr void check_length(std::size_t elements) const {
        require(elements > 0 && elements % questions == 0, "bundled", "reward",
                "a multiple of the number of questions (" + std::to_string(questions) + ")", elements);
    }

private:
    template <class T>
    constexpr void run(row_of_reals auto reward, std::array<T, 2> given, writable_row auto advantage,
                       auto const& scratch) const {
        auto const n = reward.size(), bundles = n / questions;
        auto const rewards = segment(scratch[order_statistic_scratch], 0, n);
        auto const scores = segment(scratch[order_statistic_scratch + 1], 0, bundles),
                   advantages = segment(scratch[order_statistic_scratch + 2], 0, bundles);
        copy(rewards, reward);
        fill(scores, real_of<T>(0));
        for (std::size_t i = 0; i < questions; ++i)
            map(scores, [](auto total, auto s) { return total + s; }, scores, matrix_row(rewards, i, scores));
        auto used = std::array<T, 2>{given};
        advantage_of.assess(scores, rewards, row<T const, 2>(given.data()), advantage, row<T, 2>(used.data()),
                            advantages, scratch);
    }
};

} // namespace poise::estimator
