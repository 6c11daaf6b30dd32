#pragma once

#include "poise/core/math.hpp"
#include "poise/core/row.hpp"

#include <utility>

/// The verbs `map` and `reduce`. What they do is the same for every kind of row; how is decided by the row's type: one
/// element after another (a scalar, or one row per SIMD lane), in packs along the row, or by a block of GPU threads.
namespace poise {

namespace operation {

struct plus {
    template <class T>
    static constexpr auto identity = real_of<T>(0);
    template <class T>
    constexpr T operator()(T a, T b) const {
        return a + b;
    }
};

struct maximum {
    template <class T>
    static constexpr auto identity = -math::infinity<T>;
    template <class T>
    constexpr T operator()(T a, T b) const {
        return math::max(a, b);
    }
};

struct minimum {
    template <class T>
    static constexpr auto identity = math::infinity<T>;
    template <class T>
    constexpr T operator()(T a, T b) const {
        return math::min(a, b);
    }
};

} // namespace operation

namespace detail {

template <class First, class... Rest>
constexpr std::size_t common_size(First const& first, Rest const&...) {
    if constexpr (common_extent<First, Rest...> != dynamic)
        return common_extent<First, Rest...>;
    else
        return first.size();
}

template <class F, class... In>
using mapped = std::remove_cvref_t<std::invoke_result_t<F const&, value_of<In>...>>;

struct identity_function {
    template <class T>
    constexpr T operator()(T x) const {
        return x;
    }
};

// Pairwise: the rounding error of a sum grows with log n, not with n.
inline constexpr std::size_t pairwise_leaf = 128;

template <class Value, class Op, class F, class... In>
constexpr Value reduce_range(Op op, F const& f, std::size_t first, std::size_t last, In const&... in) {
    if (last - first > pairwise_leaf) {
        auto const middle = first + (last - first - 1) / (2 * pairwise_leaf) * pairwise_leaf + pairwise_leaf;
        return op(reduce_range<Value>(op, f, first, middle, in...), reduce_range<Value>(op, f, middle, last, in...));
    }
    auto total = Value(f(value_of<In>(in[first])...));
    for (auto k = first + 1; k < last; ++k) total = op(total, Value(f(value_of<In>(in[k])...)));
    return total;
}

// The kinds of row that bring verbs of their own specialise this; see core/packed_row.hpp and execution/block_row.cuh.
template <class... Rows>
struct row_verbs {
    template <class F, class Out, class... In>
    static constexpr void map(Out out, F const& f, In... in) {
        auto const n = common_size(out, in...);
        for (std::size_t k = 0; k < n; ++k) out[k] = f(value_of<In>(in[k])...); // the value, not what refers to it
    }

    template <class F, class First, class Second, class... In>
    static constexpr void map_pair(First first, Second second, F const& f, In... in) {
        auto const n = common_size(first, second, in...);
        for (std::size_t k = 0; k < n; ++k) {
            auto const results = f(value_of<In>(in[k])...);
            first[k] = results.first;
            second[k] = results.second;
        }
    }

    template <class Value, class Op, class F, class... In>
    static constexpr Value reduce(Op op, F const& f, In... in) {
        auto const n = common_size(in...);
        if (n == 0) return Value(Op::template identity<Value>);
        return reduce_range<Value>(op, f, 0, n, in...);
    }
};

} // namespace detail

/// map(out, f, in...): out_k = f(in_k...) for every k. `out` may be one of the inputs.
template <writable_row Out, class F, row_of_reals... In>
constexpr void map(Out out, F const& f, In... in) {
    static_assert(satisfied<rows_of_equal_length<Out, In...>>, "map needs rows_of_equal_length: static lengths differ");
    detail::row_verbs<Out, In...>::map(out, f, in...);
}

/// map_pair(first, second, f, in...): (first_k, second_k) = f(in_k...), a std::pair, for every k: two results of one
/// pass, such as a loss and its slope. Either may be one of the inputs.
template <writable_row First, writable_row Second, class F, row_of_reals... In>
constexpr void map_pair(First first, Second second, F const& f, In... in) {
    static_assert(satisfied<rows_of_equal_length<First, Second, In...>>,
                  "map_pair needs rows_of_equal_length: static lengths differ");
    detail::row_verbs<First, Second, In...>::map_pair(first, second, f, in...);
}

/// reduce(op, f, in...): op over f(in_0...), f(in_1...), …; the identity of op for an empty row.
template <class Op, class F, row_of_reals... In>
    requires(!row_of_reals<F>)
constexpr auto reduce(Op op, F const& f, In... in) {
    static_assert(satisfied<rows_of_equal_length<In...>>, "reduce needs rows_of_equal_length: static lengths differ");
    return detail::row_verbs<In...>::template reduce<detail::mapped<F, In...>>(op, f, in...);
}

/// out_k = value
template <writable_row Out, class Value>
constexpr void fill(Out out, Value value) {
    map(out, [=](auto) { return value_of<Out>(value); }, out);
}

/// out_k = in_k
template <writable_row Out, row_of_reals In>
constexpr void copy(Out out, In in) {
    map(out, detail::identity_function{}, in);
}

/// sum_k f(in_k...); pairwise, so that the rounding error grows with log n.
template <class F, row_of_reals... In>
    requires(!row_of_reals<F> && sizeof...(In) > 0)
constexpr auto sum(F const& f, In... in) {
    return reduce(operation::plus{}, f, in...);
}

/// sum_k x_k
constexpr auto sum(row_of_reals auto x) { return reduce(operation::plus{}, detail::identity_function{}, x); }

/// max_k x_k; -inf for an empty row, NaN if any element is.
constexpr auto maximum(row_of_reals auto x) { return reduce(operation::maximum{}, detail::identity_function{}, x); }

/// max_k f(in_k...)
template <class F, row_of_reals... In>
    requires(!row_of_reals<F> && sizeof...(In) > 0)
constexpr auto maximum(F const& f, In... in) {
    return reduce(operation::maximum{}, f, in...);
}

/// min_k x_k; +inf for an empty row, NaN if any element is.
constexpr auto minimum(row_of_reals auto x) { return reduce(operation::minimum{}, detail::identity_function{}, x); }

/// sum_k w_k x_k
constexpr auto weighted_sum(row_of_reals auto weights, row_of_reals auto x) {
    return sum([](auto w, auto v) { return w * v; }, weights, x);
}

/// (1/n) sum_k x_k
template <row_of_reals Row>
constexpr auto mean(Row x) {
    return sum(x) / value_of<Row>(x.size());
}

/// (1/n) sum_k (x_k - mean)^2, the population variance, in two passes.
template <row_of_reals Row>
constexpr auto variance(Row x) {
    auto const centre = mean(x);
    return sum([=](auto v) { return (v - centre) * (v - centre); }, x) / value_of<Row>(x.size());
}

/// sum_k (x_k - mean)^2 / (n - 1), the unbiased sample variance; NaN for n <= 1.
template <row_of_reals Row>
constexpr auto sample_variance(Row x) {
    auto const centre = mean(x);
    auto const freedom = x.size() > 1 ? x.size() - 1 : 0;
    return sum([=](auto v) { return (v - centre) * (v - centre); }, x) / value_of<Row>(freedom);
}

/// The square root of the population variance.
constexpr auto standard_deviation(row_of_reals auto x) { return math::sqrt(variance(x)); }

namespace detail {

/// What to subtract before exponentiating: the maximum, or 0 where that is infinite.
template <class T>
constexpr T exponent_shift(T greatest) {
    return math::select(math::isinf(greatest), T(0), greatest);
}

} // namespace detail

/// log sum_k e^{x_k}, shifted by the maximum: no overflow; -inf for an empty row or one of -inf only.
template <row_of_reals Row>
constexpr auto log_sum_exp(Row x) {
    auto const shift = detail::exponent_shift(maximum(x));
    return shift + math::log(sum([=](auto v) { return math::exp(v - shift); }, x));
}

/// p_k = e^{x_k} / sum_j e^{x_j}; rows sum to 1, -inf gives exactly 0. `out` may be `x`.
template <writable_row Out, row_of_reals Row>
constexpr void softmax(Out out, Row x) {
    auto const shift = detail::exponent_shift(maximum(x));
    map(out, [=](auto v) { return math::exp(v - shift); }, x);
    auto const scale = value_of<Out>(1) / sum(out);
    map(out, [=](auto e) { return e * scale; }, out);
}

/// x_k - log sum_j e^{x_j}. `out` may be `x`.
template <writable_row Out, row_of_reals Row>
constexpr void log_softmax(Out out, Row x) {
    auto const normaliser = log_sum_exp(x);
    map(out, [=](auto v) { return v - normaliser; }, x);
}

/// Shannon entropy -sum_k p_k log p_k in nats, 0 log 0 = 0.
constexpr auto entropy(row_of_reals auto p) {
    return -sum([](auto v) { return math::x_log_y(v, v); }, p);
}

/// KL(p || q) = sum_k p_k log(p_k / q_k) in nats, 0 log 0 = 0; +inf where p_k > 0 = q_k.
constexpr auto kl_divergence(row_of_reals auto p, row_of_reals auto q) {
    auto const term = [](auto a, auto b) {
        using A = decltype(a);
        auto const present = [none = a == A(0)](auto v) { return math::select(none, A(1), A(v)); };
        return a * (math::log(present(a)) - math::log(present(b))); // a / b may overflow
    };
    return sum(term, p, q);
}

} // namespace poise
