#include "unit/everywhere.hpp"

#include "poise/execution/evaluate.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/solver/coefficient_schedule.hpp"
#include "poise/weighting/max_variance_subset.hpp"
#include "poise/weighting/top_tokens.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace {

using namespace poise;
using numbers = std::vector<double>;

numbers draw(std::size_t n, std::uint64_t seed) { return everywhere::random_table(1, n, seed).values; }

struct subset {
    numbers chosen;
    double from_top, variance;
};
constexpr subset best_subset(numbers const& values, std::size_t count) {
    auto result = subset{numbers(values.size()), 0, 0};
    auto top = numbers(1), variance = numbers(1);
    for_each_row(execution::sequential{}, weighting::max_variance_subset{count}, one_row(values),
                 one_row(result.chosen), top, variance);
    return {result.chosen, top[0], variance[0]};
}
/// Of the values whose bits are set; `freedom_lost` 1 for the unbiased variance.
double variance_of(numbers const& values, std::vector<bool> const& chosen, double freedom_lost = 0) {
    auto n = 0.0, total = 0.0, squares = 0.0;
    for (std::size_t k = 0; k < values.size(); ++k)
        if (chosen[k]) n += 1, total += values[k];
    for (std::size_t k = 0; k < values.size(); ++k)
        if (chosen[k]) squares += std::pow(values[k] - total / n, 2);
    return squares / (n - freedom_lost);
}
std::vector<bool> as_bits(numbers const& chosen) {
    auto bits = std::vector<bool>(chosen.size());
    for (std::size_t k = 0; k < bits.size(); ++k) bits[k] = chosen[k] == 1;
    return bits;
}

} // namespace

TEST_CASE("no other subset has more variance: all of them, up to 10 values") {
    for (std::size_t m = 1; m <= 10; ++m)
        for (std::uint64_t seed = 0; seed < 4; ++seed) {
            auto values = draw(m, 10 * m + seed);
            if (seed == 3) // ties, such as the advantages of right and wrong answers
                for (auto& x : values) x = x > 0 ? 1.5 : -0.5;
            for (std::size_t n = 1; n <= m; ++n) {
                auto const found = best_subset(values, n);
                auto most = 0.0;
                for (std::size_t bits = 0; bits < (std::size_t{1} << m); ++bits) {
                    auto chosen = std::vector<bool>(m);
                    for (std::size_t k = 0; k < m; ++k) chosen[k] = bits >> k & 1;
                    if (std::size_t(std::ranges::count(chosen, true)) == n)
                        most = std::max(most, variance_of(values, chosen));
                }
                CHECK(found.variance == doctest::Approx(most).epsilon(1e-12));
                CHECK(variance_of(values, as_bits(found.chosen)) == doctest::Approx(most).epsilon(1e-12));
                CHECK(std::ranges::count(found.chosen, 1.0) == std::ptrdiff_t(n));
                CHECK(std::ranges::count(found.chosen, 0.0) == std::ptrdiff_t(m - n));
            }
        }
}

TEST_CASE("the subset is the smallest and the largest values, and that of c v + d for c > 0") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        auto const m = 5 + 3 * seed, n = 1 + seed * m / 25;
        auto const values = draw(m, seed);
        auto const found = best_subset(values, n);
        auto order = std::vector<std::size_t>(m);
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::sort(order, {}, [&](std::size_t k) { return std::pair{values[k], k}; });
        auto const top = std::size_t(found.from_top);
        for (std::size_t r = 0; r < m; ++r) CHECK(found.chosen[order[r]] == (r < n - top || r >= m - top));

        auto moved = values;
        for (auto& x : moved) x = 3.5 * x - 20;
        auto const again = best_subset(moved, n);
        CHECK(again.chosen == found.chosen);
        CHECK(again.variance == doctest::Approx(3.5 * 3.5 * found.variance).epsilon(1e-11));
    }
}

TEST_CASE("its unbiased variance is at least that of all values, which the population's need not be") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        auto const m = 4 + seed;
        auto const values = draw(m, 100 + seed);
        for (std::size_t n = 2; n <= m; ++n)
            CHECK(variance_of(values, as_bits(best_subset(values, n).chosen), 1) >=
                  variance_of(values, std::vector<bool>(m, true), 1) * (1 - 1e-12));
    }
    auto const found = best_subset({-1, -1, 1, 1}, 3);
    CHECK(found.variance == doctest::Approx(8.0 / 9));
}

namespace {

struct result {
    numbers loss = numbers(1), gradient, mask;
};
/// One row of rollouts x tokens through a pipeline that may select.
result run(auto const& pipeline, numbers const& advantages, numbers const& log_p, numbers const& old,
           numbers const& entropy, numbers const& mask) {
    auto const rollouts = advantages.size();
    auto found = result{.gradient = log_p, .mask = mask};
    auto const tokens = [&](auto& all) { return sequences_of(one_row(all), rollouts); };
    auto const given =
        inputs(field::advantage = one_row(advantages), field::log_probability = tokens(log_p),
               field::old_log_probability = tokens(old), field::entropy = tokens(entropy), field::mask = tokens(mask));
    evaluate(execution::along{}, pipeline, given,
             outputs(field::objective = found.loss, field::gradient<field::log_probability> = tokens(found.gradient)));
    return found;
}
auto const clip = objective::clipped_surrogate{.low = 0.1, .high = 0.3};

} // namespace

TEST_CASE("all samples and all tokens are PPO; what is not selected has no gradient") {
    constexpr auto rollouts = std::size_t{8}, length = std::size_t{5};
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        auto const advantages = draw(rollouts, seed);
        auto log_p = draw(rollouts * length, 10 + seed), old = log_p, entropy = draw(rollouts * length, 20 + seed);
        auto const moved = draw(rollouts * length, 30 + seed);
        for (std::size_t k = 0; k < old.size(); ++k) old[k] += 0.2 * moved[k], entropy[k] = std::abs(entropy[k]);
        auto mask = numbers(rollouts * length, 1);
        mask[3] = mask[17] = 0;
        auto const plain = run(clip | aggregation::mean{}, advantages, log_p, old, entropy, mask);
        auto const whole = run(weighting::max_variance_subset{rollouts} | weighting::top_tokens{1} | clip, advantages,
                               log_p, old, entropy, mask);
        CHECK(whole.loss == plain.loss);
        CHECK(whole.gradient == plain.gradient);

        auto const part = run(weighting::max_variance_subset{3} | weighting::top_tokens{0.3} | clip, advantages, log_p,
                              old, entropy, mask);
        auto const samples = best_subset(advantages, 3).chosen;
        // ceil(0.3 M) of the M tokens of the three
        auto count = std::size_t{0}, selected = std::size_t{0};
        auto keys = std::vector<std::pair<double, std::size_t>>{};
        for (std::size_t k = 0; k < mask.size(); ++k)
            if (samples[k / length] == 1 && mask[k] == 1) {
                ++count;
                keys.push_back({-std::abs(advantages[k / length]) * entropy[k], k});
            }
        std::ranges::sort(keys);
        keys.resize(std::size_t(std::ceil(0.3 * double(count))));
        for (std::size_t k = 0; k < mask.size(); ++k) {
            auto const here = std::ranges::count(keys, k, &std::pair<double, std::size_t>::second) == 1;
            if (!here) CHECK(part.gradient[k] == 0);
            selected += here && part.gradient[k] != 0;
        }
        CHECK(selected > 0);
    }
}

TEST_CASE("over the batch the selections are those of one row that holds all groups") {
    constexpr auto groups = std::size_t{4}, rollouts = std::size_t{3}, length = std::size_t{5},
                   tokens = groups * rollouts * length;
    auto const advantages = draw(groups * rollouts, 1), log_p = draw(tokens, 2), moved = draw(tokens, 3);
    auto entropy = draw(tokens, 4), old = log_p, mask = numbers(tokens, 1), gradient = log_p, losses = numbers(groups);
    for (std::size_t k = 0; k < tokens; ++k) old[k] += 0.2 * moved[k], entropy[k] = std::abs(entropy[k]);
    mask[4] = mask[33] = 0;
    auto const subset = weighting::max_variance_subset{5};
    auto const top = weighting::top_tokens{0.4};
    auto const expected = run(subset | top | clip | aggregation::mean{}, advantages, log_p, old, entropy, mask);

    auto const of_tokens = [&](auto& all) {
        return sequences_of(rows_of(all.data(), groups, rollouts * length), rollouts);
    };
    evaluate(execution::along{}, over_batch(subset) | over_batch(top) | clip | aggregation::mean_over_batch{},
             inputs(field::advantage = rows_of(advantages.data(), groups, rollouts),
                    field::log_probability = of_tokens(log_p),
                    field::old_log_probability = of_tokens(std::as_const(old)),
                    field::entropy = of_tokens(std::as_const(entropy)), field::mask = of_tokens(std::as_const(mask))),
             outputs(field::objective = losses, field::gradient<field::log_probability> = of_tokens(gradient)));
    CHECK(mean(row(losses)) == doctest::Approx(expected.loss[0]).epsilon(1e-14));
    for (std::size_t k = 0; k < tokens; ++k) CHECK(gradient[k] == doctest::Approx(expected.gradient[k]).epsilon(1e-14));
}

TEST_CASE("the gradient's norm is at most that of the scores times the root mean square of the selected advantages") {
    constexpr auto rollouts = std::size_t{12}, dimensions = std::size_t{7};
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        auto const advantages = draw(rollouts, seed), scores = draw(rollouts * dimensions, 50 + seed);
        auto const ones = numbers(rollouts, 1);
        auto const found = run(weighting::max_variance_subset{4} | weighting::top_tokens{1} |
                                   objective::policy_gradient{} | aggregation::mean{},
                               advantages, ones, ones, ones, ones);
        auto const chosen = best_subset(advantages, 4).chosen;
        auto gradient = numbers(dimensions);
        auto longest = 0.0, square = 0.0, squares = 0.0;
        for (std::size_t i = 0; i < rollouts; ++i) {
            auto length = 0.0;
            for (std::size_t d = 0; d < dimensions; ++d) {
                auto const s = scores[i * dimensions + d];
                gradient[d] += found.gradient[i] * s;
                length += s * s;
            }
            longest = std::max(longest, std::sqrt(length));
            squares += chosen[i] * advantages[i] * advantages[i] / 4;
        }
        for (auto const g : gradient) square += g * g;
        CHECK(square > 0);
        CHECK(std::sqrt(square) <= longest * std::sqrt(squares));
    }
}

TEST_CASE("the schedule begins and ends where it says, and never turns") {
    for (auto const& [first, last] : {std::pair{64.0, 256.0}, std::pair{1.0, 0.2}}) {
        auto const schedule = solver::linear_between{first, last, 30};
        CHECK(schedule(0) == first);
        for (auto const step : everywhere::sizes(30, 31, 1000)) CHECK(schedule(step) == last);
        for (std::size_t step = 0; step < 40; ++step) {
            auto const change = (schedule(step + 1) - schedule(step)) * (last - first);
            CHECK((step < 30 ? change > 0 : change == 0));
        }
    }
    CHECK(solver::linear_between{1, 5, 0}(0) == 5);
    CHECK(solver::nearest_count(2.5) == 3);
    CHECK(solver::nearest_count(2.49) == 2);
}

TEST_CASE("edges: one value, all, equal ones; no advantage") {
    auto const one = best_subset({3, -2, 5, -2}, 1);
    CHECK(one.chosen == numbers{0, 1, 0, 0});
    CHECK(one.from_top == 0);
    CHECK(one.variance == 0);
    auto const equal = best_subset(numbers(5, 0.1), 3);
    CHECK(equal.chosen == numbers{1, 1, 1, 0, 0});
    CHECK(equal.variance == 0);
    CHECK(best_subset({3, -2, 5}, 3).chosen == numbers{1, 1, 1});

    auto const zeros = numbers(2), entropy = numbers{0.5, 1, 2, 0.5, 1, 2}, ones = numbers(6, 1);
    auto chosen = ones;
    for_each_row(execution::sequential{}, weighting::top_tokens{0.5}, one_row(numbers(6)), one_row(entropy),
                 one_row(chosen));
    CHECK(chosen == numbers{1, 1, 1, 0, 0, 0});
    auto const found = run(weighting::top_tokens{0.5} | clip, zeros, ones, ones, entropy, ones);
    CHECK(found.loss[0] == 0);
    for (auto const g : found.gradient) CHECK(g == 0);
}

TEST_CASE("a fraction is rounded up, its own rounding forgiven; at least one token") {
    auto const count = [](double fraction, std::size_t tokens) {
        auto const keys = draw(tokens, tokens), ones = numbers(tokens, 1);
        auto chosen = keys;
        for_each_row(execution::along{}, weighting::top_tokens{fraction}, one_row(ones), one_row(keys),
                     one_row(chosen));
        return sum(row(chosen));
    };
    CHECK(count(0.1, 30) == 3); // 0.1 * 30 is a little more than 3
    CHECK(count(0.1, 31) == 4);
    CHECK(count(0.001, 30) == 1);
    CHECK(count(1, 30) == 30);
}

TEST_CASE("tokens behind the mask do not count, whatever they hold; others that are NaN make NaN") {
    auto const nan = std::nan("");
    auto const advantages = numbers{2, nan, 1, 1}, entropy = numbers{nan, 1, 0.5, 2}, ones = numbers(4, 1);
    auto mask = numbers{0, 0, 1, 1}, chosen = ones;
    auto const select = weighting::top_tokens{0.5};
    for_each_row(execution::sequential{}, select, one_row(advantages), one_row(entropy), one_row(chosen),
                 one_row(mask));
    CHECK(chosen == numbers{0, 0, 0, 1});
    auto loss = numbers(1);
    evaluate(execution::sequential{}, select | objective::policy_gradient{},
             inputs(field::advantage = one_row(advantages), field::entropy = one_row(entropy),
                    field::log_probability = one_row(ones)),
             outputs(field::objective = loss));
    CHECK(std::isnan(loss[0]));

    CHECK_THROWS_AS(
        for_each_row(execution::sequential{}, select, one_row(advantages), one_row(entropy), one_row(chosen)),
        domain_violation);
    mask = numbers(4);
    CHECK_THROWS_WITH_AS(
        for_each_row(execution::sequential{}, select, one_row(ones), one_row(ones), one_row(chosen), one_row(mask)),
        "top_tokens: argument 'mask': expected at least one token that counts, got 0", argument_error);
    CHECK_THROWS_AS(
        for_each_row(execution::sequential{}, weighting::top_tokens{0}, one_row(ones), one_row(ones), one_row(chosen)),
        domain_violation);
    CHECK_THROWS_AS(best_subset(advantages, 2), domain_violation);
    CHECK_THROWS_AS(best_subset(ones, 0), argument_error);
    CHECK_THROWS_WITH_AS(best_subset(ones, 5),
                         "max_variance_subset: argument 'count': expected at most the 4 values, got 5", argument_error);
}

namespace {

constexpr std::array<double, 4> chosen_at_compile_time() {
    auto const values = std::array{0.5, -1.0, 0.25, 2.0};
    auto chosen = std::array<double, 4>{};
    auto top = std::array<double, 1>{}, variance = top;
    for_each_row(execution::sequential{}, weighting::max_variance_subset{2}, one_row(values), one_row(chosen), top,
                 variance);
    return chosen;
}
static_assert(chosen_at_compile_time() == std::array{0.0, 1.0, 0.0, 1.0});
static_assert(solver::linear_between{64, 256, 100}(50) == 160);

} // namespace
