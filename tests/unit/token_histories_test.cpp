#include "policy_checks.hpp"

#include "poise/policy/frozen.hpp"
#include "poise/policy/token_policy.hpp"

namespace {

using namespace policy_checks;
using namespace poise::policy;

constexpr std::size_t length = 3, vocabulary = 2, key = 1;
using sequence = token_sequence<length>;
template <class Histories>
using policy_of = token_policy<double, length, Histories>;

position_histories of_positions() { return {vocabulary, length}; }
keyed_histories of_key() { return {vocabulary, length, key}; }

/// All that can be said: every sequence has `length` tokens.
std::vector<sequence> everything() {
    auto all = std::vector<sequence>{};
    for (std::uint32_t n = 0; n < 8; ++n) all.push_back(sequence(std::array{n / 4, n / 2 % 2, n % 2}));
    return all;
}

template <class Histories>
void check_policy(Histories const& histories, std::size_t size) {
    static_assert(concepts::batched_token_policy<policy_of<Histories>> &&
                  concepts::has_kl_divergence<policy_of<Histories>>);
    CHECK(histories.size() == size);
    auto const policy = scattered(policy_of<Histories>(2, histories), 1);
    auto const other = scattered(policy_of<Histories>(2, histories), 2);
    CHECK(policy.parameters().size() == 2 * size * vocabulary);
    CHECK(policy.contexts() == 2);
    auto total = 0.0, entropy = 0.0, kl = 0.0;
    for (auto const& y : everything()) {
        auto const log_p = policy.log_probability(1, y);
        total += std::exp(log_p);
        entropy -= std::exp(log_p) * log_p;
        kl += std::exp(log_p) * (log_p - other.log_probability(1, y));
    }
    CHECK(total == doctest::Approx(1).epsilon(1e-14));
    CHECK(policy.entropy(1) == doctest::Approx(entropy).epsilon(1e-13));
    CHECK(policy.kl_divergence(1, other) == doctest::Approx(kl).epsilon(1e-13));
    check_derivatives(policy, other, std::size_t{1}, everything()[3]);
    check_batch(policy, std::vector<std::size_t>{1, 1, 0, 1, 0, 0});

    constexpr std::uint32_t draws = 20000;
    auto const all = everything();
    auto counts = std::vector<double>(all.size());
    for (std::uint32_t i = 0; i < draws; ++i) {
        auto const found = std::find(all.begin(), all.end(), policy.sample(1, {.seed = 8, .index = i}));
        REQUIRE(found != all.end());
        counts[static_cast<std::size_t>(found - all.begin())] += 1;
    }
    for (std::size_t k = 0; k < all.size(); ++k) {
        auto const p = std::exp(policy.log_probability(1, all[k]));
        CHECK(std::abs(counts[k] / draws - p) < 4 * std::sqrt(p * (1 - p) / draws));
    }
    CHECK_THROWS_WITH_AS(policy.log_probability(0, sequence(std::array{0u, 1u})),
                         "token_policy: argument 'sequence': expected the end token last, or the maximal length, got 2",
                         argument_error);
    CHECK_THROWS_AS(policy.log_probability(0, sequence(std::array{0u, 1u, 2u})), argument_error);
}

TEST_CASE("logits per position: tokens are independent of each other") {
    check_policy(of_positions(), 3);
    auto const policy = scattered(policy_of<position_histories>(2, of_positions()), 3);
    for (auto const& y : everything()) {
        auto expected = 0.0;
        for (std::size_t t = 0; t < length; ++t)
            expected += policy.logits(1, t)[y[t]] - log_sum_exp(policy.logits(1, t));
        CHECK(policy.log_probability(1, y) == doctest::Approx(expected).epsilon(1e-13));
    }
    CHECK(of_positions().next(2, 0) == 2); // no further
}

TEST_CASE("logits per position and key token: behind the key, tokens depend on it alone") {
    check_policy(of_key(), 2 + 2);
    auto const policy = scattered(policy_of<keyed_histories>(2, of_key()), 3);
    for (auto const& y : everything()) {
        auto const history = std::array<std::size_t, length>{0, 1, 2 + y[key]};
        auto expected = 0.0;
        for (std::size_t t = 0; t < length; ++t)
            expected += policy.logits(1, history[t])[y[t]] - log_sum_exp(policy.logits(1, history[t]));
        CHECK(policy.log_probability(1, y) == doctest::Approx(expected).epsilon(1e-13));
    }
    auto const longer = keyed_histories(4, 5, 1); // positions 0, 1, then 4 histories of each of 2, 3, 4
    CHECK(longer.size() == 2 + 3 * 4);
    auto h = std::size_t{0};
    auto seen = std::vector<std::size_t>{};
    for (std::uint32_t const token : {3u, 2u, 0u, 1u, 3u}) {
        seen.push_back(h);
        h = longer.next(h, token);
    }
    CHECK(seen == std::vector<std::size_t>{0, 1, 2 + 2, 6 + 2, 10 + 2});
    CHECK(h == 12); // no further
}

TEST_CASE("other histories: dual numbers, frozen copies, tokens of a batch") {
    auto const policy = scattered(policy_of<keyed_histories>(1, of_key()), 4);
    CHECK(policy.kl_divergence(0, frozen(policy)) == doctest::Approx(0).epsilon(1e-15));
    auto const contexts = std::vector<std::size_t>(8, 0);
    auto const all = everything();
    using pi = policy_of<keyed_histories>;
    auto tape = pi::tape(8);
    auto log_p = std::vector<double>(24), entropies = log_p, again = log_p;
    policy.evaluate_tokens(contexts, all, tape, log_p, entropies);
    frozen(policy).evaluate_tokens(contexts, all, tape, again, row<double>(nullptr, 0));
    CHECK(again == log_p);
    for (std::size_t i = 0; i < 8; ++i)
        CHECK(sum(row<double const>(log_p.data() + 3 * i, 3)) ==
              doctest::Approx(policy.log_probability(0, all[i])).epsilon(1e-14));
    CHECK(entropies[2] == doctest::Approx(entropies[5]).epsilon(1e-15)); // both with token 0 at the key
}

TEST_CASE("histories refuse what there is not") {
    CHECK_THROWS_WITH_AS(keyed_histories(2, 3, 2),
                         "keyed_histories: argument 'key': expected a position before the last, got 2", argument_error);
    CHECK_THROWS_AS(position_histories(2, 0), argument_error);
    CHECK_THROWS_AS(position_histories(0, 2), argument_error);
}

} // namespace
