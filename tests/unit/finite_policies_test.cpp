#include "policy_checks.hpp"

#include "poise/policy/epsilon_uniform.hpp"
#include "poise/policy/log_linear.hpp"
#include "poise/policy/mixture.hpp"
#include "poise/policy/simplex.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/policy/with_temperature.hpp"

namespace {

using namespace policy_checks;
using namespace poise::policy;

constexpr std::size_t contexts = 3, actions = 5;
constexpr std::size_t here = 1; // a context
using tabular = tabular_softmax<double>;
std::vector<std::size_t> const some_contexts = {2, 0, 1, 1, 2, 0, 2};

tabular random_tabular(std::uint64_t seed) { return scattered(tabular(contexts, actions), seed); }

simplex<double> random_simplex(std::uint64_t seed) {
    auto made = simplex<double>(contexts, actions);
    auto const logits = random_numbers(contexts * actions, seed);
    for (std::size_t c = 0; c < contexts; ++c)
        softmax(made.probabilities(c), row<double const>(logits.data() + c * actions, actions));
    return made;
}

log_linear<double> random_log_linear(std::uint64_t seed) {
    return scattered(log_linear<double>(actions, 4, random_numbers(contexts * actions * 4, 61),
                                        random_numbers(contexts * actions, 62)),
                     seed);
}

TEST_CASE("tabular softmax") {
    check_finite(random_tabular(1), random_tabular(2), here);
    check_batch(random_tabular(1), some_contexts);
}

TEST_CASE("simplex") {
    check_finite(random_simplex(1), random_simplex(2), here, false);
    check_batch(random_simplex(1), some_contexts);
}

TEST_CASE("log-linear") {
    auto const policy = random_log_linear(1);
    check_finite(policy, random_log_linear(2), here);
    check_batch(policy, some_contexts);
    // By the formula.
    auto z = std::vector<double>(actions);
    for (std::size_t a = 0; a < actions; ++a)
        z[a] = policy.base_logits()[2 * actions + a] + weighted_sum(policy.features(2, a), policy.parameters());
    log_softmax(row(z), row(z));
    for (std::size_t a = 0; a < actions; ++a)
        CHECK(policy.log_probability(2, a) == doctest::Approx(z[a]).epsilon(1e-14));
    // One-hot features make it the tabular softmax.
    auto one_hot = std::vector<double>(contexts * actions * contexts * actions);
    for (std::size_t k = 0; k < contexts * actions; ++k) one_hot[k * contexts * actions + k] = 1;
    auto table = log_linear<double>(actions, contexts * actions, one_hot);
    CHECK(table.entropy(here) == doctest::Approx(std::log(5.0)));
    auto const same = random_tabular(3);
    copy(table.parameters(), same.parameters());
    CHECK(table.contexts() == contexts);
    CHECK(table.log_probability(here, 3) == doctest::Approx(same.log_probability(here, 3)).epsilon(1e-14));
    CHECK_THROWS_AS(log_linear<double>(5, 4, std::vector<double>(30)), argument_error);
    CHECK_THROWS_AS(log_linear<double>(5, 2, std::vector<double>(30), std::vector<double>(14)), argument_error);
}

TEST_CASE("with temperature") {
    auto const inner = random_tabular(1);
    auto const policy = with_temperature(inner, 0.6);
    check_finite(policy, with_temperature(random_tabular(2), 0.6), here);
    check_batch(policy, some_contexts);
    CHECK(with_temperature(inner, 1).log_probability(here, 2) == doctest::Approx(inner.log_probability(here, 2)));
    auto const ratio = policy.log_probability(here, 2) - policy.log_probability(here, 3);
    CHECK(ratio == doctest::Approx((inner.log_probability(here, 2) - inner.log_probability(here, 3)) / 0.6));
    CHECK_THROWS_AS(with_temperature(inner, 0), domain_violation);
    CHECK_THROWS_AS(with_temperature(inner, everywhere::nan), domain_violation);
}

TEST_CASE("epsilon-uniform") {
    auto const inner = random_tabular(1);
    auto const policy = epsilon_uniform(inner, 0.2);
    check_finite(policy, epsilon_uniform(random_tabular(2), 0.2), here);
    check_batch(policy, some_contexts);
    CHECK(std::exp(policy.log_probability(here, 2)) ==
          doctest::Approx(0.8 * std::exp(inner.log_probability(here, 2)) + 0.04).epsilon(1e-14));
    auto impossible = inner;
    impossible.logits(1)[2] = -everywhere::infinity;
    CHECK(epsilon_uniform(impossible, 0.2).log_probability(here, 2) == doctest::Approx(std::log(0.04)));
    CHECK(epsilon_uniform(impossible, 0).log_probability(here, 2) == -everywhere::infinity);
    CHECK(epsilon_uniform(impossible, 0).log_probability(here, 3) ==
          doctest::Approx(impossible.log_probability(here, 3)));
    auto gradient = std::vector<double>(contexts * actions);
    epsilon_uniform(impossible, 0).entropy_pullback(here, 1.0, gradient);
    for (auto const g : gradient) CHECK(std::isfinite(g));
    // Over a greedy policy it is the epsilon-greedy one.
    auto const greedy = epsilon_uniform(with_temperature(inner, 1e-9), 0.2);
    auto log_p = std::vector<double>(actions);
    greedy.log_probabilities(here, row(log_p));
    std::sort(log_p.begin(), log_p.end());
    CHECK(log_p[0] == doctest::Approx(std::log(0.04)));
    CHECK(log_p[actions - 2] == doctest::Approx(std::log(0.04)));
    CHECK(log_p[actions - 1] == doctest::Approx(std::log(0.84)));
    CHECK_THROWS_AS(epsilon_uniform(inner, 1.5), domain_violation);
}

TEST_CASE("a reweighted simplex: its free parameters need not stay normalised") {
    check_derivatives(epsilon_uniform(random_simplex(1), 0.2), epsilon_uniform(random_simplex(2), 0.2), here,
                      std::size_t{2});
}

TEST_CASE("mixtures with a reference") {
    auto const reference = random_simplex(9);
    auto const mixed = [&](auto how, std::uint64_t seed, double w = 0.3) {
        return mixture(how, random_tabular(seed), reference, w);
    };
    auto const check = [&](auto how, auto const& formula) {
        auto const policy = mixed(how, 1);
        check_finite(policy, mixed(how, 2), here);
        check_batch(policy, some_contexts);
        CHECK(policy.parameters().size() == contexts * actions);
        auto expected = std::vector<double>(actions);
        for (std::size_t a = 0; a < actions; ++a)
            expected[a] = formula(std::exp(policy.inner().log_probability(here, a)), reference.probabilities(1)[a]);
        auto const total = sum(row(expected));
        for (std::size_t a = 0; a < actions; ++a)
            CHECK(std::exp(policy.log_probability(here, a)) == doctest::Approx(expected[a] / total).epsilon(1e-13));
        CHECK(mixed(how, 1, 0).log_probability(here, 2) == doctest::Approx(policy.inner().log_probability(here, 2)));
        CHECK(mixed(how, 1, 1).log_probability(here, 2) == doctest::Approx(reference.log_probability(here, 2)));
        CHECK_THROWS_AS(mixed(how, 1, -0.1), domain_violation);
        CHECK_THROWS_AS(mixture(how, random_tabular(1), tabular(contexts, actions + 1), 0.5), argument_error);
    };
    SUBCASE("linear") {
        check(mixing::linear{}, [](double p, double q) { return 0.7 * p + 0.3 * q; });
    }
    SUBCASE("geometric") {
        check(mixing::geometric{}, [](double p, double q) { return std::pow(p, 0.7) * std::pow(q, 0.3); });
    }
}

TEST_CASE("reweighted policies of many actions take their working memory from the heap") {
    auto const inner = scattered(tabular(1, 100), 5);
    auto const policy = with_temperature(inner, 2);
    auto log_p = std::vector<double>(100);
    policy.log_probabilities(std::size_t{0}, row(log_p));
    CHECK(std::abs(log_sum_exp(row(log_p))) < 1e-13);
    CHECK(policy.log_probability(std::size_t{0}, 77) == log_p[77]);
}

TEST_CASE("float agrees with double") {
    auto const policy = mixture(mixing::linear{}, with_temperature(random_tabular(1), 0.7), random_log_linear(3), 0.4);
    using in_float = decltype(policy)::over<float>;
    static_assert(concepts::finite_policy<in_float> && concepts::batched_policy<in_float>);
    auto const other = in_float(policy);
    CHECK(close(static_cast<double>(other.entropy(here)), policy.entropy(here), everywhere::tolerance<float>));
    CHECK(close(static_cast<double>(other.log_probability(here, 2)), policy.log_probability(here, 2),
                everywhere::tolerance<float>));
}

/// One policy per lane, each with parameters of its own, does in batches of the lanes' actions what the replicas do.
template <template <class> class Policy>
void check_lanes(Policy<double> const& start) {
    using pack = lanes<double>;
    auto packed = Policy<pack>(start);
    auto alone = std::vector<Policy<double>>(pack::size, start);
    for (std::size_t k = 0; k < start.parameters().size(); ++k) {
        auto values = std::array<double, pack::size>{};
        for (std::size_t lane = 0; lane < pack::size; ++lane) {
            alone[lane].parameters()[k] *= 1 + 0.1 * static_cast<double>(lane);
            values[lane] = alone[lane].parameters()[k];
        }
        packed.parameters()[k] = pack::load(values.data());
    }
    auto const n = some_contexts.size();
    auto tape = typename Policy<pack>::tape(n);
    auto drawn = std::vector<pack>(n), log_p = drawn, entropies = drawn;
    packed.sample(some_contexts, {.seed = 6}, tape, drawn);
    packed.evaluate(some_contexts, drawn, tape, log_p, entropies);
    auto gradient = std::vector<pack>(start.parameters().size(), pack(0.0));
    auto const c = std::vector<pack>(n, pack(1.5)), e = std::vector<pack>(n, pack(-0.3));
    packed.pullback(tape, c, e, gradient);
    auto actions_differ = false;
    for (std::size_t lane = 0; lane < pack::size; ++lane) {
        auto expected = std::vector<double>(gradient.size());
        for (std::uint32_t i = 0; i < n; ++i) {
            auto const a = alone[lane].sample(some_contexts[i],
                                              {.seed = 6, .replica = static_cast<std::uint32_t>(lane), .index = i});
            actions_differ |= drawn[i][lane] != drawn[i][0];
            CHECK(drawn[i][lane] == static_cast<double>(a));
            CHECK(close(log_p[i][lane], alone[lane].log_probability(some_contexts[i], a), 1e-13));
            CHECK(close(entropies[i][lane], alone[lane].entropy(some_contexts[i]), 1e-13));
            alone[lane].pullback(some_contexts[i], a, 1.5, expected);
            alone[lane].entropy_pullback(some_contexts[i], -0.3, expected);
        }
        for (std::size_t k = 0; k < expected.size(); ++k) CHECK(close(gradient[k][lane], expected[k], 1e-12));
    }
    CHECK(actions_differ);
}

template <class Policy>
void check_range(Policy const& policy) {
    auto tape = typename Policy::tape(2);
    auto values = std::vector<double>(2);
    auto drawn = std::vector<std::size_t>(2);
    auto const evaluate = [&](std::vector<std::size_t> const& at, std::vector<std::size_t> const& chosen) {
        policy.evaluate(at, chosen, tape, row(values), row<double>(nullptr, 0));
    };
    evaluate({0, contexts - 1}, {actions - 1, 0});
    CHECK_THROWS_WITH_AS(evaluate({0, 1}, {0, actions}),
                         "policy::evaluate: argument 'actions': expected numbers below 5, got 5",
                         poise::argument_error);
    CHECK_THROWS_WITH_AS(evaluate({contexts, 0}, {0, 0}),
                         "policy::evaluate: argument 'contexts': expected numbers below 3, got 3",
                         poise::argument_error);
    CHECK_THROWS_WITH_AS(policy.sample(std::vector<std::size_t>{0, 7}, {.seed = 1}, tape, drawn),
                         "policy::sample: argument 'contexts': expected numbers below 3, got 7",
                         poise::argument_error);
}

TEST_CASE("contexts and actions that there are not are refused") {
    check_range(random_tabular(1));
    check_range(random_simplex(1));
    check_range(random_log_linear(1));
    check_range(epsilon_uniform(random_tabular(1), 0.1));
    check_range(with_temperature(random_simplex(1), 0.5));
    check_range(mixture(mixing::linear{}, random_tabular(1), random_simplex(2), 0.25));
    CHECK_THROWS_WITH_AS(mixture(mixing::linear{}, tabular(3, 5), tabular(2, 5), 0.25),
                         "mixture: argument 'reference': expected 3 contexts, got 2", poise::argument_error);

    using pack = poise::lanes<double>;
    auto const per_lane = tabular_softmax<pack>(contexts, actions);
    auto tape = tabular_softmax<pack>::tape(1);
    auto const at = std::vector<std::size_t>{0};
    auto value = std::vector<pack>{pack(0)};
    for (auto const action : {5.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
        auto chosen = std::vector<pack>{pack(action)};
        CHECK_THROWS_WITH_AS(per_lane.evaluate(at, chosen, tape, row(value), row<pack>(nullptr, 0)),
                             "policy::evaluate: argument 'actions': expected numbers below 5, got another in a lane",
                             poise::argument_error);
    }
}

TEST_CASE("a policy per lane") {
    SUBCASE("tabular softmax") { check_lanes<tabular_softmax>(random_tabular(1)); }
    SUBCASE("simplex") { check_lanes<simplex>(random_simplex(1)); }
    SUBCASE("log-linear") { check_lanes<log_linear>(random_log_linear(1)); }
}

} // namespace
