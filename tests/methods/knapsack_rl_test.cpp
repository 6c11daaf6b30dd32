#include "golden.hpp"

#include "poise/core/dual.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/execution/simd.hpp"
#include "poise/metric/task_value.hpp"
#include "poise/solver/rollout_budget.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <numeric>

using namespace poise;
using golden::json;

namespace {

golden::method const knapsack_rl{"knapsack-rl"};
using reals = std::vector<double>;

/// The scalar functions as a row kernel, for every execution.
struct task_values {
    constexpr void operator()(row_of_reals auto rates, row_of_reals auto rollouts, writable_row auto signal,
                              writable_row auto gain, writable_row auto value, writable_row auto marginal,
                              writable_row auto expected) const {
        map(signal, [](auto p, auto n) { return metric::signal_probability(p, n); }, rates, rollouts);
        map(gain, [](auto p) { return metric::information_gain(p); }, rates);
        map(value, [](auto p, auto n) { return metric::task_value(p, n); }, rates, rollouts);
        map(marginal, [](auto p, auto n) { return metric::marginal_task_value(p, n); }, rates, rollouts);
        map(expected, [](auto p) { return metric::expected_rollouts_until_signal(p); }, rates);
    }
};

template <class T, class Execution>
json task_value(json const& in, json const&) {
    constexpr auto rows = std::size_t{9}, length = std::size_t{19}; // lanes, packs and what is left are filled
    auto const p = std::vector<T>(rows * length, in["p"].get<T>()), n = std::vector<T>(rows * length, in["n"].get<T>());
    auto results = std::array<std::vector<T>, 5>{};
    results.fill(p);
    auto const view = [&](auto& values) { return rows_of(values.data(), rows, length); };
    for_each_row(Execution{}, task_values{}, view(p), view(n), view(results[0]), view(results[1]), view(results[2]),
                 view(results[3]), view(results[4]));
    return {{"p_nonzero", results[0].back()},
            {"info_gain", results[1].back()},
            {"value", results[2].back()},
            {"marginal", results[3].back()},
            {"expected_first", results[4].back()}};
}

json required_rollouts(json const& in, json const& params) {
    auto const found = metric::rollouts_for_signal(in["p"].get<double>(), params["confidence"].get<double>());
    return {{"n", found.count}, {"lower", found.lower}, {"upper", found.upper}};
}

template <class T>
json allocate_budget(json const& in, json const& params) {
    auto budget = solver::rollout_budget{.least = params["n_low"], .most = params["n_up"]};
    if (!golden::left_out(params, "interior_mean") && params["interior_mean"] != -1)
        budget.interior_mean = params["interior_mean"];
    auto const found = budget.allocate(golden::flat<T>(in["p"]), params["total"].get<std::size_t>());
    return {{"budget", found.rollouts},
            {"unspent", found.unspent},
            {"total_value", found.total_value},
            {"effective_prompt_ratio", found.effective_prompt_ratio},
            {"effective_response_ratio", found.effective_response_ratio}};
}

/// In float p itself is off by 6e-8 relatively, which n = 93 rollouts multiply; and so are twenty operations.
template <class Execution>
void check_golden(std::string const& label) {
    auto const functions = [](auto real) -> golden::functions {
        using T = decltype(real);
        return {{"task_value", task_value<T, Execution>},
                {"required_rollouts", required_rollouts},
                {"allocate_budget", allocate_budget<T>}};
    };
    golden::check(knapsack_rl, "double, " + label, functions(0.0));
    golden::check(knapsack_rl, "float, " + label, functions(0.0F), 1e-5);
}

double draw_real(double low, double high) { return low + (high - low) * *rc::gen::inRange(0, 1'000'001) / 1e6; }
std::size_t draw_size(std::size_t least, std::size_t most) { return *rc::gen::inRange(least, most + 1); }
/// Success rates as they are seen: some 0 or 1, some equal.
reals draw_rates(std::size_t n) {
    auto p = reals(n);
    for (auto& x : p) x = double(draw_size(0, 8)) / 8;
    for (auto& x : p)
        if (draw_size(0, 2) == 0) x = draw_real(0, 1);
    return p;
}
double total_value(reals const& p, std::vector<std::size_t> const& n) {
    auto total = 0.0;
    for (std::size_t i = 0; i < p.size(); ++i) total += metric::task_value(p[i], double(n[i]));
    return total;
}
bool close(double a, double b, double tolerance = 1e-12) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }

/// The greatest total value of all allocations of at most `total`, each prompt having between least and most.
double best_of_all(reals const& p, std::size_t total, std::size_t least, std::size_t most) {
    auto best = 0.0;
    auto counts = std::vector<std::size_t>(p.size(), least);
    auto const visit = [&](auto const& self, std::size_t i, std::size_t left) -> void {
        if (i == p.size()) {
            best = std::max(best, total_value(p, counts));
            return;
        }
        for (counts[i] = least; counts[i] <= most && counts[i] - least <= left; ++counts[i])
            self(self, i + 1, left - (counts[i] - least));
    };
    visit(visit, 0, total - least * p.size());
    return best;
}

/// The same by dynamic programming over (prompt, rollouts), as in the paper.
double best_by_dynamic_program(reals const& p, std::size_t total, std::size_t least, std::size_t most) {
    auto best = reals(total + 1, 0);
    for (std::size_t i = 0; i < p.size(); ++i) {
        auto next = reals(total + 1, -math::infinity<double>);
        for (std::size_t used = 0; used <= total; ++used)
            for (auto n = least; n <= std::min(most, used); ++n)
                next[used] = std::max(next[used], best[used - n] + metric::task_value(p[i], double(n)));
        best = next;
    }
    return *std::max_element(best.begin(), best.end());
}

} // namespace

TEST_CASE("knapsack-rl: golden vectors, sequential") { check_golden<execution::sequential>("sequential"); }
TEST_CASE("knapsack-rl: golden vectors, in_lanes") { check_golden<execution::in_lanes>("in_lanes"); }
TEST_CASE("knapsack-rl: golden vectors, along") { check_golden<execution::along>("along"); }
TEST_CASE("knapsack-rl: golden vectors, parallel") { check_golden<execution::parallel<>>("parallel"); }

TEST_CASE("knapsack-rl: the marginal is the difference, and decreases") {
    CHECK(rc::check([] {
        auto const p = draw_real(0.001, 0.999);
        auto const n = double(draw_size(1, 60));
        auto const marginal = metric::marginal_task_value(p, n);
        RC_ASSERT(std::abs(marginal - (metric::task_value(p, n + 1) - metric::task_value(p, n))) < 1e-15);
        RC_ASSERT(metric::marginal_task_value(p, n + 1) < marginal);
    }));
}

TEST_CASE("knapsack-rl: the probability of a signal is symmetric and between its bounds, the value below 4/27") {
    CHECK(rc::check([] {
        auto const p = draw_real(0.001, 0.999), n = double(draw_size(0, 200));
        auto const both = metric::signal_probability(p, n);
        RC_ASSERT(close(both, metric::signal_probability(1 - p, n), 1e-13));
        RC_ASSERT(both >= 0 && both <= 1);
        RC_ASSERT(metric::task_value(p, n) <= 4.0 / 27);

        auto const confidence = draw_real(0.01, 0.99);
        auto const required = metric::rollouts_for_signal(p, confidence);
        RC_ASSERT(required.lower <= double(required.count));
        RC_ASSERT(double(required.count) <= std::max(2.0, std::ceil(required.upper)));
        RC_ASSERT(metric::signal_probability(p, double(required.count)) >= confidence);
        if (required.count > 2) RC_ASSERT(metric::signal_probability(p, double(required.count - 1)) < confidence);

        auto expected = 0.0;
        for (auto k = 0.0; k < 20'000; ++k) expected += 1 - metric::signal_probability(p, k);
        RC_ASSERT(std::abs(metric::expected_rollouts_until_signal(p) / expected - 1) < 1e-8);
    }));
    CHECK(metric::task_value(0.3, 8.0) > metric::task_value(0.7, 8.0)); // the value is not symmetric
    CHECK(std::abs(metric::expected_rollouts_until_signal(0.01) - 100.01) < 0.001);
    CHECK(std::abs(metric::rollouts_for_signal(0.01, 0.9).lower - 229.1) < 0.05);
    // The gain's closed form: dp / dtheta (1 - p) of a logistic policy.
    for (auto const p : {0.1, 0.5, 0.8}) {
        auto const theta = dual<double>(std::log(p / (1 - p)), 1);
        CHECK(close(math::sigmoid(theta).derivative * (1 - p), metric::information_gain(p)));
    }
}

TEST_CASE("knapsack-rl: small probabilities keep their digits") {
    // 1 - p^n - (1 - p)^n = n p (1 - (n - 1) p / 2 + ...)
    CHECK(std::abs(metric::signal_probability(1e-9, 8.0) / (8e-9 * (1 - 3.5e-9)) - 1) < 1e-14);
    CHECK(std::abs(metric::signal_probability(1e-300, 8.0) / 8e-300 - 1) < 1e-14);
    CHECK(std::abs(metric::signal_probability(1e-30F, 8.0F) / 8e-30F - 1) < 1e-6F);
}

TEST_CASE("knapsack-rl: dealing out greedily finds the best of all allocations") {
    CHECK(rc::check([] {
        auto const p = draw_rates(draw_size(1, 4));
        auto const least = draw_size(1, 3), most = least + draw_size(0, 5);
        auto const total = least * p.size() + draw_size(0, 12);
        auto const found = solver::rollout_budget{least, most}.allocate(p, total);
        auto const best = best_of_all(p, total, least, most);
        RC_ASSERT(found.total_value >= best - 1e-14);
        RC_ASSERT(close(found.total_value, best, 1e-14));
        RC_ASSERT(close(best_by_dynamic_program(p, total, least, most), best, 1e-14));
    }));
    CHECK(rc::check([] { // larger ones by the dynamic program alone
        auto const p = draw_rates(draw_size(5, 25));
        auto const total = 2 * p.size() + draw_size(0, 150);
        auto const found = solver::rollout_budget{2, 40}.allocate(p, total);
        RC_ASSERT(close(found.total_value, best_by_dynamic_program(p, total, 2, 40), 1e-12));
    }));
}

TEST_CASE("knapsack-rl: nothing is lost, the bounds hold, and a uniform allocation is not better") {
    CHECK(rc::check([] {
        auto const p = draw_rates(draw_size(1, 20));
        auto const uniform = draw_size(2, 12), most = uniform + draw_size(0, 20), total = uniform * p.size();
        auto budget = solver::rollout_budget{2, most};
        if (draw_size(0, 1) == 1) budget.interior_mean = draw_real(0, 12);
        auto const found = budget.allocate(p, total);
        RC_ASSERT(std::accumulate(found.rollouts.begin(), found.rollouts.end(), found.unspent) == total);
        for (auto const n : found.rollouts) RC_ASSERT(n >= 2 && n <= most);
        if (budget.interior_mean) {
            auto interior = 0.0, has = 0.0;
            for (std::size_t i = 0; i < p.size(); ++i)
                if (p[i] > 0 && p[i] < 1) {
                    interior += 1;
                    has += double(found.rollouts[i]);
                }
            RC_ASSERT(has <= std::max(2.0, *budget.interior_mean) * interior);
        } else {
            RC_ASSERT(found.total_value >= total_value(p, std::vector(p.size(), uniform)) - 1e-12);
        }
    }));
}

TEST_CASE("knapsack-rl: permuted prompts have permuted budgets") {
    CHECK(rc::check([] {
        auto p = reals(draw_size(2, 12));
        for (std::size_t i = 0; i < p.size(); ++i) // no ties
            p[i] = (double(i) + draw_real(0.1, 0.9)) / double(p.size());
        auto const total = 2 * p.size() + draw_size(0, 100);
        auto const before = solver::rollout_budget{}.allocate(p, total);
        auto order = std::vector<std::size_t>(p.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        for (std::size_t j = order.size(); j > 1; --j) std::swap(order[j - 1], order[draw_size(0, j - 1)]);
        auto moved = p;
        for (std::size_t i = 0; i < p.size(); ++i) moved[i] = p[order[i]];
        auto const after = solver::rollout_budget{}.allocate(moved, total);
        for (std::size_t i = 0; i < p.size(); ++i) RC_ASSERT(after.rollouts[i] == before.rollouts[order[i]]);
    }));
}

TEST_CASE("knapsack-rl: 10,000 prompts and 100,000 rollouts take less than a second") {
    auto p = reals(10'000);
    for (std::size_t i = 0; i < p.size(); ++i) p[i] = double(i * 7919 % 10'007) / 10'007;
    auto const start = std::chrono::steady_clock::now();
    auto const found = solver::rollout_budget{}.allocate(p, 100'000);
    auto const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    MESSAGE("10^4 prompts, 10^5 rollouts: " << seconds << " s");
    CHECK(seconds < 1);
    CHECK(found.unspent == 0);
    CHECK(found.total_value > total_value(p, std::vector<std::size_t>(p.size(), 10)));
}

TEST_CASE("knapsack-rl: edges") {
    using counts = std::vector<std::size_t>;
    auto const allocate = [](reals const& p, std::size_t total, std::size_t least = 2, std::size_t most = 128) {
        return solver::rollout_budget{least, most}.allocate(p, total);
    };
    CHECK(allocate({0.5, 0.5, 0.5}, 10).rollouts == counts{4, 3, 3}); // the first has the odd one
    CHECK(allocate({0, 0, 0}, 11).rollouts == counts{4, 4, 3});
    auto const solved = allocate({1, 1}, 10);
    CHECK(solved.rollouts == counts{2, 2});
    CHECK(solved.unspent == 6);
    CHECK(solved.total_value == 0);
    auto const full = allocate({0.5, 0, 1}, 100, 2, 10);
    CHECK(full.rollouts == counts{10, 10, 2});
    CHECK(full.unspent == 78);
    for (auto const p : {0.0, 1.0}) {
        CHECK(metric::signal_probability(p, 8.0) == 0);
        CHECK(metric::task_value(p, 8.0) == 0);
        CHECK(metric::marginal_task_value(p, 1.0) == 0);
        CHECK(metric::expected_rollouts_until_signal(p) == math::infinity<double>);
        CHECK(metric::rollouts_for_signal(p, 0.9).count == -1);
        CHECK(metric::rollouts_for_signal(p, 0.9).lower == math::infinity<double>);
    }
    CHECK(metric::signal_probability(0.4, 1.0) == 0);
    CHECK(metric::rollouts_for_signal(1e-300, 0.9).count == -1);
    CHECK(std::isnan(metric::task_value(math::quiet_nan<double>, 4.0)));
    CHECK(metric::rollouts_for_signal(0.5, 0.1).count == 2);
}

TEST_CASE("knapsack-rl: what is refused") {
    auto const half = reals{0.5, 0.5};
    auto const allocate = [](solver::rollout_budget const& budget, reals const& p, std::size_t total) {
        return budget.allocate(p, total);
    };
    CHECK_THROWS_WITH_AS(allocate({}, {}, 4),
                         "rollout_budget: argument 'success_rates': expected at least one prompt, got 0",
                         argument_error);
    CHECK_THROWS_WITH_AS(allocate({}, {0.5, 1.5}, 4),
                         "rollout_budget: argument 'success_rates': expected probabilities in [0, 1], got 1.5",
                         domain_violation);
    CHECK_THROWS_AS(allocate({}, {math::quiet_nan<double>}, 4), domain_violation);
    CHECK_THROWS_WITH_AS(allocate({}, half, 3),
                         "rollout_budget: argument 'total': expected at least `least` rollouts of each prompt, got 3",
                         domain_violation);
    CHECK_THROWS_AS(allocate({.least = 0}, half, 4), domain_violation);
    CHECK_THROWS_AS(allocate({.least = 4, .most = 3}, half, 10), domain_violation);
    CHECK_THROWS_AS(allocate({.interior_mean = -1.0}, half, 10), domain_violation);
    CHECK_THROWS_AS(metric::rollouts_for_signal(1.1, 0.9), domain_violation);
    CHECK_THROWS_WITH_AS(metric::rollouts_for_signal(0.5, 1),
                         "rollouts_for_signal: argument 'confidence': expected a probability strictly between 0 and 1, "
                         "got 1",
                         domain_violation);
}

namespace {

static_assert(metric::information_gain(0.5) == 0.125);
static_assert(math::abs(metric::signal_probability(0.5, 3.0) - 0.75) < 1e-15);
static_assert(math::abs(metric::marginal_task_value(0.5, 2.0) - 0.03125) < 1e-16);
static_assert(metric::expected_rollouts_until_signal(0.5F) == 3.0F);
static_assert(metric::signal_probability(0.0, 8.0) == 0);
static_assert(metric::rollouts_for_signal(0.5, 0.9).count == 5); // 1 - 2 / 2^n

} // namespace
