#pragma once

#include "poise/execution/sequential.hpp"
#include "poise/weighting/beta_normalization.hpp"

#include <array>
#include <limits>
#include <vector>

/// BNPO's three kernels on a batch of prompts, composed by hand: the fit needs all of them.
namespace bnpo_test {

using namespace poise;

template <class T>
struct batch_advantages {
    std::vector<std::vector<T>> advantages{}; ///< prompt after prompt
    std::vector<T> p{}, weights{};
    T a{}, b{}, alpha{}, beta{};
};

/// By rows of one length, shorter ones padded with NaN behind a mask.
template <class T, class Execution = execution::sequential>
batch_advantages<T> bnpo(std::vector<std::vector<T>> const& rewards, estimator::success_rate const& rate = {},
                         weighting::beta_normalization const& normalization = {}) {
    auto const prompts = rewards.size();
    auto n = std::size_t{0};
    auto padded = false;
    for (auto const& group : rewards) {
        padded = padded || (n != 0 && group.size() != n);
        n = std::max(n, group.size());
    }
    auto reward = std::vector<T>(prompts * n, std::numeric_limits<T>::quiet_NaN()), mask = std::vector<T>(prompts * n);
    for (std::size_t i = 0; i < prompts; ++i)
        for (std::size_t k = 0; k < rewards[i].size(); ++k) {
            reward[i * n + k] = rewards[i][k];
            mask[i * n + k] = 1;
        }
    auto const in = [&](std::vector<T> const& values) { return rows_of(values.data(), prompts, n); };
    auto advantage = std::vector<T>(prompts * n);
    auto const out = rows_of(advantage.data(), prompts, n);
    auto result = batch_advantages<T>{.p = std::vector<T>(prompts), .weights = std::vector<T>(prompts)};
    if (padded)
        for_each_row(Execution{}, rate, in(reward), out, result.p, in(mask));
    else
        for_each_row(Execution{}, rate, in(reward), out, result.p);

    auto a = std::array<T, 1>{}, b = a, alpha = a, beta = a;
    for_each_row(Execution{}, estimator::beta_fit{}, rows_of(std::as_const(result.p).data(), 1, prompts), a, b, alpha,
                 beta);
    for_each_row(Execution{}, normalization, out, std::as_const(result.p), shared_row(alpha), shared_row(beta), out,
                 result.weights);

    result.a = a[0], result.b = b[0], result.alpha = alpha[0], result.beta = beta[0];
    for (std::size_t i = 0; i < prompts; ++i)
        result.advantages.emplace_back(advantage.begin() + static_cast<std::ptrdiff_t>(i * n),
                                       advantage.begin() + static_cast<std::ptrdiff_t>(i * n + rewards[i].size()));
    return result;
}

/// Several rewards: the mean of the advantages of each, with a Beta density of its own.
template <class T, class Execution = execution::sequential>
std::vector<std::vector<T>> decomposed_bnpo(std::vector<std::vector<std::vector<T>>> const& components,
                                            std::vector<estimator::success_rate> const& rates,
                                            weighting::beta_normalization const& normalization = {}) {
    auto total = std::vector<std::vector<T>>{};
    for (std::size_t k = 0; k < components.size(); ++k) {
        auto const one = bnpo<T, Execution>(components[k], rates[k], normalization).advantages;
        if (k == 0)
            for (auto const& group : one) total.emplace_back(group.size());
        for (std::size_t q = 0; q < one.size(); ++q)
            for (std::size_t i = 0; i < one[q].size(); ++i) total[q][i] += one[q][i] / T(components.size());
    }
    return total;
}

} // namespace bnpo_test
