#pragma once

#include "poise/random/exact_functions.hpp"
#include "poise/random/lanes.hpp"

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

/// Continuous draws. All are computed in `double` by exact_functions.hpp and rounded once to the type asked for, so
/// `float` sees the same draw as `double`. T is `float`, `double` or a pack of them (lane i is replica + i).
namespace poise::random {

namespace detail {

// (2k + 1) 2^-53 with k the upper 52 bits: in (0, 1), symmetric about 1/2, never 0 or 1.
constexpr double open_unit(std::uint64_t word) { return exact::whole(word >> 12) * 0x1p-52 + 0x1p-53; }

// To float towards zero: 1 is never reached, and u < p has the same answer in both types for a float p.
constexpr float round_down(double u) {
    return static_cast<float>(std::bit_cast<double>(std::bit_cast<std::uint64_t>(u) & ~std::uint64_t{0x1fffffff}));
}

constexpr double open_unit(word_sequence& words) { return open_unit(words()); }

[[gnu::always_inline]] constexpr double exponential(std::uint64_t word) { return -exact::log(open_unit(word)); }
constexpr double exponential(word_sequence& words) { return exponential(words()); }

[[gnu::always_inline]] constexpr double gumbel(std::uint64_t word) { return -exact::log(exponential(word)); }
constexpr double gumbel(word_sequence& words) { return gumbel(words()); }

// Box and Muller, "A note on the generation of random normal deviates", Ann. Math. Statist. 29 (1958).
constexpr std::array<double, 2> two_normals(word_sequence& words) {
    auto const radius = exact::square_root(2.0 * exponential(words));
    auto const [cosine, sine] = exact::cosine_and_sine_of_turns(open_unit(words));
    return {exact::product(radius, cosine), exact::product(radius, sine)};
}

// log of a Gamma(shape, 1) draw; the logarithm keeps the small shapes whose draws underflow.
// Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000); for shape < 1 their
// Gamma(shape) = Gamma(shape + 1) U^(1/shape).
constexpr double log_gamma_draw(word_sequence& words, double shape) {
    if (!(shape > 0.0) || !(shape <= std::numeric_limits<double>::max()))
        return std::numeric_limits<double>::quiet_NaN();
    constexpr auto third = 1.0 / 3.0;
    auto const boost = shape < 1.0 ? exact::log(open_unit(words)) / shape : 0.0;
    auto const d = (shape < 1.0 ? shape + 1.0 : shape) - third;
    auto const c = 1.0 / exact::square_root(9.0 * d);
    while (true) {
        auto const x = two_normals(words)[0];
        auto const log_u = exact::log(open_unit(words));
        auto const root = exact::fma(c, x, 1.0);
        if (!(root > 0.0)) continue;
        auto const log_root = exact::log(root);
        // log u < x^2/2 + d (1 - v + log v) with v = root^3
        auto const bracket = exact::fma(3.0, log_root, exact::fma(-root * root, root, 1.0));
        if (log_u < exact::fma(d, bracket, 0.5 * x * x)) return exact::fma(3.0, log_root, exact::log(d)) + boost;
    }
}

template <drawable T, class Draw>
constexpr T draw_as(address where, Draw const& draw) {
    return assemble<T>([&](std::size_t i) {
        auto words = word_sequence(replica_of_lane(where, i));
        return draw(words, i);
    });
}

// A draw that is a function of one word.
template <drawable T, class Draw>
constexpr T draw_of_word(address where, Draw const& draw) {
    if constexpr (lane_pack<T>) {
        auto const words = words_of_lanes<T::size>(where, 0);
        auto drawn = std::array<real_of<T>, T::size>{};
        for (std::size_t i = 0; i < T::size; ++i) drawn[i] = static_cast<real_of<T>>(draw(words.all[i]));
        return T::load(drawn.data());
    } else {
        return static_cast<T>(draw(word_sequence(where)()));
    }
}

template <class Parameter>
constexpr void check_shape(Parameter const& parameter, char const* function, char const* argument) {
    for (std::size_t i = 0; i < lane_count<Parameter>; ++i) {
        auto const value = lane(parameter, i);
        check(value > 0 && value <= std::numeric_limits<double>::max(), function, argument, "a positive finite number",
              value);
    }
}

} // namespace detail

/// Uniform on the open interval (0, 1): (2k + 1) 2^-53 with k of 52 bits, for float rounded towards zero to 24
/// significant bits. Never 0, never 1.
template <drawable T>
constexpr T uniform(address where) {
    return detail::draw_of_word<T>(where, [](std::uint64_t word) {
        auto const u = detail::open_unit(word);
        if constexpr (std::same_as<detail::real_of<T>, float>)
            return detail::round_down(u);
        else
            return u;
    });
}

/// Exponential with mean 1: -log U. In (1.1e-16, 36.8).
template <drawable T>
constexpr T exponential(address where) {
    return detail::draw_of_word<T>(where, [](std::uint64_t word) { return detail::exponential(word); });
}

/// Standard Gumbel, P(G <= x) = exp(-e^-x): -log(-log U). In (-3.7, 36.8).
template <drawable T>
constexpr T gumbel(address where) {
    return detail::draw_of_word<T>(where, [](std::uint64_t word) { return detail::gumbel(word); });
}

/// Standard normal, by Box and Muller: sqrt(-2 log U) cos(2 pi V). At most 8.6 in size.
template <drawable T>
constexpr T normal(address where) {
    return detail::draw_as<T>(where, [](word_sequence& words, std::size_t) { return detail::two_normals(words)[0]; });
}

/// Two independent standard normals for the price of one; the first is `normal` at the same address.
template <drawable T>
constexpr std::array<T, 2> normal_pair(address where) {
    auto const pick = [where](std::size_t which) {
        return detail::draw_as<T>(
            where, [which](word_sequence& words, std::size_t) { return detail::two_normals(words)[which]; });
    };
    return {pick(0), pick(1)};
}

/// Gamma(shape) with scale 1, by Marsaglia and Tsang; a small shape may underflow to 0.
/// Throws `domain_violation` unless shape is positive and finite.
template <drawable T, class Shape>
constexpr T gamma(address where, Shape const& shape) {
    detail::check_shape(shape, "random::gamma", "shape");
    return detail::draw_as<T>(where, [&](word_sequence& words, std::size_t i) {
        return exact::exp(detail::log_gamma_draw(words, static_cast<double>(detail::lane(shape, i))));
    });
}

/// Beta(a, b) = X / (X + Y) with X ~ Gamma(a), Y ~ Gamma(b); in [0, 1].
/// Throws `domain_violation` unless a and b are positive and finite.
template <drawable T, class A, class B>
constexpr T beta(address where, A const& a, B const& b) {
    detail::check_shape(a, "random::beta", "a");
    detail::check_shape(b, "random::beta", "b");
    return detail::draw_as<T>(where, [&](word_sequence& words, std::size_t i) {
        auto const log_x = detail::log_gamma_draw(words, static_cast<double>(detail::lane(a, i)));
        auto const log_y = detail::log_gamma_draw(words, static_cast<double>(detail::lane(b, i)));
        return 1.0 / (1.0 + exact::exp(log_y - log_x));
    });
}

/// Dirichlet(alpha_0, …, alpha_{K-1}) into `out`, which may be `alpha`: gammas over their sum, formed from their
/// logarithms, so that small alphas give a vertex of the simplex and not 0/0.
/// Throws `argument_error` for rows of different or no length, `domain_violation` unless each alpha is positive,
/// finite.
template <class Row, class Out>
constexpr void dirichlet(address where, Row const& alpha, Out&& out) {
    using T = detail::element_of<Out>;
    constexpr auto lanes = detail::lane_count<T>;
    auto const n = static_cast<std::size_t>(alpha.size());
    detail::check<argument_error>(n > 0, "random::dirichlet", "alpha", "at least one element", "none");
    detail::check<argument_error>(static_cast<std::size_t>(out.size()) == n, "random::dirichlet", "out",
                                  "a row as long as alpha", out.size());
    for (std::size_t k = 0; k < n; ++k)
        detail::check_shape(detail::element_of<Row>(alpha[k]), "random::dirichlet", "alpha");

    // The logarithms are drawn twice rather than kept: `out` may be too coarse to hold them.
    auto const log_draw = [&](word_sequence& words, std::size_t k, std::size_t i) {
        return detail::log_gamma_draw(words, static_cast<double>(detail::lane(detail::element_of<Row>(alpha[k]), i)));
    };
    auto log_total = std::array<double, lanes>{};
    for (std::size_t i = 0; i < lanes; ++i) {
        auto words = word_sequence(detail::replica_of_lane(where, i));
        auto greatest = log_draw(words, 0, i);
        auto total = 1.0; // of e^(log - greatest)
        for (std::size_t k = 1; k < n; ++k) {
            auto const log = log_draw(words, k, i);
            if (log > greatest) {
                total = exact::fma(total, exact::exp(greatest - log), 1.0);
                greatest = log;
            } else {
                total += exact::exp(log - greatest);
            }
        }
        log_total[i] = greatest + exact::log(total);
    }
    auto words = [&]<std::size_t... i>(std::index_sequence<i...>) {
        return std::array{word_sequence(detail::replica_of_lane(where, i))...};
    }(std::make_index_sequence<lanes>{});
    for (std::size_t k = 0; k < n; ++k) {
        out[k] =
            detail::assemble<T>([&](std::size_t i) { return exact::exp(log_draw(words[i], k, i) - log_total[i]); });
    }
}

} // namespace poise::random
