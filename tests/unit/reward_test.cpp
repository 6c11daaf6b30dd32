#include "poise/core/lanes.hpp"
#include "poise/reward/composite.hpp"
#include "poise/reward/table.hpp"
#include "poise/reward/verifiable.hpp"

#include <doctest/doctest.h>

#include <array>
#include <span>
#include <string>

namespace {

using namespace poise;

TEST_CASE("a composite reward is the weighted sum of its rewards") {
    auto const helpful = reward::table<double>({1, 2, 3, 4}, 2);
    auto const brief = reward::table<double>({0.5, -0.5, 0.25, 8}, 2);
    auto composite = reward::composite{std::tuple{helpful, brief}, std::array{2.0, -1.0}};
    CHECK(composite.score(0, 0) == 1.5);
    CHECK(composite.score(1, 1) == 0);
    CHECK(composite.scores(1, 1) == std::array{4.0, 8.0});
    composite.weights[1] = 3; // as multipliers move
    CHECK(composite.score(0, 1) == 2.5);

    // Composites nest, and mix kinds of reward.
    auto const even = reward::verified_by<double, std::size_t, std::size_t>(
        [](std::size_t context, std::size_t action) { return (context + action) % 2 == 0; });
    auto const outer = reward::composite{std::tuple{composite, even}, std::array{1.0, 100.0}};
    CHECK(outer.score(0, 1) == 2.5);
    CHECK(outer.score(1, 1) == 132);
    CHECK(reward::bradley_terry<decltype(outer)>{outer}.preference(0, 1, 1) == 0.5);
}

TEST_CASE("a verifiable reward is 1 where its predicate holds, per lane for packs") {
    using pack = lanes<double>;
    auto const above = reward::verified_by<pack, std::size_t, pack>([](std::size_t, pack x) { return x > pack(1.5); });
    auto const score = above.score(0, pack::iota(0.0));
    for (std::size_t lane = 0; lane < pack::size; ++lane) CHECK(score[lane] == (lane > 1 ? 1 : 0));
}

TEST_CASE("an exact match is the context's answer, token by token, and nothing else") {
    using tokens = std::vector<int>;
    auto const reward = reward::exact_match<double, tokens>({{1, 2, 3}, {}});
    CHECK(reward.score(0, {1, 2, 3}) == 1);
    CHECK(reward.score(0, {1, 2}) == 0);
    CHECK(reward.score(0, {1, 2, 3, 0}) == 0);
    CHECK(reward.score(0, {1, 3, 2}) == 0);
    CHECK(reward.score(1, {}) == 1);
    CHECK(reward.score(1, {1}) == 0);
    // Answers and actions may be different kinds of sequence.
    auto const viewed = std::array{1, 2, 3};
    CHECK(reward.predicate(0, std::span(viewed)));
    CHECK_THROWS_WITH_AS((reward::exact_match<double, std::string>({})),
                         "exact_match: argument 'answers': expected one for each context, got 0", argument_error);
}

} // namespace
