#pragma once

#include "poise/core/verbs.hpp"

/// The verb `scan` and the two scans that formulas need: cumulative log-sum-exp and the linear recurrence. All run
/// forwards; give `reversed` rows to run backwards.
namespace poise {

namespace detail {

/// log of a growing sum of exponentials, as greatest + log(total), so that neither part overflows or vanishes.
template <class T>
struct log_accumulator {
    T greatest = T(-math::infinity<T>);
    T total = T(0);

    constexpr void add(T x) {
        auto const next = math::max(greatest, x);
        // Not inf - inf. Where both are equal, x is the minimum: its derivative may be another.
        auto const distance = math::select(math::isinf(next), T(0), next - math::min(x, greatest));
        auto const e = math::exp(-distance);
        total = math::select(x > greatest, total * e + T(1), total + e);
        greatest = next;
    }
    constexpr T log() const { return greatest + math::log(total); }
};

// Kinds of row whose scans are cooperative or vectorised specialise this.
template <class... Rows>
struct row_scans {
    template <class Out, class Op, class In>
    static constexpr void scan(Out out, Op op, In in) {
        auto const n = common_size(out, in);
        if (n == 0) return;
        auto total = value_of<Out>(in[0]);
        out[0] = total;
        for (std::size_t k = 1; k < n; ++k) {
            total = op(total, value_of<Out>(in[k]));
            out[k] = total;
        }
    }

    template <class Out, class Factor, class In>
    static constexpr void linear_recurrence(Out out, Factor factor, In in) {
        auto const n = common_size(out, factor, in);
        auto state = value_of<Out>(0);
        for (std::size_t k = 0; k < n; ++k) {
            state = value_of<Out>(factor[k]) * state + value_of<Out>(in[k]);
            out[k] = state;
        }
    }

    template <class Out, class In>
    static constexpr void cumulative_log_sum_exp(Out out, In in) {
        auto const n = common_size(out, in);
        auto so_far = log_accumulator<value_of<Out>>{};
        for (std::size_t k = 0; k < n; ++k) {
            so_far.add(value_of<Out>(in[k]));
            out[k] = so_far.log();
        }
    }
};

} // namespace detail

/// out_k = in_0 op in_1 op … op in_k, for an associative op. `out` may be `in`.
template <writable_row Out, class Op, row_of_reals In>
constexpr void scan(Out out, Op op, In in) {
    static_assert(satisfied<rows_of_equal_length<Out, In>>, "scan needs rows_of_equal_length: static lengths differ");
    detail::row_scans<Out, In>::scan(out, op, in);
}

/// out_k = in_0 + … + in_k
template <writable_row Out, row_of_reals In>
constexpr void cumulative_sum(Out out, In in) {
    scan(out, operation::plus{}, in);
}

/// out_k = factor_k out_{k-1} + in_k, out_{-1} = 0: discounted returns and generalised advantages, run on reversed
/// rows.
template <writable_row Out, row_of_reals Factor, row_of_reals In>
constexpr void linear_recurrence(Out out, Factor factor, In in) {
    static_assert(satisfied<rows_of_equal_length<Out, Factor, In>>,
                  "linear_recurrence needs rows_of_equal_length: static lengths differ");
    detail::row_scans<Out, Factor, In>::linear_recurrence(out, factor, in);
}

/// out_k = log(e^{in_0} + … + e^{in_k}), each prefix shifted by its own maximum: exact far below the row's maximum too.
/// `out` may be `in`.
template <writable_row Out, row_of_reals In>
constexpr void cumulative_log_sum_exp(Out out, In in) {
    static_assert(satisfied<rows_of_equal_length<Out, In>>,
                  "cumulative_log_sum_exp needs rows_of_equal_length: static lengths differ");
    detail::row_scans<Out, In>::cumulative_log_sum_exp(out, in);
}

} // namespace poise
