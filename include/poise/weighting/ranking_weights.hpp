#pragma once

#include "poise/core/scan.hpp"
#include "poise/execution/row_kernel.hpp"

#include <array>

/// Weights of the selection steps of a ranking of C items (slug pld: Plackett-Luce distillation, 2025, arXiv
/// 2506.12542, section 4.2). Each is a row kernel from the teacher's logits *in ranking order* to the weights in
/// ranking order; all but `teacher_softmax` look at nothing but C.
namespace poise::weighting::ranking {

namespace detail {

/// What all of them check.
struct equal_lengths {
    static constexpr std::array<char const*, 2> argument_names = {"teacher", "weights"};

    constexpr void check(auto const& teacher, auto const& weights) const {
        for (std::size_t i = 0; i < teacher.rows(); ++i)
            require(weights.length(i) == teacher.length(i), "weighting::ranking", "weights", teacher.length(i),
                    weights.length(i));
    }
};

/// out_k = base^k, without rounding for a power of two.
template <writable_row Out>
constexpr void powers(Out out, double base) {
    using T = value_of<Out>;
    auto const ratio = T(real_of<T>(base));
    map(out, [=](auto k) { return math::select(k == 0, T(1), ratio); }, indices_of(out));
    scan(out, [](auto a, auto b) { return a * b; }, out);
}

} // namespace detail

/// The teacher's confidence in the item chosen at each step: softmax(teacher / temperature) over all items. Sums to 1;
/// need not decrease, as the label is first whatever the teacher thinks of it. This is PLD's own weighting.
struct teacher_softmax {
    double temperature = 1;

    static constexpr std::array<char const*, 2> argument_names = {"teacher", "weights"};

    constexpr void operator()(row_of_reals auto teacher, writable_row auto weights) const {
        using T = value_of<decltype(weights)>;
        auto const greatest = maximum(teacher);
        auto const scale = T(real_of<T>(temperature));
        map(weights, [=](auto t) { return (t - greatest) / scale; }, teacher); // no overflow at any temperature
        softmax(weights, weights);
    }

    constexpr void check(auto const& teacher, auto const& weights) const {
        require_domain(temperature > 0 && math::isfinite(temperature), "teacher_softmax", "temperature",
                       "a positive finite number", temperature);
        detail::equal_lengths{}.check(teacher, weights);
    }
};

/// 1/C at every step: the loss is ListMLE / C.
struct uniform : detail::equal_lengths {
    constexpr void operator()(row_of_reals auto teacher, writable_row auto weights) const {
        using T = value_of<decltype(weights)>;
        fill(weights, T(1) / T(teacher.size()));
    }
};

/// 1 at the first step and 0 at all others: the loss is the cross-entropy with the first item.
struct first_only : detail::equal_lengths {
    constexpr void operator()(row_of_reals auto teacher, writable_row auto weights) const {
        using T = value_of<decltype(weights)>;
        map(weights, [](auto k) { return math::select(k == 0, T(1), T(0)); }, indices_of(teacher));
    }
};

/// 2^(C-k) - 1 for k = 1, …, C (P-ListMLE; the last is 0). Their sum 2^C - 1 - C overflows `float` from C = 128 and
/// `double` from C = 1024 on, and as a loss they want a tiny learning rate: see `normalized_exponential`.
struct exponential : detail::equal_lengths {
    constexpr void operator()(row_of_reals auto, writable_row auto weights) const {
        using T = value_of<decltype(weights)>;
        detail::powers(reversed(weights), 2);
        map(weights, [](auto power) { return power - T(1); }, weights);
    }
};

/// The same divided by their sum, (2^(1-k) - 2^(1-C)) / (2 - 2^(1-C) (1 + C)), which overflows for no C; 0 for C = 1.
struct normalized_exponential : detail::equal_lengths {
    constexpr void operator()(row_of_reals auto teacher, writable_row auto weights) const {
        using T = value_of<decltype(weights)>;
        auto const n = teacher.size();
        detail::powers(weights, 0.5);
        auto const last = T(weights[n - 1]);
        auto const total = n > 1 ? T(2) - last * T(n + 1) : T(1);
        map(weights, [=](auto power) { return (power - last) / total; }, weights);
    }
};

} // namespace poise::weighting::ranking
