#include "poise/estimator/baselines.hpp"
#include "poise/estimator/trusted_reward.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/pairwise_consistency.hpp"
#include "poise/objective/score_surrogate.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/offline_flow.hpp"
#include "poise/weighting/balanced_drop.hpp"
#include "poise/weighting/beta_normalization.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

/// The golden cases are short: kernels on group-relative rewards at lengths about a pack, a tile and a leaf of pairwise
/// sums, in lanes and along the row, against one element after another.
namespace {

using namespace poise;

constexpr auto rows = std::size_t{9};

struct table {
    std::size_t length;
    std::vector<double> values = std::vector<double>(rows * length);
    auto in() const { return rows_of(values.data(), rows, length); }
    auto out() { return rows_of(values.data(), rows, length); }
};
table uniforms(std::size_t length, std::uint32_t what) {
    auto made = table{length};
    for (std::size_t k = 0; k < made.values.size(); ++k)
        made.values[k] = random::uniform<double>({.seed = 80, .step = what, .index = static_cast<std::uint32_t>(k)});
    return made;
}

bool close(std::vector<double> const& a, std::vector<double> const& b) {
    auto same = a.size() == b.size();
    for (std::size_t k = 0; same && k < a.size(); ++k) same = std::abs(a[k] - b[k]) <= 1e-12 * (1 + std::abs(b[k]));
    return same;
}

/// `run(execution)` gives the numbers that must not depend on it.
template <class Run>
void check_same(char const* name, std::size_t length, Run const& run) {
    CAPTURE(name);
    CAPTURE(length);
    auto const expected = run(execution::sequential{});
    for (auto const x : expected) CHECK(std::isfinite(x));
    CHECK(close(run(execution::in_lanes{}), expected));
    CHECK(close(run(execution::along{}), expected));
}

std::vector<double> joined(std::vector<double> first, auto const&... more) {
    (first.insert(first.end(), more.begin(), more.end()), ...);
    return first;
}

} // namespace

TEST_CASE("group-relative kernels at every length") {
    for (auto const length : {2, 7, 8, 9, 63, 64, 65, 130, 1000}) {
        auto const n = static_cast<std::size_t>(length);
        auto const reward = uniforms(n, 0), key = uniforms(n, 1), log_p = uniforms(n, 2), old = uniforms(n, 3);
        auto mask = uniforms(n, 4);
        for (std::size_t k = 0; k < mask.values.size(); ++k) mask.values[k] = k % n == 0 || mask.values[k] < 0.6;
        auto const number = std::vector<double>(rows);

        check_same("balanced_drop", n, [&](auto how) {
            auto kept = reward;
            for_each_row(how, weighting::balanced_drop{}, reward.in(), key.in(), kept.out());
            return kept.values;
        });
        check_same("baselines", n, [&](auto how) {
            auto a = reward, b = reward, c = reward, d = reward;
            for_each_row(how, estimator::shifted_mean{}, reward.in(), a.out());
            for_each_row(how, estimator::shifted_mean{}, reward.in(), b.out(), mask.in());
            for_each_row(how, estimator::log_mean_exp_baseline{0.3}, reward.in(), c.out());
            for_each_row(how, estimator::log_mean_exp_baseline{0.3}, reward.in(), d.out(), mask.in());
            return joined(a.values, b.values, c.values, d.values);
        });
        check_same("pairwise_consistency", n, [&](auto how) {
            auto loss = reward, gradient = reward, a = reward;
            for_each_row(how, objective::pairwise_consistency{0.3}, reward.in(), log_p.in(), old.in(), loss.out(),
                         gradient.out(), a.out(), mask.in());
            return joined(loss.values, gradient.values, a.values);
        });
        check_same("outside_fraction", n, [&](auto how) {
            auto fraction = number;
            for_each_row(how, metric::outside_fraction<>{}, log_p.in(), old.in(), reward.in(), fraction, mask.in());
            return fraction;
        });
        check_same("beta normalization", n, [&](auto how) {
            auto advantage = reward;
            auto p = number, weights = number, a = number, b = number, alpha = number, beta = number;
            for_each_row(how, estimator::success_rate{}, reward.in(), advantage.out(), p, mask.in());
            for_each_row(how, estimator::beta_fit{}, key.in(), a, b, alpha, beta);
            for_each_row(how, weighting::beta_normalization{}, advantage.in(), std::as_const(p), std::as_const(alpha),
                         std::as_const(beta), advantage.out(), weights);
            return joined(advantage.values, p, weights, a, b, alpha, beta);
        });
        check_same("trust", n, [&](auto how) {
            auto mixed = reward;
            auto correct = number, wrong = number, gamma = number, factor = number;
            for_each_row(how, weighting::trust{}, reward.in(), key.in(), correct, wrong, gamma, mask.in());
            for_each_row(how, estimator::trusted_reward{.saturated_low = 0.1, .saturated_high = 0.9}, reward.in(),
                         key.in(), std::as_const(gamma), mixed.out(), factor, mask.in());
            return joined(mixed.values, correct, wrong, gamma, factor);
        });
        if (n <= 65)
            check_same("offline_flow", n, [&](auto how) {
                auto mu = key, rates = reward, limit = reward;
                for (std::size_t i = 0; i < rows; ++i) {
                    auto const one = row<double>(mu.values.data() + i * n, n);
                    auto const total = sum(one);
                    map(one, [=](auto m) { return m / total; }, one);
                }
                auto arm = number, best = number;
                for_each_row(how, solver::offline_flow{0.3}, mu.in(), reward.in(), rates.out(), arm, best, limit.out());
                return joined(rates.values, arm, best, limit.values);
            });
    }
}
