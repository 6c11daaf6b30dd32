#pragma once

#include "poise/solver/isotonic.hpp"

/// Monotone operators T: what makes a row of crossing quantiles ascend, in training (with the pullback) or afterwards.
/// Each has `apply(z, out, scratch)` and `pullback(z, out, cotangent, result, scratch)`, where `out` is what `apply`
/// gave; `scratch` holds `monotone_scratch` rows and no row may be another. Slug quantile-aggregation.
namespace poise::solver {

inline constexpr std::size_t monotone_scratch = argsort_scratch + 3;

namespace monotone {

/// T(z) = z
struct none {
    constexpr void apply(row_of_reals auto z, writable_row auto out, auto const&) const { copy(out, z); }
    constexpr void pullback(row_of_reals auto, row_of_reals auto, row_of_reals auto cotangent, writable_row auto result,
                            auto const&) const {
        copy(result, cotangent);
    }
};

/// Isotonic regression with equal weights: the nearest ascending row.
struct isotonic {
    template <row_of_reals Values>
    constexpr void apply(Values z, writable_row auto out, auto const& scratch) const {
        isotonic_fit(z, equal_weights<real_of<value_of<Values>>>{z.size()}, out, scratch);
    }
    template <row_of_reals Values>
    constexpr void pullback(Values z, row_of_reals auto out, row_of_reals auto cotangent, writable_row auto result,
                            auto const& scratch) const {
        isotonic_pullback(z, equal_weights<real_of<value_of<Values>>>{z.size()}, out, cotangent, result, scratch);
    }
};

/// The values in ascending order; the pullback sends what came to rank k back to the element that landed there.
struct sorted {
    constexpr void apply(row_of_reals auto z, writable_row auto out, auto const& scratch) const {
        auto const order = scratch[argsort_scratch];
        argsort(order, z, ascending{}, scratch);
        gather(out, z, order);
    }
    constexpr void pullback(row_of_reals auto z, row_of_reals auto, row_of_reals auto cotangent,
                            writable_row auto result, auto const& scratch) const {
        auto const order = scratch[argsort_scratch];
        argsort(order, z, ascending{}, scratch);
        scatter(result, cotangent, order);
    }
};

/// From the middle level c = floor(m/2), which stays: upwards a running maximum, downwards a running minimum. Unlike
/// `sorted` and `isotonic` it may worsen the pinball loss. Pullback: to the element whose value stands there, on ties
/// its own.
struct sweep {
    template <row_of_reals Values, writable_row Out>
    constexpr void apply(Values z, Out out, auto const&) const {
        using T = value_of<Out>;
        if (z.size() == 0) return;
        auto const centre = z.size() / 2;
        out[centre] = T(z[centre]);
        for (auto k = centre + 1; k < z.size(); ++k) out[k] = math::max(T(z[k]), T(out[k - 1]));
        for (auto k = centre; k-- > 0;) out[k] = math::min(T(z[k]), T(out[k + 1]));
    }
    template <row_of_reals Values, row_of_reals Swept, row_of_reals Cotangent, writable_row Out>
    constexpr void pullback(Values z, Swept swept, Cotangent cotangent, Out result, auto const&) const {
        using T = value_of<Out>;
        if (z.size() == 0) return;
        auto const centre = z.size() / 2;
        // Walks towards the centre, carrying what belongs to a level that was overtaken to the one that overtook it.
        auto const settle = [&](std::size_t k, T carried) {
            auto const total = carried + T(cotangent[k]);
            auto const own = T(swept[k]) == T(z[k]);
            result[k] = math::select(own, total, T(0));
            return T(math::select(own, T(0), total));
        };
        auto from_above = T(0), from_below = T(0);
        for (auto k = z.size(); k-- > centre + 1;) from_above = settle(k, from_above);
        for (std::size_t k = 0; k < centre; ++k) from_below = settle(k, from_below);
        result[centre] = T(cotangent[centre]) + from_above + from_below;
    }
};

/// The soft sort of Blondel, Teboul, Berthet and Djolonga (ICML 2020), L2, ascending: out = v - rho with rho = (m, …,
/// 1) / eps and v the nearest non-increasing row to rho + sort(z). It keeps the sum, is the hard sort where no gap
/// exceeds 1 / eps, and tends to the mean as eps grows. Pullback: the means of the cotangent over the blocks of v, sent
/// back as in `sorted`.
struct soft_sort {
    double epsilon = 0.1;

    template <row_of_reals Values, writable_row Out>
    constexpr void apply(Values z, Out out, auto const& scratch) const {
        auto const order = scratch[argsort_scratch], wanted = scratch[argsort_scratch + 1];
        argsort(order, z, ascending{}, scratch);
        gather(out, z, order);
        negated_targets(wanted, out);
        isotonic_fit(wanted, weights(out), out, scratch);
        for (std::size_t k = 0; k < z.size(); ++k) out[k] = -value_of<Out>(out[k]) - rank_shift(k, out);
    }
    template <row_of_reals Values, row_of_reals Soft, row_of_reals Cotangent, writable_row Out>
    constexpr void pullback(Values z, Soft soft, Cotangent cotangent, Out result, auto const& scratch) const {
        using T = value_of<Out>;
        auto const order = scratch[argsort_scratch], wanted = scratch[argsort_scratch + 1],
                   fit = scratch[argsort_scratch + 2];
        argsort(order, z, ascending{}, scratch);
        gather(result, z, order);
        negated_targets(wanted, result);
        isotonic_fit(wanted, weights(soft), fit, scratch);
        isotonic_pullback(wanted, weights(soft), fit, cotangent, scratch[1], scratch);
        for (std::size_t k = 0; k < z.size(); ++k) wanted[k] = T(scratch[1][k]);
        scatter(result, wanted, order);
    }
    constexpr void check() const { require_domain(epsilon > 0, "soft_sort", "epsilon", "epsilon > 0", epsilon); }

private:
    template <class Row>
    static constexpr auto weights(Row const& row) {
        return equal_weights<real_of<value_of<Row>>>{row.size()};
    }
    template <class Row>
    constexpr auto rank_shift(std::size_t k, Row const& row) const {
        using R = real_of<value_of<Row>>;
        return R(double(row.size() - k) / epsilon);
    }
    template <class Row, class Sorted>
    constexpr void negated_targets(Row wanted, Sorted ascending_values) const {
        for (std::size_t k = 0; k < ascending_values.size(); ++k)
            wanted[k] = -(value_of<Row>(ascending_values[k]) + rank_shift(k, ascending_values));
    }
};

} // namespace monotone

/// A monotone operator of this header, or one like them.
template <class Operator>
concept monotone_operator = requires(Operator const& op, row<double const> in, row<double> out,
                                     std::array<row<double>, monotone_scratch> const& scratch) {
    op.apply(in, out, scratch);
    op.pullback(in, in, in, out, scratch);
};

/// Kernel: T(z) and the pullback of a cotangent through it. Throws for other lengths, NaN, a hyper-parameter out of
/// range.
template <monotone_operator Operator>
struct monotonise {
    Operator op{};

    static constexpr std::array argument_names{"values", "cotangent", "out", "pullback"};
    static constexpr std::size_t scratch_rows = monotone_scratch;

    constexpr void operator()(row_of_reals auto values, row_of_reals auto cotangent, writable_row auto out,
                              writable_row auto pullback, auto const& scratch) const {
        op.apply(values, out, scratch);
        op.pullback(values, out, cotangent, pullback, scratch);
    }
    constexpr void check(auto const& values, auto const& cotangent, auto const& out, auto const& pullback) const {
        if constexpr (requires { op.check(); }) op.check();
        auto const m = poise::detail::length_of(values);
        poise::detail::check_not_nan("monotonise", "values", values);
        poise::detail::check_not_nan("monotonise", "cotangent", cotangent);
        poise::detail::check_length("monotonise", "cotangent", cotangent, m);
        poise::detail::check_length("monotonise", "out", out, m);
        poise::detail::check_length("monotonise", "pullback", pullback, m);
    }
};

} // namespace poise::solver
