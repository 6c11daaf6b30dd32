#pragma once

#include "poise/core/scan.hpp"
#include "poise/core/sort.hpp"
#include "poise/execution/row_kernel.hpp"
#include "poise/solver/real_of_given.hpp"

/// Steps that stay on the probability simplex, as row kernels: `step(weights, gradient, out)`, `out` may be `weights`.
/// They minimise; a negative learning rate maximises. `Real` may be a SIMD pack, for a learning rate per replica.
namespace poise::solver {

namespace detail {

constexpr void check_simplex_step(std::string_view function, auto const& weights, auto const& gradient,
                                  auto const& out) {
    auto const rows = poise::detail::checked_rows<void>(weights, gradient, out); // some may be shared
    for (std::size_t i = 0; i < rows; ++i) {
        require(gradient.length(i) == weights.length(i), function, "gradient", weights.length(i), gradient.length(i));
        require(out.length(i) == weights.length(i), function, "out", weights.length(i), out.length(i));
    }
}

} // namespace detail

/// Mirror descent with the entropy: out_k = w_k e^{-learning_rate g_k} / Z, in logs (Kivinen and Warmuth,
/// "Exponentiated gradient versus gradient descent for linear predictors", 1997). A weight of 0 stays 0. It is a plain
/// gradient step on softmax logits, taken with the gradient in the weights.
template <scalar Real = double>
struct exponentiated_gradient {
    Real learning_rate = Real(0.1);

    static constexpr std::array argument_names{"weights", "gradient", "out"};

    constexpr void operator()(row_of_reals auto weights, row_of_reals auto gradient, writable_row auto out) const {
        auto const rate = value_of<decltype(out)>(learning_rate);
        map(out, [=](auto w, auto g) { return math::log(w) - rate * g; }, weights, gradient);
        softmax(out, out);
    }
    constexpr void check(auto const& weights, auto const& gradient, auto const& out) const {
        detail::check_simplex_step("exponentiated_gradient", weights, gradient, out);
    }
};
template <class... Given>
exponentiated_gradient(Given...) -> exponentiated_gradient<typename detail::real_of_given<Given...>::type>;

/// The point of the simplex nearest to v in the Euclidean distance: out_k = max(v_k - theta, 0) with
/// theta = max_r (v_(1) + … + v_(r) - 1) / r over v sorted descending (Held, Wolfe and Crowder 1974; Duchi,
/// Shalev-Shwartz, Singer and Chandra 2008, whose largest r with v_(r) > theta_r is where that maximum is). `out` may
/// be `v`; rows are short, for they are sorted by a network.
struct simplex_projection {
    static constexpr std::array argument_names{"v", "out"};
    static constexpr std::size_t scratch_rows = 1;

    template <row_of_reals Values, writable_row Out>
    constexpr void operator()(Values v, Out out, auto const& scratch) const {
        using T = value_of<Out>;
        auto const partial_sums = scratch[0];
        copy(partial_sums, v);
        sort(partial_sums, descending{});
        cumulative_sum(partial_sums, partial_sums);
        auto const theta = maximum([](auto total, auto k) { return (total - T(1)) / (k + T(1)); }, partial_sums,
                                   indices_of(partial_sums));
        map(out, [=](auto x) { return math::max(x - theta, T(0)); }, v);
    }
    constexpr void check(auto const& v, auto const& out) const {
        detail::check_simplex_step("simplex_projection", v, v, out);
    }
};

/// Projected gradient descent: out = projection of w - learning_rate g onto the simplex. `out` may be `weights`.
template <scalar Real = double>
struct projected_gradient {
    Real learning_rate = Real(0.1);

    static constexpr std::array argument_names{"weights", "gradient", "out"};
    static constexpr std::size_t scratch_rows = simplex_projection::scratch_rows;

    constexpr void operator()(row_of_reals auto weights, row_of_reals auto gradient, writable_row auto out,
                              auto const& scratch) const {
        auto const rate = value_of<decltype(out)>(learning_rate);
        map(out, [=](auto w, auto g) { return w - rate * g; }, weights, gradient);
        simplex_projection{}(out, out, scratch);
    }
    constexpr void check(auto const& weights, auto const& gradient, auto const& out) const {
        detail::check_simplex_step("projected_gradient", weights, gradient, out);
    }
};
template <class... Given>
projected_gradient(Given...) -> projected_gradient<typename detail::real_of_given<Given...>::type>;

} // namespace poise::solver
