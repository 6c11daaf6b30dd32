#include "random_checksum.hpp"

#include "poise/core/lane_row.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numbers>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

using namespace poise;
namespace exact = poise::random::exact;
using poise::random::address;

namespace {

constexpr auto draws_at = random::generator{.seed = 20240607, .replica = 5};

template <class Draw>
std::vector<double> sample(std::size_t n, Draw draw) {
    auto x = std::vector<double>(n);
    random::fill(draws_at.at(0), x, draw);
    return x;
}

double mean_of(std::vector<double> const& x) {
    auto sum = 0.0;
    for (auto const v : x) sum += v;
    return sum / static_cast<double>(x.size());
}

double variance_of(std::vector<double> const& x) {
    auto const centre = mean_of(x);
    auto sum = 0.0;
    for (auto const v : x) sum += (v - centre) * (v - centre);
    return sum / static_cast<double>(x.size() - 1);
}

// sqrt(n) sup |F_n - F|; exceeds 1.95 with probability 0.001 for a sample of F.
template <class Cdf>
double kolmogorov_smirnov(std::vector<double> x, Cdf cdf) {
    std::sort(x.begin(), x.end());
    auto const n = static_cast<double>(x.size());
    auto distance = 0.0;
    for (std::size_t k = 0; k < x.size(); ++k) {
        auto const f = cdf(x[k]);
        auto const below = static_cast<double>(k) / n, above = static_cast<double>(k + 1) / n;
        distance = std::max({distance, f - below, above - f});
    }
    return distance * std::sqrt(n);
}
constexpr auto kolmogorov_bound = 1.95;

// |mean - expected| in standard errors.
double standard_errors_off(std::vector<double> const& x, double expected) {
    return std::abs(mean_of(x) - expected) / std::sqrt(variance_of(x) / static_cast<double>(x.size()));
}

// The same for the variance, about the exact mean.
double standard_errors_of_variance_off(std::vector<double> x, double mean, double expected) {
    for (auto& v : x) v = (v - mean) * (v - mean);
    return standard_errors_off(x, expected);
}

double chi_square(std::vector<std::size_t> const& counts, std::vector<double> const& probabilities) {
    auto total = 0.0, sum = 0.0;
    for (auto const c : counts) total += static_cast<double>(c);
    for (std::size_t k = 0; k < counts.size(); ++k) {
        auto const expected = total * probabilities[k];
        if (expected == 0) continue;
        auto const difference = static_cast<double>(counts[k]) - expected;
        sum += difference * difference / expected;
    }
    return sum;
}

double units_in_last_place(double value, long double truth) {
    auto const rounded = std::abs(static_cast<double>(truth));
    auto const unit = std::nextafter(rounded, std::numeric_limits<double>::infinity()) - rounded;
    return static_cast<double>(std::abs(static_cast<long double>(value) - truth) / unit);
}

constexpr std::size_t n = 20000;

} // namespace

TEST_CASE("philox gives the known answers of Random123, at run time and in constant expressions") {
    struct known_answer {
        std::array<std::uint32_t, 4> counter;
        std::uint64_t key;
        std::array<std::uint32_t, 4> block;
    };
    // Random123's tests/kat_vectors, philox4x32 of 10 rounds.
    static constexpr auto known = std::array<known_answer, 3>{{
        {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         0xffffffffffffffff,
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         0x299f31d0a4093822,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    }};
    static_assert(random::philox(known[0].counter, known[0].key) == known[0].block);
    static_assert(random::philox(known[1].counter, known[1].key) == known[1].block);
    static_assert(random::philox(known[2].counter, known[2].key) == known[2].block);
    for (auto const& [counter, key, block] : known) CHECK(random::philox(counter, key) == block);
}

TEST_CASE("every draw has the bits it has on every compiler and machine") {
    CHECK(random_checksum::on_this_cpu() == random_checksum::expected);
}

TEST_CASE("draws made from integers are constant expressions, and the same at run time") {
    static constexpr auto where = draws_at.at(3, 4);
    constexpr auto u = random::uniform<double>(where);
    constexpr auto k = random::categorical(where, std::array{0.2, 0.0, 0.8});
    constexpr auto b = random::bernoulli(where, 0.4);
    constexpr auto order = [] {
        auto row = std::array<int, 5>{};
        random::permutation(where, row);
        return row;
    }();
    auto at_run_time = std::array<int, 5>{};
    random::permutation(where, at_run_time);
    CHECK(order == at_run_time);
    CHECK(u == random::uniform<double>(where));
    CHECK(k == random::categorical(where, std::array{0.2, 0.0, 0.8}));
    CHECK(b == random::bernoulli(where, 0.4));
}

TEST_CASE("each part of the address matters, and the words of an address follow on") {
    auto const base = address{.seed = 1, .replica = 2, .step = 3, .index = 4};
    auto seen = std::set<std::uint64_t>{};
    for (auto const& where : {base, address{2, 2, 3, 4}, address{1ull << 40 | 1, 2, 3, 4}, address{1, 3, 3, 4},
                              address{1, 2, 4, 4}, address{1, 2, 3, 5}}) {
        auto words = random::word_sequence(where);
        for (int k = 0; k < 6; ++k) seen.insert(words());
    }
    CHECK(seen.size() == 36);
    CHECK(random::generator{1, 2}.at(3, 4) == base);
    CHECK(std::uniform_int_distribution<int>(0, 9)(*std::make_unique<random::word_sequence>(base)) < 10);
}

TEST_CASE("exact functions are accurate to about a unit in the last place") {
    auto worst_log = 0.0, worst_exp = 0.0, worst_turn = 0.0;
    auto engine = random::word_sequence(draws_at.at(1));
    auto const unit = [&] { return random::detail::open_unit(engine()); };
    for (int i = 0; i < 200000; ++i) {
        auto const x = i % 2 ? unit() : std::ldexp(0.5 + unit(), static_cast<int>(engine() % 2000) - 1000);
        worst_log = std::max(worst_log, units_in_last_place(exact::log(x), std::log(static_cast<long double>(x))));
        auto const near_one = 1.0 + (unit() - 0.5) * std::ldexp(1.0, -static_cast<int>(engine() % 40));
        worst_log = std::max(worst_log,
                             units_in_last_place(exact::log(near_one), std::log(static_cast<long double>(near_one))));
        auto const y = i % 2 ? 1416 * unit() - 707 : unit() - 0.5;
        worst_exp = std::max(worst_exp, units_in_last_place(exact::exp(y), std::exp(static_cast<long double>(y))));
        auto const turn = i % 2 ? unit() : std::ldexp(unit(), -20);
        auto const [cosine, sine] = exact::cosine_and_sine_of_turns(turn);
        // Reduced exactly before the long double functions, whose pi is not exact enough near a zero.
        auto const quarter = std::floor(4.0L * turn + 0.5L);
        auto const angle = (4.0L * turn - quarter) * (std::numbers::pi_v<long double> / 2);
        auto const c = std::cos(angle), s = std::sin(angle);
        auto const truth_cosine = std::array{c, -s, -c, s}[static_cast<std::size_t>(quarter) % 4];
        auto const truth_sine = std::array{s, c, -s, -c}[static_cast<std::size_t>(quarter) % 4];
        worst_turn =
            std::max({worst_turn, units_in_last_place(cosine, truth_cosine), units_in_last_place(sine, truth_sine)});
    }
    MESSAGE("worst errors in units in the last place: log " << worst_log << ", exp " << worst_exp
                                                            << ", sine and cosine " << worst_turn);
    CHECK(worst_log < 1.0);
    CHECK(worst_exp < 1.0);
    CHECK(worst_turn < 1.25);
    CHECK(exact::log(1.0) == 0.0);
    CHECK(exact::exp(0.0) == 1.0);
    CHECK(exact::exp(-1000.0) == 0.0);
    CHECK(exact::exp(-std::numeric_limits<double>::infinity()) == 0.0);
    CHECK(exact::exp(1000.0) == std::numeric_limits<double>::infinity());
    CHECK(std::isnan(exact::exp(std::numeric_limits<double>::quiet_NaN())));
}

TEST_CASE("uniform: the law, the open ends, and float as double rounded down") {
    auto const x = sample(n, [](auto a) { return random::uniform<double>(a); });
    CHECK(kolmogorov_smirnov(x, [](double u) { return u; }) < kolmogorov_bound);
    CHECK(standard_errors_of_variance_off(x, 0.5, 1.0 / 12) < 3.5);

    CHECK(random::detail::open_unit(std::uint64_t{0}) == 0x1p-53);
    CHECK(random::detail::open_unit(~std::uint64_t{0}) == 1 - 0x1p-53);
    CHECK(random::detail::round_down(0x1p-53) == 0x1p-53f);
    CHECK(random::detail::round_down(1 - 0x1p-53) == 1 - 0x1p-24f);
    for (int k = 0; k < 10000; ++k) {
        auto const exact_draw = random::uniform<double>(draws_at.at(2, k));
        auto const coarse = random::uniform<float>(draws_at.at(2, k));
        REQUIRE(static_cast<double>(coarse) <= exact_draw);
        REQUIRE(static_cast<double>(std::nextafter(coarse, 2.0f)) > exact_draw);
    }
}

TEST_CASE("exponential, Gumbel and normal follow their laws") {
    auto const exponential = sample(n, [](auto a) { return random::exponential<double>(a); });
    CHECK(kolmogorov_smirnov(exponential, [](double v) { return -std::expm1(-v); }) < kolmogorov_bound);
    CHECK(standard_errors_off(exponential, 1) < 3.5);

    auto const gumbel = sample(n, [](auto a) { return random::gumbel<double>(a); });
    CHECK(kolmogorov_smirnov(gumbel, [](double v) { return std::exp(-std::exp(-v)); }) < kolmogorov_bound);
    CHECK(standard_errors_off(gumbel, std::numbers::egamma) < 3.5);
    CHECK(standard_errors_of_variance_off(gumbel, std::numbers::egamma, std::numbers::pi * std::numbers::pi / 6) < 3.5);

    auto const normal_cdf = [](double v) { return std::erfc(-v / std::numbers::sqrt2) / 2; };
    auto const normal = sample(n, [](auto a) { return random::normal<double>(a); });
    CHECK(kolmogorov_smirnov(normal, normal_cdf) < kolmogorov_bound);
    CHECK(standard_errors_off(normal, 0) < 3.5);
    CHECK(standard_errors_of_variance_off(normal, 0, 1) < 2.5); // a variance of 0.965 fails
    auto fourth = normal;
    for (auto& v : fourth) v = v * v * v * v;
    CHECK(standard_errors_off(fourth, 3) < 3.5);

    auto const second = sample(n, [](auto a) { return random::normal_pair<double>(a)[1]; });
    CHECK(kolmogorov_smirnov(second, normal_cdf) < kolmogorov_bound);
    auto products = std::vector<double>(n), squares = products;
    for (std::size_t k = 0; k < n; ++k) products[k] = normal[k] * second[k], squares[k] = products[k] * products[k];
    CHECK(standard_errors_off(products, 0) < 3.5);
    CHECK(standard_errors_off(squares, 1) < 3.5);
    CHECK(random::normal_pair<double>(draws_at.at(9))[0] == random::normal<double>(draws_at.at(9)));
}

TEST_CASE("neighbouring addresses are uncorrelated in every direction") {
    auto const correlation = [](auto neighbour) {
        auto products = std::vector<double>(n);
        for (std::uint32_t k = 0; k < n; ++k) {
            auto const where = address{.seed = 3, .replica = k % 11, .step = k % 97, .index = k};
            products[k] = (random::uniform<double>(where) - 0.5) * (random::uniform<double>(neighbour(where)) - 0.5);
        }
        return standard_errors_off(products, 0);
    };
    CHECK(correlation([](address a) { return ++a.seed, a; }) < 3.5);
    CHECK(correlation([](address a) { return ++a.replica, a; }) < 3.5);
    CHECK(correlation([](address a) { return ++a.step, a; }) < 3.5);
    CHECK(correlation([](address a) { return ++a.index, a; }) < 3.5);
}

TEST_CASE("gamma follows its law below, at and above shape 1") {
    auto const gamma_of = [](double shape) {
        return sample(n, [=](auto a) { return random::gamma<double>(a, shape); });
    };
    CHECK(kolmogorov_smirnov(gamma_of(0.5), [](double v) { return std::erf(std::sqrt(v)); }) < kolmogorov_bound);
    CHECK(kolmogorov_smirnov(gamma_of(1), [](double v) { return -std::expm1(-v); }) < kolmogorov_bound);
    CHECK(kolmogorov_smirnov(gamma_of(3), [](double v) { return 1 - std::exp(-v) * (1 + v + v * v / 2); }) <
          kolmogorov_bound);
    for (auto const shape : {0.1, 0.7, 2.5, 40.0, 1e8}) {
        auto const x = gamma_of(shape);
        CHECK(standard_errors_off(x, shape) < 3.5);
        CHECK(standard_errors_of_variance_off(x, shape, shape) < 3.5);
    }
    // Its logarithm is finite where it underflows itself: E log X = digamma(shape), about -1/shape.
    auto const tiny = sample(n, [](auto a) {
        auto words = random::word_sequence(a);
        return random::detail::log_gamma_draw(words, 1e-4);
    });
    CHECK(standard_errors_off(tiny, -10000.577) < 3.5);
}

TEST_CASE("beta follows its law") {
    auto const arcsine = sample(n, [](auto a) { return random::beta<double>(a, 0.5, 0.5); });
    CHECK(kolmogorov_smirnov(arcsine, [](double v) { return 2 / std::numbers::pi * std::asin(std::sqrt(v)); }) <
          kolmogorov_bound);
    auto const skew = sample(n, [](auto a) { return random::beta<double>(a, 2.0, 3.0f); });
    CHECK(kolmogorov_smirnov(skew, [](double v) { return v * v * (6 - 8 * v + 3 * v * v); }) < kolmogorov_bound);
}

TEST_CASE("Dirichlet has the moments of its law and lies on the simplex") {
    auto const alpha = std::array{0.3, 1.0, 2.7};
    auto components = std::array<std::vector<double>, 3>{};
    auto product_01 = std::vector<double>{};
    for (std::size_t k = 0; k < n; ++k) {
        auto x = std::array<double, 3>{};
        random::dirichlet(draws_at.at(0, k), std::span(alpha), x);
        REQUIRE(std::abs(x[0] + x[1] + x[2] - 1) < 1e-14);
        for (std::size_t i = 0; i < 3; ++i) components[i].push_back(x[i]);
        product_01.push_back(x[0] * x[1]);
    }
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(standard_errors_off(components[i], alpha[i] / 4) < 3.5);
        CHECK(standard_errors_of_variance_off(components[i], alpha[i] / 4, alpha[i] * (4 - alpha[i]) / (16 * 5)) < 3.5);
    }
    CHECK(standard_errors_off(product_01, alpha[0] * alpha[1] / (4 * 5)) < 3.5);

    // Alphas so small that each gamma is 0 in double: a vertex, in proportion to alpha.
    auto counts = std::vector<std::size_t>(2);
    for (std::size_t k = 0; k < 4000; ++k) {
        auto x = std::vector<float>{2e-5f, 6e-5f};
        random::dirichlet(draws_at.at(1, k), x, x);
        REQUIRE(x[0] + x[1] == 1.0f);
        ++counts[x[1] > 0.5f];
    }
    CHECK(chi_square(counts, {0.25, 0.75}) < 10.8);
}

TEST_CASE("Bernoulli: frequency, certainty, and the same answer for float and double") {
    auto const x = sample(n, [](auto a) { return random::bernoulli(a, 0.3) ? 1.0 : 0.0; });
    CHECK(standard_errors_off(x, 0.3) < 3.5);
    for (int k = 0; k < 1000; ++k) {
        CHECK_FALSE(random::bernoulli(draws_at.at(0, k), 0.0));
        CHECK(random::bernoulli(draws_at.at(0, k), 1.0));
        CHECK(random::bernoulli(draws_at.at(0, k), 0.7f) == random::bernoulli(draws_at.at(0, k), double{0.7f}));
    }
}

TEST_CASE("uniform_integer is uniform, also where a plain remainder would not be") {
    auto counts = std::vector<std::size_t>(7);
    for (std::size_t k = 0; k < n; ++k) ++counts[random::uniform_integer(draws_at.at(0, k), 7)];
    CHECK(chi_square(counts, std::vector<double>(7, 1.0 / 7)) < 22.5); // 6 degrees of freedom, p = 0.001

    // 2^64 mod n = n / 3: words % n would make the first third of the range twice as likely.
    constexpr auto large = std::uint64_t{3} << 62;
    auto thirds = std::vector<std::size_t>(3);
    for (std::size_t k = 0; k < n; ++k) ++thirds[random::uniform_integer(draws_at.at(0, k), large) >> 62];
    CHECK(chi_square(thirds, std::vector<double>(3, 1.0 / 3)) < 13.8);
    CHECK(random::uniform_integer(draws_at.at(0), 1) == 0);
}

TEST_CASE("categorical: frequencies from weights and from logits, never an impossible index") {
    auto const weights = std::vector<double>{0.0, 1.5, 0.0, 3.0, 0.5, 0.0};
    auto logits = std::vector<double>{};
    for (auto const w : weights) logits.push_back(std::log(w) + 17);
    auto by_weight = std::vector<std::size_t>(6), by_logit = by_weight;
    for (std::size_t k = 0; k < n; ++k) {
        ++by_weight[random::categorical(draws_at.at(0, k), weights)];
        ++by_logit[random::categorical_from_logits(draws_at.at(0, k), logits)];
    }
    for (auto const& counts : {by_weight, by_logit}) {
        CHECK(counts[0] + counts[2] + counts[5] == 0);
        CHECK(chi_square(counts, {0, 0.3, 0, 0.6, 0.1, 0}) < 13.8); // 2 degrees of freedom, p = 0.001
    }
    // The product U total rounds up to the total of denormal weights: the last possible index, not the one past it.
    auto const denormal = std::array{0.0, 4.9e-324, 0.0};
    for (int k = 0; k < 100; ++k) CHECK(random::categorical(draws_at.at(0, k), denormal) == 1);
    CHECK(random::categorical(draws_at.at(0), std::array{2.5f}) == 0);
}

TEST_CASE("permutation: all 24 orders of 4 equally often, any integer row, long rows whole") {
    auto places = std::map<std::array<int, 4>, std::size_t>{};
    for (std::size_t k = 0; k < n; ++k) {
        auto order = std::array<int, 4>{};
        random::permutation(draws_at.at(0, k), order);
        ++places[order];
    }
    REQUIRE(places.size() == 24);
    auto counts = std::vector<std::size_t>{};
    for (auto const& [order, count] : places) counts.push_back(count);
    CHECK(chi_square(counts, std::vector<double>(24, 1.0 / 24)) < 49.7); // 23 degrees of freedom, p = 0.001

    auto bytes = std::vector<std::uint8_t>(256);
    random::permutation(draws_at.at(0), bytes);
    CHECK(std::set<int>(bytes.begin(), bytes.end()).size() == 256);
    auto reals = std::vector<float>(256);
    random::permutation(draws_at.at(0), reals);
    CHECK(std::equal(bytes.begin(), bytes.end(), reals.begin()));
    auto nothing = std::vector<int>{};
    random::permutation(draws_at.at(0), nothing);
}

TEST_CASE_TEMPLATE("lane i of a pack is the draw of replica + i", Real, float, double) {
    using pack = poise::lanes<Real>;
    auto const first = draws_at.at(6, 7);
    auto const check = [&](pack drawn, auto scalar_draw) {
        for (std::size_t i = 0; i < pack::size; ++i) {
            auto where = first;
            where.replica += static_cast<std::uint32_t>(i);
            CHECK(drawn[i] == static_cast<Real>(scalar_draw(where)));
        }
    };
    check(random::uniform<pack>(first), [](address a) { return random::uniform<Real>(a); });
    check(random::normal<pack>(first), [](address a) { return random::normal<Real>(a); });
    check(random::normal_pair<pack>(first)[1], [](address a) { return random::normal_pair<Real>(a)[1]; });
    check(random::gumbel<pack>(first), [](address a) { return random::gumbel<Real>(a); });
    check(random::exponential<pack>(first), [](address a) { return random::exponential<Real>(a); });
    check(random::gamma<pack>(first, 0.4), [](address a) { return random::gamma<Real>(a, 0.4); });
    check(random::beta<pack>(first, pack(Real(2)), 3), [](address a) { return random::beta<Real>(a, 2, 3); });
    auto const half = poise::math::select(random::bernoulli(first, pack(Real(0.5))), pack(Real(1)), pack(Real(0)));
    check(half, [](address a) { return random::bernoulli(a, Real(0.5)); });

    // Rows of packs: a different row in each lane.
    auto const count = pack::iota(Real(1));
    auto const rows = std::array{count, pack(Real(2)), pack(Real(3)) / count};
    auto row_of = [&](address a) {
        auto const i = a.replica - first.replica;
        return std::array{rows[0][i], rows[1][i], rows[2][i]};
    };
    check(random::categorical(first, rows), [&](address a) { return random::categorical(a, row_of(a)); });
    check(random::categorical_from_logits(first, rows),
          [&](address a) { return random::categorical_from_logits(a, row_of(a)); });
    auto simplex = std::array<pack, 3>{};
    random::dirichlet(first, rows, simplex);
    for (std::size_t k = 0; k < 3; ++k) {
        check(simplex[k], [&](address a) {
            auto x = std::array<Real, 3>{};
            random::dirichlet(a, row_of(a), x);
            return x[k];
        });
    }
}

TEST_CASE("float draws are the double draws, rounded") {
    for (int k = 0; k < 1000; ++k) {
        auto const a = draws_at.at(4, k);
        CHECK(random::normal<float>(a) == static_cast<float>(random::normal<double>(a)));
        CHECK(random::gumbel<float>(a) == static_cast<float>(random::gumbel<double>(a)));
        CHECK(random::gamma<float>(a, 0.2) == static_cast<float>(random::gamma<double>(a, 0.2)));
    }
}

TEST_CASE("bad arguments are named, with what was expected and what came") {
    auto const where = draws_at.at(0);
    auto const nan = std::numeric_limits<double>::quiet_NaN();
    auto out = std::vector<double>(2);
    using poise::argument_error, poise::domain_violation;
    CHECK_THROWS_WITH_AS(random::bernoulli(where, 1.5),
                         "random::bernoulli: argument 'p': expected a probability in [0, 1], got 1.5",
                         domain_violation);
    CHECK_THROWS_AS(random::bernoulli(where, nan), domain_violation);
    CHECK_THROWS_WITH_AS(random::gamma<double>(where, -2.0),
                         "random::gamma: argument 'shape': expected a positive finite number, got -2",
                         domain_violation);
    CHECK_THROWS_AS(random::gamma<double>(where, nan), domain_violation);
    CHECK_THROWS_AS(random::beta<double>(where, 1.0, 0.0), domain_violation);
    CHECK_THROWS_AS(random::dirichlet(where, std::vector{1.0, -1.0}, out), domain_violation);
    CHECK_THROWS_WITH_AS(random::dirichlet(where, std::vector{1.0, 1.0, 1.0}, out),
                         "random::dirichlet: argument 'out': expected a row as long as alpha, got 2", argument_error);
    CHECK_THROWS_AS(random::dirichlet(where, std::vector<double>{}, out), argument_error);
    CHECK_THROWS_WITH_AS(random::categorical(where, std::vector<double>{}),
                         "random::categorical: argument 'weights': expected at least one element, got none",
                         argument_error);
    CHECK_THROWS_AS(random::categorical(where, std::vector{0.5, -0.1}), domain_violation);
    CHECK_THROWS_AS(random::categorical(where, std::vector{0.5, nan}), domain_violation);
    CHECK_THROWS_AS(random::categorical(where, std::vector{0.0, 0.0}), domain_violation);
    CHECK_THROWS_AS(random::categorical_from_logits(where, std::vector<double>{}), argument_error);
    CHECK_THROWS_AS(random::categorical_from_logits(where, std::vector{nan, 0.0}), domain_violation);
    CHECK_THROWS_AS(random::categorical_from_logits(where, std::vector{-HUGE_VAL, -HUGE_VAL}), domain_violation);
    CHECK_THROWS_AS(random::uniform_integer(where, 0), domain_violation);
    auto bytes = std::vector<std::uint8_t>(257);
    CHECK_THROWS_AS(random::permutation(where, bytes), argument_error);
    CHECK_THROWS_WITH_AS(draws_at.at(-1),
                         "random::generator::at: argument 'step': expected an integer from 0 to 4294967295, got -1",
                         argument_error);
    CHECK_THROWS_AS(draws_at.at(0, std::uint64_t{1} << 32), argument_error);
}

TEST_CASE_TEMPLATE("a row kernel's rows of lanes hold what is drawn from and what is drawn", Real, float, double) {
    constexpr auto width = lanes<Real>::size;
    auto const first = random::address{.seed = 4, .replica = 9};
    auto memory = std::vector<Real>(3 * width), drawn = memory;
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<Real>(1 + i % 5);
    auto const weights = lane_row<Real>(memory.data(), 3, width), out = lane_row<Real>(drawn.data(), 3, width);
    auto const chosen = random::categorical(first, weights);
    random::dirichlet(first, weights, out);
    for (std::size_t i = 0; i < width; ++i) {
        auto where = first;
        where.replica += static_cast<std::uint32_t>(i);
        auto const column = std::array{memory[i], memory[i + width], memory[i + 2 * width]};
        CHECK(chosen[i] == static_cast<Real>(random::categorical(where, column)));
        auto expected = column;
        random::dirichlet(where, column, expected);
        for (std::size_t k = 0; k < 3; ++k) CHECK(drawn[k * width + i] == expected[k]);
    }
}
