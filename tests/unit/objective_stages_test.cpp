#include "poise/core/dual.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/policy_gradient.hpp"
#include "poise/objective/value_loss.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/policy/tabular_softmax.hpp"

#include "everywhere.hpp"

#include <doctest/doctest.h>

namespace {

using namespace poise;
using dual_number = dual<double>;

/// The greatest difference between a stage's gradient and the derivative of its loss in its first input; `others` are
/// the stage's other inputs.
template <class Stage, class... Others>
double greatest_error(Stage const& stage, Others const&... others) {
    auto const values = everywhere::random_table(1, 200, 11, 0.4).values;
    auto const lift = [](std::vector<double> const& from, double derivative) {
        auto lifted = std::vector<dual_number>{};
        for (auto value : from) lifted.push_back({value, derivative});
        return lifted;
    };
    auto loss = std::vector<dual_number>(200), gradient = loss;
    auto const run = [&](auto const&... lifted) {
        for_each_row(execution::sequential{}, stage, one_row(lifted)..., one_row(loss), one_row(gradient));
    };
    run(lift(values, 1), lift(others, 0)...);
    auto greatest = 0.0;
    for (std::size_t k = 0; k < 200; ++k)
        greatest = std::max(greatest, std::abs(loss[k].derivative - gradient[k].value));
    return greatest;
}

auto random_values(std::uint64_t seed) { return everywhere::random_table(1, 200, seed, 0.4).values; }

} // namespace

TEST_CASE_TEMPLATE("equal rewards have group-relative advantages of exactly 0", T, float, double) {
    for (auto const reward : {T(0.1), T(0.7), T(100.1)})
        for (auto const epsilon : {1e-6, 0.0})
            for (std::size_t n = 1; n < 20; ++n) {
                auto const rewards = std::vector<T>(n, reward);
                auto advantages = std::vector<T>(n, T(1));
                for_each_row(execution::sequential{}, estimator::group_relative{epsilon}, one_row(rewards),
                             one_row(advantages));
                CHECK(advantages == std::vector<T>(n, T(0)));
            }
}

TEST_CASE("the gradients that stages write are the derivatives of their losses") {
    CHECK(greatest_error(objective::policy_gradient{}, random_values(2)) < 1e-15);
    CHECK(greatest_error(objective::negative_log_likelihood{}) == 0);
    CHECK(greatest_error(objective::value_loss{.coefficient = 0.7}, random_values(3)) < 1e-15);
    CHECK(greatest_error(objective::entropy_bonus{.coefficient = 0.3}) < 1e-15);
    CHECK(greatest_error(penalty::kl_k1{.coefficient = 0.3}, random_values(4)) < 1e-15);
    CHECK(greatest_error(penalty::kl_k2{.coefficient = 0.3}, random_values(5)) < 1e-15);
    CHECK(greatest_error(penalty::kl_k3{.coefficient = 0.3}, random_values(6)) < 1e-15);
    CHECK(greatest_error(penalty::kl<penalty::absolute>{.coefficient = 0.3}, random_values(6)) < 1e-15);
    CHECK(greatest_error(penalty::kl<penalty::clamped_exponent<penalty::k3>>{.coefficient = 0.3, .estimate = {.bound = 0.2}},
                         random_values(6)) < 1e-15);
    CHECK(greatest_error(penalty::kl<penalty::clamped_value<penalty::k3>>{.coefficient = 0.3, .estimate = {.bound = 0.1}},
                         random_values(6)) < 1e-15);
    CHECK(greatest_error(objective::clipped_surrogate{}, random_values(7), random_values(8)) < 1e-14);
    CHECK(greatest_error(objective::clipped_surrogate{.low = 0.1, .high = 0.3, .dual = 1.5}, random_values(9),
                         random_values(10)) < 1e-14);
}

TEST_CASE("estimates of a divergence are held within their bounds, without a slope beyond") {
    CHECK(penalty::clamped_exponent<penalty::k3>{.bound = 2}(-5.0) == std::pair{penalty::k3{}(-2.0).first, 0.0});
    CHECK(penalty::clamped_exponent<penalty::k3>{.bound = 2}(-1.5) == penalty::k3{}(-1.5));
    CHECK(penalty::clamped_value<penalty::k3>{.bound = 2}(-5.0) == std::pair{2.0, 0.0});
    CHECK(penalty::clamped_value<penalty::k3>{.bound = 2}(0.5) == penalty::k3{}(0.5));
    CHECK(penalty::absolute{}(-3.0) == std::pair{3.0, -1.0});
    CHECK(penalty::absolute{}(0.0) == std::pair{0.0, 0.0});
    CHECK(std::isnan(penalty::absolute{}(everywhere::nan).second));
    CHECK_THROWS_WITH_AS((penalty::kl<penalty::clamped_value<penalty::k3>>{.estimate = {.bound = 0}}.check_hyperparameters()),
                         "clamped_value: argument 'bound': expected a number above 0, got 0", domain_violation);
    CHECK_THROWS_AS((penalty::clamped_exponent<penalty::k3>{.bound = -1}.check_hyperparameters()), domain_violation);
}

TEST_CASE("coefficients are finite and not below 0, in a pipeline and alone") {
    auto const log_p = std::vector{-1.0, -2.0};
    auto gradient = std::vector<double>(2), loss = gradient;
    auto const check = [&](auto const& stage, char const* message) {
        CHECK_THROWS_WITH_AS(evaluate(execution::along{}, stage | aggregation::mean{},
                                      inputs(field::log_probability = one_row(log_p), field::entropy = one_row(log_p),
                                             field::value = one_row(log_p), field::returns = one_row(log_p),
                                             field::reference_log_probability = one_row(log_p)),
                                      outputs(field::loss = one_row(loss))),
                             message, domain_violation);
        if constexpr (std::remove_cvref_t<decltype(stage)>::reads::size == 2)
            CHECK_THROWS_WITH_AS(for_each_row(execution::along{}, stage, one_row(log_p), one_row(log_p), one_row(loss),
                                              one_row(gradient)),
                                 message, domain_violation);
        else
            CHECK_THROWS_WITH_AS(for_each_row(execution::along{}, stage, one_row(log_p), one_row(loss),
                                              one_row(gradient)),
                                 message, domain_violation);
    };
    check(penalty::kl_k3{-0.1}, "kl: argument 'coefficient': expected a finite number not below 0, got -0.1");
    check(penalty::kl_k1{everywhere::nan}, "kl: argument 'coefficient': expected a finite number not below 0, got nan");
    check(objective::entropy_bonus{-0.1},
          "entropy_bonus: argument 'coefficient': expected a finite number not below 0, got -0.1");
    check(objective::value_loss{everywhere::infinity},
          "value_loss: argument 'coefficient': expected a finite number not below 0, got inf");
}

namespace {

constexpr auto actions = std::size_t{4}, group = std::size_t{3};

/// The expectation of a pipeline's gradient in the logits over all groups that can be drawn, exactly: every group of
/// three actions, weighted by its probability.
template <class Pipeline>
std::vector<double> expected_gradient(Pipeline const& composed, policy::tabular_softmax<double> const& pi,
                                      std::vector<double> const& reward, std::vector<double> const& reference) {
    constexpr auto groups = actions * actions * actions;
    auto r = std::vector<double>(groups * group), log_p = r, log_q = r, gradient = r;
    auto const action_of = [](std::size_t i, std::size_t k) {
        return k == 0 ? i % actions : k == 1 ? i / actions % actions : i / actions / actions;
    };
    for (std::size_t i = 0; i < groups; ++i)
        for (std::size_t k = 0; k < group; ++k) {
            r[i * group + k] = reward[action_of(i, k)];
            log_p[i * group + k] = pi.log_probability(0, action_of(i, k));
            log_q[i * group + k] = std::log(reference[action_of(i, k)]);
        }
    auto const rows = [&](auto& values) { return rows_of(values.data(), groups, group); };
    evaluate(execution::sequential{}, composed,
             inputs(field::reward = rows(r), field::log_probability = rows(log_p),
                    field::old_log_probability = rows(log_p), field::reference_log_probability = rows(log_q)),
             outputs(field::gradient<field::log_probability> = rows(gradient)));
    auto expectation = std::vector<double>(actions);
    for (std::size_t i = 0; i < groups; ++i) {
        auto probability = 1.0;
        for (std::size_t k = 0; k < group; ++k) probability *= std::exp(log_p[i * group + k]);
        for (std::size_t k = 0; k < group; ++k) // a row's share of the batch is one in `groups`: undone
            pi.pullback(0, action_of(i, k), probability * gradient[i * group + k] * groups,
                        row<double>(expectation.data(), actions));
    }
    return expectation;
}

struct problem {
    policy::tabular_softmax<double> pi{1, actions};
    std::vector<double> reward, reference;
    std::vector<double> p;
    explicit problem(std::uint64_t seed) {
        auto const numbers = everywhere::random_table(3, actions, seed, 1);
        reward = numbers.row(0);
        for (std::size_t a = 0; a < actions; ++a) pi.parameters()[a] = numbers(1, a);
        auto total = 0.0;
        for (std::size_t a = 0; a < actions; ++a) total += std::exp(numbers(2, a));
        for (std::size_t a = 0; a < actions; ++a) reference.push_back(std::exp(numbers(2, a)) / total);
        for (std::size_t a = 0; a < actions; ++a) p.push_back(std::exp(pi.log_probability(0, a)));
    }
    /// d/dz of sum_a p_a f_a at fixed f.
    std::vector<double> of_mean(std::vector<double> const& f) const {
        auto mean = 0.0;
        for (std::size_t a = 0; a < actions; ++a) mean += p[a] * f[a];
        auto slope = std::vector<double>{};
        for (std::size_t a = 0; a < actions; ++a) slope.push_back(p[a] * (f[a] - mean));
        return slope;
    }
};

void check_equal(std::vector<double> const& found, std::vector<double> const& expected, double factor) {
    for (std::size_t a = 0; a < actions; ++a) CHECK(found[a] == doctest::Approx(factor * expected[a]).epsilon(1e-12));
}

} // namespace

TEST_CASE("estimates are unbiased: over all groups that can be drawn they average to the exact gradient") {
    for (std::uint64_t seed = 1; seed < 6; ++seed) {
        auto const one = problem(seed);
        auto const exact = one.of_mean(one.reward);
        auto const expectation = [&](auto const& composed) {
            return expected_gradient(composed, one.pi, one.reward, one.reference);
        };
        check_equal(expectation(estimator::leave_one_out{} | objective::policy_gradient{}), exact, -1);
        // The group's mean contains the sample itself, which takes 1/n of the gradient.
        check_equal(expectation(estimator::centered{} | objective::policy_gradient{}), exact, -2.0 / 3);
        // At the policy that sampled, PPO's surrogate has the same gradient.
        check_equal(expectation(estimator::leave_one_out{} | objective::clipped_surrogate{}), exact, -1);

        // KL(pi || q): only k2 has its gradient, k1 has none, k3 has that of the reverse divergence KL(q || pi).
        auto log_ratio = std::vector<double>{};
        for (std::size_t a = 0; a < actions; ++a) log_ratio.push_back(std::log(one.p[a] / one.reference[a]));
        check_equal(expectation(penalty::kl_k2{.coefficient = 0.3}), one.of_mean(log_ratio), 0.3);
        for (auto slope : expectation(penalty::kl_k1{})) CHECK(std::abs(slope) < 1e-15);
        auto const found = expectation(penalty::kl_k3{.coefficient = 0.3});
        for (std::size_t a = 0; a < actions; ++a)
            CHECK(found[a] == doctest::Approx(0.3 * (one.p[a] - one.reference[a])).epsilon(1e-12));
    }
}
