#pragma once

#include "everywhere.hpp"

#include "poise/concepts.hpp"
#include "poise/policy/second_order.hpp"

#include <doctest/doctest.h>

/// What every policy must do, checked against dual numbers, sums over the actions and draws.
namespace policy_checks {

using namespace poise;
using everywhere::close;

inline std::vector<double> random_numbers(std::size_t n, std::uint64_t seed, double scale = 1) {
    return everywhere::random_table(1, n, seed, scale).values;
}

/// The policy with every parameter moved by a normal number.
template <class P>
P scattered(P policy, std::uint64_t seed, double scale = 1) {
    auto const parameters = policy.parameters();
    auto const by = random_numbers(parameters.size(), seed, scale);
    for (std::size_t k = 0; k < by.size(); ++k) parameters[k] += static_cast<typename P::value_type>(by[k]);
    return policy;
}

/// d f(policy) / d parameters by dual numbers.
template <class P, class F>
std::vector<double> by_duals(P const& policy, F const& f) {
    auto moved = typename P::template over<dual<double>>(policy);
    auto found = std::vector<double>(policy.parameters().size());
    for (std::size_t k = 0; k < found.size(); ++k) {
        moved.parameters()[k].derivative = 1;
        found[k] = f(moved).derivative;
        moved.parameters()[k].derivative = 0;
    }
    return found;
}

/// The largest |a - b| / (1 + |b|); infinite if the lengths differ or b is all zeros, when it would say nothing.
inline double distance(std::vector<double> const& a, std::vector<double> const& b) {
    auto largest = a.size() == b.size() ? 0.0 : everywhere::infinity, size = 0.0;
    for (std::size_t k = 0; k < b.size(); ++k) {
        auto const d = std::abs(a[k] - b[k]) / (1 + std::abs(b[k]));
        if (!(d <= largest)) largest = d;
        size += std::abs(b[k]);
    }
    return size > 0 ? largest : everywhere::infinity;
}

template <class P, class Pullback>
std::vector<double> gradient_by(P const& policy, Pullback const& pullback) {
    auto gradient = std::vector<double>(policy.parameters().size());
    pullback(policy, row(gradient));
    return gradient;
}

/// The derivative along v of what a pullback gives, by central differences.
template <class P, class Pullback>
std::vector<double> derivative_of(P const& policy, std::vector<double> const& v, Pullback const& pullback) {
    auto ahead = policy, behind = policy;
    constexpr auto h = 1e-5;
    for (std::size_t k = 0; k < v.size(); ++k) {
        ahead.parameters()[k] += h * v[k];
        behind.parameters()[k] -= h * v[k];
    }
    auto result = gradient_by(ahead, pullback);
    auto const other = gradient_by(behind, pullback);
    for (std::size_t k = 0; k < v.size(); ++k) result[k] = (result[k] - other[k]) / (2 * h);
    return result;
}

/// The pullbacks and products with second derivatives of any policy, at one context and action.
template <class P, class Context, class Action>
void check_derivatives(P const& policy, P const& other, Context const& context, Action const& action) {
    using dual_policy = typename P::template over<dual<double>>;
    auto const log_p = [&](auto const& p, auto gradient) { p.pullback(context, action, 1.5, gradient); };
    CHECK(distance(gradient_by(policy, log_p), by_duals(policy, [&](auto const& moved) {
                       return dual<double>(1.5) * moved.log_probability(context, action);
                   })) < 1e-12);
    auto const entropy = [&](auto const& p, auto gradient) { p.entropy_pullback(context, -0.7, gradient); };
    CHECK(distance(gradient_by(policy, entropy), by_duals(policy, [&](auto const& moved) {
                       return dual<double>(-0.7) * moved.entropy(context);
                   })) < 1e-12);
    auto const kl = [&](auto const& p, auto gradient) { p.kl_divergence_pullback(context, other, 0.9, gradient); };
    auto const dual_other = dual_policy(other);
    CHECK(distance(gradient_by(policy, kl), by_duals(policy, [&](auto const& moved) {
                       return dual<double>(0.9) * moved.kl_divergence(context, dual_other);
                   })) < 1e-12);
    CHECK(policy.kl_divergence(context, policy) == doctest::Approx(0).epsilon(1e-13));

    auto const v = random_numbers(policy.parameters().size(), 81);
    auto along = policy::second_order<P>(policy);
    along.move(policy, v);
    auto product = std::vector<double>(v.size()), fisher = product, of_entropy = product;
    along.hessian_vector_product(context, action, product);
    along.fisher_vector_product(context, fisher);
    along.entropy_hessian_vector_product(context, of_entropy);
    auto const unit = [&](auto const& p, auto gradient) { p.pullback(context, action, 1.0, gradient); };
    auto const unit_entropy = [&](auto const& p, auto gradient) { p.entropy_pullback(context, 1.0, gradient); };
    auto const unit_kl = [&](auto const& p, auto gradient) {
        p.kl_divergence_pullback(context, policy, 1.0, gradient);
    };
    auto const near = [](std::vector<double> const& a, std::vector<double> const& b) {
        for (std::size_t k = 0; k < a.size(); ++k) CHECK(close(a[k], b[k], 1e-7));
    };
    near(product, derivative_of(policy, v, unit));
    near(of_entropy, derivative_of(policy, v, unit_entropy));
    near(fisher, derivative_of(policy, v, unit_kl));
    auto const once = product;
    policy::hessian_vector_product(policy, context, action, v, product); // adds
    for (std::size_t k = 0; k < v.size(); ++k) CHECK(close(product[k], 2 * once[k], 1e-13));
}

/// All about a policy over finitely many actions at one context. `normalised`: its probabilities sum to 1 whatever
/// the parameters, so that the mean score is 0.
template <class P, class Context>
void check_finite(P const& policy, P const& other, Context const& context, bool normalised = true) {
    auto const n = policy.actions();
    auto log_p = std::vector<double>(n), log_q = log_p;
    policy.log_probabilities(context, row(log_p));
    other.log_probabilities(context, row(log_q));
    CHECK(std::abs(log_sum_exp(row(log_p))) < 1e-13);
    auto entropy = 0.0, kl = 0.0;
    for (std::size_t a = 0; a < n; ++a) {
        CHECK(close(policy.log_probability(context, a), log_p[a], 1e-13));
        entropy -= std::exp(log_p[a]) * log_p[a];
        kl += std::exp(log_p[a]) * (log_p[a] - log_q[a]);
    }
    CHECK(policy.entropy(context) == doctest::Approx(entropy).epsilon(1e-12));
    CHECK(policy.kl_divergence(context, other) == doctest::Approx(kl).epsilon(1e-12));
    CHECK(kl > 0);

    check_derivatives(policy, other, context, std::size_t{1});
    auto const cotangent = random_numbers(n, 82);
    auto const all = [&](auto const& p, auto gradient) { p.pullback(context, row(cotangent), gradient); };
    CHECK(distance(gradient_by(policy, all), by_duals(policy, [&](auto const& moved) {
                       auto out = std::vector<dual<double>>(n);
                       moved.log_probabilities(context, row(out));
                       auto total = dual<double>();
                       for (std::size_t a = 0; a < n; ++a) total += dual<double>(cotangent[a]) * out[a];
                       return total;
                   })) < 1e-12);

    // The mean score is 0, and the Fisher information its second moment.
    auto const parameters = policy.parameters().size();
    auto const v = random_numbers(parameters, 83);
    auto mean_score = std::vector<double>(parameters), fisher = mean_score, expected = mean_score;
    for (std::size_t a = 0; a < n; ++a) {
        auto const score = gradient_by(policy, [&](auto const& p, auto g) { p.pullback(context, a, 1.0, g); });
        auto along = 0.0;
        for (std::size_t k = 0; k < parameters; ++k) along += score[k] * v[k];
        for (std::size_t k = 0; k < parameters; ++k) {
            mean_score[k] += std::exp(log_p[a]) * score[k];
            expected[k] += std::exp(log_p[a]) * along * score[k];
        }
    }
    if (normalised)
        for (auto const value : mean_score) CHECK(std::abs(value) < 1e-12);
    policy::fisher_vector_product(policy, context, v, fisher);
    CHECK(distance(fisher, expected) < 1e-11);

    // Frequencies of draws, within four standard errors; the same address gives the same action.
    constexpr std::uint32_t draws = 20000;
    auto counts = std::vector<double>(n);
    for (std::uint32_t i = 0; i < draws; ++i) counts[policy.sample(context, {.seed = 84, .index = i})] += 1;
    for (std::size_t a = 0; a < n; ++a) {
        auto const p = std::exp(log_p[a]);
        CHECK(std::abs(counts[a] / draws - p) <= 4 * std::sqrt(p * (1 - p) / draws));
    }
    CHECK(policy.sample(context, {.seed = 84, .index = 9}) == policy.sample(context, {.seed = 84, .index = 9}));
}

/// The interface for batches does what the one for samples does.
template <class P, class Contexts>
void check_batch(P const& policy, Contexts const& contexts) {
    using T = typename P::value_type;
    static_assert(concepts::batched_policy<P>);
    auto const tolerance = everywhere::tolerance<T>;
    auto const n = contexts.size();
    auto tape = typename P::tape(n + 3);
    auto actions = std::vector<typename P::action_type>(n);
    policy.sample(contexts, {.seed = 85, .index = 10}, tape, actions);
    auto log_p = std::vector<T>(n), entropies = log_p;
    auto const real = [](auto x) { return static_cast<double>(x); };
    policy.evaluate(contexts, actions, tape, log_p, entropies);
    CHECK(tape.capacity() == n + 3);
    CHECK(tape.samples() == n);
    for (std::size_t i = 0; i < n; ++i) {
        auto const index = static_cast<std::uint32_t>(10 + i);
        auto const alone = policy.sample(contexts[i], {.seed = 85, .index = index});
        CHECK(close(real(policy.log_probability(contexts[i], alone)), real(log_p[i]), tolerance));
        CHECK(close(real(policy.log_probability(contexts[i], actions[i])), real(log_p[i]), tolerance));
        CHECK(close(real(policy.entropy(contexts[i])), real(entropies[i]), tolerance));
    }
    auto const drawn = everywhere::random_table(2, n, 86, 1);
    auto c = std::vector<T>(n), e = c;
    for (std::size_t i = 0; i < n; ++i) c[i] = static_cast<T>(drawn(0, i)), e[i] = static_cast<T>(drawn(1, i));
    auto const none = row<T const>(nullptr, 0);
    auto const size = policy.parameters().size();
    auto both = std::vector<T>(size), of_log_p = both, of_entropy = both, alone = both, alone_entropy = both;
    policy.pullback(tape, c, e, both);
    policy.pullback(tape, c, none, of_log_p);
    policy.pullback(tape, none, e, of_entropy);
    for (std::size_t i = 0; i < n; ++i) {
        policy.pullback(contexts[i], actions[i], c[i], alone);
        policy.entropy_pullback(contexts[i], e[i], alone_entropy);
    }
    for (std::size_t k = 0; k < size; ++k) {
        CHECK(close(real(of_log_p[k]), real(alone[k]), 10 * tolerance));
        CHECK(close(real(of_entropy[k]), real(alone_entropy[k]), 10 * tolerance));
        CHECK(close(real(both[k]), real(alone[k] + alone_entropy[k]), 20 * tolerance));
    }

    auto const nothing = row<T>(nullptr, 0);
    CHECK_NOTHROW(policy.evaluate(contexts, actions, tape, nothing, nothing));
    CHECK_THROWS_AS(policy.evaluate(contexts, std::span(actions).first(n - 1), tape, nothing, nothing), argument_error);
    CHECK_THROWS_AS(policy.evaluate(contexts, actions, tape, row<T>(log_p.data(), n - 1), nothing), argument_error);
    CHECK_THROWS_AS(policy.pullback(tape, row<T const>(c.data(), n - 1), none, both), argument_error);
    auto small = typename P::tape(n - 1);
    CHECK_THROWS_AS(policy.evaluate(contexts, actions, small, nothing, nothing), argument_error);
}

} // namespace policy_checks
