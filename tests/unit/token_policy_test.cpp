#include "policy_checks.hpp"

#include "poise/policy/frozen.hpp"
#include "poise/policy/token_policy.hpp"

namespace {

using namespace policy_checks;
using namespace poise::policy;

constexpr std::size_t length = 3, vocabulary = 3; // tokens 0 and 1, the end is 2
using policy_of_tokens = token_policy<double, length>;
using sequence = token_sequence<length>;

policy_of_tokens random_policy(std::uint64_t seed, std::size_t order) {
    return scattered(policy_of_tokens(2, vocabulary, order), seed);
}

sequence of(std::initializer_list<std::uint32_t> tokens) { return sequence(std::span(tokens.begin(), tokens.size())); }

/// All that can be said in three tokens.
std::vector<sequence> everything() {
    auto all = std::vector<sequence>{of({2})};
    for (std::uint32_t a = 0; a < 2; ++a) {
        all.push_back(of({a, 2}));
        for (std::uint32_t b = 0; b < 2; ++b)
            for (std::uint32_t c = 0; c < 3; ++c) all.push_back(of({a, b, c}));
    }
    return all;
}

TEST_CASE("histories are the last tokens") {
    auto const bigram = token_histories(4, 2); // three tokens and the end
    CHECK(bigram.size() == 1 + 3 + 9);
    CHECK(bigram.end_token() == 3);
    auto const after = [&](std::initializer_list<std::uint32_t> tokens) {
        auto h = std::size_t{0};
        for (auto const token : tokens) h = bigram.next(h, token);
        return h;
    };
    CHECK(after({2}) == 3);
    CHECK(after({0, 1, 2}) == after({2, 1, 2}));
    CHECK(after({0, 1, 2}) == after({1, 2}));
    CHECK(after({1, 2}) != after({2, 1}));
    CHECK(after({2}) != after({2, 2}));
    auto seen = std::vector<std::size_t>{0};
    for (std::uint32_t a = 0; a < 3; ++a) {
        seen.push_back(after({a}));
        for (std::uint32_t b = 0; b < 3; ++b) seen.push_back(after({a, b}));
    }
    std::sort(seen.begin(), seen.end());
    for (std::size_t k = 0; k < seen.size(); ++k) CHECK(seen[k] == k);
    auto const unigram = token_histories(4, 0);
    CHECK(unigram.size() == 1);
    CHECK(unigram.next(0, 2) == 0);
}

TEST_CASE("token policy: sequences, by sums over all of them") {
    static_assert(concepts::batched_policy<policy_of_tokens> && concepts::has_kl_divergence<policy_of_tokens> &&
                  concepts::batched_policy<token_policy<float, 5>>);
    for (std::size_t order = 0; order < length; ++order) {
        CAPTURE(order);
        auto const policy = random_policy(1, order), other = random_policy(2, order);
        auto total = 0.0, entropy = 0.0, kl = 0.0;
        auto mean_score = std::vector<double>(policy.parameters().size()), fisher = mean_score, expected = mean_score;
        auto const v = random_numbers(mean_score.size(), 3);
        for (auto const& y : everything()) {
            auto const log_p = policy.log_probability(1, y), p = std::exp(log_p);
            total += p;
            entropy -= p * log_p;
            kl += p * (log_p - other.log_probability(1, y));
            auto const score = gradient_by(policy, [&](auto const& pi, auto g) { pi.pullback(1, y, 1.0, g); });
            auto const along = weighted_sum(row(v), row(score));
            for (std::size_t k = 0; k < score.size(); ++k) {
                mean_score[k] += p * score[k];
                expected[k] += p * along * score[k];
            }
        }
        CHECK(total == doctest::Approx(1).epsilon(1e-14));
        CHECK(policy.entropy(1) == doctest::Approx(entropy).epsilon(1e-13));
        CHECK(policy.kl_divergence(1, other) == doctest::Approx(kl).epsilon(1e-13));
        CHECK(policy.kl_divergence(1, frozen(other)) == policy.kl_divergence(1, other));
        for (auto const value : mean_score) CHECK(std::abs(value) < 1e-14);
        policy::fisher_vector_product(policy, std::size_t{1}, v, fisher);
        CHECK(distance(fisher, expected) < 1e-13);
        check_derivatives(policy, other, std::size_t{1}, of({0, 1, 2}));
        check_batch(policy, std::vector<std::size_t>{1, 1, 0, 1, 0, 0});
    }
}

TEST_CASE("token policy: tokens") {
    auto const policy = random_policy(1, 1);
    auto const y = of({1, 0, 0});
    auto log_p = std::array<double, length>{}, entropies = log_p;
    policy.token_log_probabilities(0, y, row(log_p));
    policy.token_entropies(0, y, row(entropies));
    CHECK(sum(row(log_p)) == doctest::Approx(policy.log_probability(0, y)).epsilon(1e-14));
    auto next = std::array<double, vocabulary>{};
    auto const after_0 = policy.histories().next(0, 0);
    log_softmax(row(next), policy.logits(0, after_0));
    CHECK(log_p[2] == doctest::Approx(next[0]).epsilon(1e-14));
    softmax(row(next), policy.logits(0, after_0));
    CHECK(entropies[2] == doctest::Approx(entropy(row(next))).epsilon(1e-14));
    policy.token_log_probabilities(0, of({2}), row(log_p));
    CHECK(log_p[1] == 0);
    CHECK(log_p[2] == 0);

    auto const cotangents = std::array{0.5, -1.0, 2.0};
    auto const weighed = [&](auto const& moved, auto const& values) {
        auto out = std::array<dual<double>, length>{};
        values(moved, row(out));
        auto total = dual<double>();
        for (std::size_t t = 0; t < length; ++t) total += dual<double>(cotangents[t]) * out[t];
        return total;
    };
    CHECK(distance(gradient_by(policy, [&](auto const& p, auto g) { p.pullback(0, y, row(cotangents), g); }),
                   by_duals(policy, [&](auto const& moved) {
                       return weighed(moved, [&](auto const& p, auto out) { p.token_log_probabilities(0, y, out); });
                   })) < 1e-13);
    CHECK(distance(
              gradient_by(policy, [&](auto const& p, auto g) { p.token_entropy_pullback(0, y, row(cotangents), g); }),
              by_duals(policy, [&](auto const& moved) {
                  return weighed(moved, [&](auto const& p, auto out) { p.token_entropies(0, y, out); });
              })) < 1e-13);
}

TEST_CASE("token policy: tokens of a batch") {
    auto const policy = random_policy(1, 2);
    auto const contexts = std::vector<std::size_t>{1, 0, 1};
    auto const sequences = std::vector<sequence>{of({2}), of({0, 2}), of({1, 0, 1})};
    auto tape = policy_of_tokens::tape(3);
    auto log_p = std::vector<double>(9), entropies = log_p;
    policy.evaluate_tokens(contexts, sequences, tape, log_p, entropies);
    auto const c = random_numbers(9, 4), e = random_numbers(9, 5);
    auto gradient = std::vector<double>(policy.parameters().size()), expected = gradient;
    policy.pullback_tokens(tape, c, e, gradient);
    for (std::size_t i = 0; i < 3; ++i) {
        auto alone = std::array<double, length>{};
        policy.token_log_probabilities(contexts[i], sequences[i], row(alone));
        for (std::size_t t = 0; t < length; ++t) CHECK(log_p[i * length + t] == alone[t]);
        policy.token_entropies(contexts[i], sequences[i], row(alone));
        for (std::size_t t = 0; t < length; ++t) CHECK(entropies[i * length + t] == alone[t]);
        policy.pullback(contexts[i], sequences[i], row(c.data() + i * length, length), expected);
        policy.token_entropy_pullback(contexts[i], sequences[i], row(e.data() + i * length, length), expected);
    }
    CHECK(distance(gradient, expected) < 1e-14);
    CHECK_THROWS_AS(policy.pullback_tokens(tape, std::span(c).first(8), e, gradient), argument_error);

    // What any policy of tokens has, sample by sample, is the same; so is one kind of cotangent alone, and parameters
    // that have moved between two evaluations.
    auto const& one_by_one = static_cast<token_batches<policy_of_tokens, double, length> const&>(policy);
    auto other_tape = policy_of_tokens::tape(3);
    auto other_log_p = log_p, other_entropies = log_p;
    auto other = std::vector<double>(gradient.size());
    one_by_one.evaluate_tokens(contexts, sequences, other_tape, other_log_p, other_entropies);
    one_by_one.pullback_tokens(other_tape, c, e, other);
    CHECK(distance(other, gradient) < 1e-14);
    CHECK(distance(other_log_p, log_p) < 1e-14);
    CHECK(distance(other_entropies, entropies) < 1e-14);
    auto moved = scattered(policy, 6);
    auto const nothing = row<double const>(nullptr, 0);
    for (auto const& [of_log_p, of_entropies] :
         {std::pair{row<double const>(c), nothing}, {nothing, row<double const>(e)}}) {
        moved.evaluate_tokens(contexts, sequences, tape, log_p, row<double>(nullptr, 0));
        std::ranges::fill(gradient, 0.0);
        std::ranges::fill(other, 0.0);
        moved.pullback_tokens(tape, of_log_p, of_entropies, gradient);
        moved.token_batches<policy_of_tokens, double, length>::pullback_tokens(tape, of_log_p, of_entropies, other);
        CHECK(distance(gradient, other) < 1e-14);
        CHECK(log_p[0] == doctest::Approx(moved.log_probability(contexts[0], sequences[0])).epsilon(1e-14));
    }
}

TEST_CASE("token policy: frequencies of draws") {
    auto const policy = random_policy(7, 1);
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
    CHECK(policy.sample(1, {.seed = 8, .index = 5}) == policy.sample(1, {.seed = 8, .index = 5}));
}

TEST_CASE("token policy: tokens that never come") {
    auto policy = random_policy(1, 1);
    policy.logits(0, 0)[1] = -everywhere::infinity;
    CHECK(policy.log_probability(0, of({1, 2})) == -everywhere::infinity);
    auto expected = 0.0;
    for (auto const& y : everything()) {
        auto const log_p = policy.log_probability(0, y);
        if (std::isfinite(log_p)) expected -= std::exp(log_p) * log_p;
    }
    CHECK(policy.entropy(0) == doctest::Approx(expected).epsilon(1e-13));
    auto gradient = std::vector<double>(policy.parameters().size());
    policy.entropy_pullback(0, 1.0, gradient);
    for (auto const value : gradient) CHECK(std::isfinite(value));
    CHECK(gradient[1] == 0);
}

TEST_CASE("token policy: what is refused") {
    auto const policy = random_policy(1, 1);
    CHECK_THROWS_WITH_AS(policy.log_probability(0, of({0, 1})),
                         "token_policy: argument 'sequence': expected the end token last, or the maximal length, got 2",
                         argument_error);
    CHECK_THROWS_AS(policy.log_probability(0, sequence()), argument_error);
    CHECK_THROWS_AS(policy.log_probability(0, of({2, 1, 2})), argument_error); // goes on after the end
    CHECK_THROWS_AS(policy.log_probability(0, of({0, 3, 2})), argument_error); // not in the vocabulary
    CHECK_THROWS_AS(of({0, 0, 0, 2}), argument_error);
    CHECK_THROWS_AS(policy_of_tokens(1, 1, 0), argument_error);
    CHECK_THROWS_AS(policy_of_tokens(1, 3, 3), argument_error);
    auto short_row = std::array<double, 2>{};
    CHECK_THROWS_AS(policy.token_log_probabilities(0, of({0, 1, 1}), row(short_row)), argument_error);
    auto tape = policy_of_tokens::tape(1);
    auto drawn = std::vector<sequence>(1);
    auto const beyond = std::vector<std::size_t>{policy.contexts()};
    auto value = std::array<double, 1>{};
    CHECK_THROWS_AS(policy.sample(beyond, {.seed = 1}, tape, drawn), argument_error);
    drawn[0] = of({0, 2});
    CHECK_THROWS_AS(policy.evaluate(beyond, drawn, tape, row<double>(nullptr, 0), row(value)), argument_error);
}

} // namespace
