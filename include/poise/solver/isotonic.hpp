#pragma once

#include "poise/core/sort.hpp"
#include "poise/objective/quantile_levels.hpp"

#include <concepts>

/// Isotonic regression, argmin_{v_1 <= … <= v_m} sum_k w_k (v_k - z_k)^2: weighted means over blocks of neighbours
/// (Ayer, Brunk, Ewing, Reid and Silverman 1955; Barlow et al. 1972). Slug quantile-aggregation.
namespace poise::solver {

/// The weight 1 of every element, as a row.
template <class Real>
struct equal_weights {
    using value_type = Real;
    static constexpr std::size_t extent = dynamic;

    std::size_t length;
    constexpr std::size_t size() const { return length; }
    constexpr Real operator[](std::size_t) const { return Real(1); }
};

namespace detail {

/// Neighbouring blocks, the upper of which begins at `first`, are one block unless the mean `above` exceeds `below` by
/// more than the rounding of means of m values: which of them are equal must not depend on the order of summation, on
/// the execution or on the precision, for the pullback depends on it. The rounding is that of the values at the
/// boundary: an outlier elsewhere does not count.
template <row_of_reals Values, class T>
constexpr auto is_above(Values z, std::size_t first, T above, T below) {
    using R = real_of<T>;
    auto const size = [](T x) { return T(math::select(math::isinf(x), T(0), math::abs(x))); };
    auto const values = math::max(size(T(z[first - 1])), size(T(z[first])));
    auto const tolerance =
        math::max(values, math::max(size(below), size(above))) * T(R(2 * z.size()) * math::epsilon<R>);
    return above > below + tolerance;
}

/// A stack of blocks (value, weight, first index), kept in three scratch rows; a block is merged into the one before it
/// while its mean is not larger. Linear time. For scalars whose comparisons are plain booleans.
template <class Values, class Weights, class Fit>
constexpr void pool_adjacent_violators(Values z, Weights w, Fit fit, auto const& scratch) {
    using T = value_of<Fit>;
    auto const m = z.size();
    auto const value = scratch[0], weight = scratch[1], first = scratch[2];
    auto blocks = std::size_t{0};
    for (std::size_t k = 0; k < m; ++k) {
        auto top = T(z[k]), top_weight = T(w[k]);
        auto start = k;
        while (blocks > 0 && !is_above(z, start, top, T(value[blocks - 1]))) {
            --blocks;
            auto const below_weight = T(weight[blocks]), together = below_weight + top_weight;
            top = (T(value[blocks]) * below_weight + top * top_weight) / together;
            top_weight = together;
            start = poise::detail::to_index(T(first[blocks]));
        }
        value[blocks] = top;
        weight[blocks] = top_weight;
        first[blocks] = T(real_of<T>(start));
        ++blocks;
    }
    for (std::size_t k = m; k-- > 0;) {
        fit[k] = value[blocks - 1];
        if (blocks > 1 && poise::detail::to_index(T(first[blocks - 1])) == k) --blocks;
    }
}

/// fit_i = max_{a <= i} min_{b >= i} mean(z_a … z_b), branch-free: running means forwards, their running minimum
/// backwards, for each a. Quadratic time; for SIMD packs, where each lane has blocks of its own.
template <class Values, class Weights, class Fit>
constexpr void max_min_of_means(Values z, Weights w, Fit fit, auto const& scratch) {
    using T = value_of<Fit>;
    using R = real_of<T>;
    auto const m = z.size();
    auto const means = scratch[0];
    for (std::size_t i = 0; i < m; ++i) fit[i] = T(-math::infinity<R>);
    for (std::size_t a = 0; a < m; ++a) {
        auto total = T(0), weight = T(0);
        for (std::size_t b = a; b < m; ++b) {
            total = total + T(w[b]) * T(z[b]);
            weight = weight + T(w[b]);
            means[b] = total / weight;
        }
        auto least = T(math::infinity<R>);
        for (std::size_t i = m; i-- > a;) {
            least = math::min(least, T(means[i]));
            fit[i] = math::max(T(fit[i]), least);
        }
    }
}

} // namespace detail

/// fit = the isotonic regression of `z` with weights `w` > 0; `scratch` holds 3 rows. In SIMD packs by the max-min
/// formula (short rows), otherwise by pooling adjacent violators.
template <row_of_reals Values, row_of_reals Weights, writable_row Fit>
constexpr void isotonic_fit(Values z, Weights w, Fit fit, auto const& scratch) {
    if constexpr (std::same_as<mask_of<value_of<Fit>>, bool>)
        detail::pool_adjacent_violators(z, w, fit, scratch);
    else
        detail::max_min_of_means(z, w, fit, scratch);
}

/// The transposed Jacobian of the fit applied to a cotangent: out_k = w_k / sum_B w * sum_B g for k in block B, the
/// blocks being the runs of equal fitted values (equal up to the rounding of means). `out` must not be `cotangent`.
template <row_of_reals Values, row_of_reals Weights, row_of_reals Fit, row_of_reals Cotangent, writable_row Out>
constexpr void isotonic_pullback(Values z, Weights w, Fit fit, Cotangent cotangent, Out out, auto const& scratch) {
    using T = value_of<Out>;
    auto const m = z.size();
    auto const weights_so_far = scratch[0];
    auto const apart = [&](std::size_t k) { return detail::is_above(z, k, T(fit[k]), T(fit[k - 1])); };
    auto total = T(0), weight = T(0);
    for (std::size_t k = 0; k < m; ++k) {
        if (k > 0) {
            total = math::select(apart(k), T(0), total);
            weight = math::select(apart(k), T(0), weight);
        }
        total = total + T(cotangent[k]);
        weight = weight + T(w[k]);
        out[k] = total;
        weights_so_far[k] = weight;
    }
    for (std::size_t k = m; k-- > 0;) {
        if (k + 1 < m) { // the sums of a whole block stand at its last element
            total = math::select(apart(k + 1), T(out[k]), total);
            weight = math::select(apart(k + 1), T(weights_so_far[k]), weight);
        }
        out[k] = T(w[k]) * (total / weight);
    }
}

/// Kernel: the isotonic regression of a row and the pullback of a cotangent on it. Throws for weights that are not
/// positive, other lengths, NaN.
struct isotonic_regression {
    static constexpr std::array argument_names{"values", "weights", "cotangent", "fit", "pullback"};
    static constexpr std::size_t scratch_rows = 3;

    constexpr void operator()(row_of_reals auto values, row_of_reals auto weights, row_of_reals auto cotangent,
                              writable_row auto fit, writable_row auto pullback, auto const& scratch) const {
        isotonic_fit(values, weights, fit, scratch);
        isotonic_pullback(values, weights, fit, cotangent, pullback, scratch);
    }
    constexpr void check(auto const& values, auto const& weights, auto const& cotangent, auto const& fit,
                         auto const& pullback) const {
        constexpr auto name = "isotonic_regression";
        auto const m = poise::detail::length_of(values);
        poise::detail::check_not_nan(name, "values", values);
        poise::detail::check_not_nan(name, "cotangent", cotangent);
        poise::detail::check_length(name, "weights", weights, m);
        poise::detail::check_length(name, "cotangent", cotangent, m);
        poise::detail::check_length(name, "fit", fit, m);
        poise::detail::check_length(name, "pullback", pullback, m);
        poise::detail::for_each_element(
            weights, [&](auto w) { require_domain(w > decltype(w)(0), name, "weights", "positive numbers", w); });
    }
};

} // namespace poise::solver
