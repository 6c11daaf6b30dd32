#pragma once

#include "poise/core/verbs.hpp"
#include "poise/objective/quantile_levels.hpp"

/// The penalty on quantiles that cross, over all pairs of levels. Slug quantile-aggregation.
namespace poise::objective {

/// The margin D_ij by which the quantile at level i should exceed that at level j < i, read from a row.
namespace margin {

/// D_ij = delta: a row of one element.
struct constant {
    static constexpr std::size_t elements(std::size_t) { return 1; }
    static constexpr auto between(row_of_reals auto margins, std::size_t, std::size_t, std::size_t) {
        return value_of<decltype(margins)>(margins[0]);
    }
};

/// D_ij = (v_i - v_j)_+: a row of m elements, such as 0.01 tau or adaptive margins.
struct difference {
    static constexpr std::size_t elements(std::size_t m) { return m; }
    static constexpr auto between(row_of_reals auto margins, std::size_t i, std::size_t j, std::size_t) {
        using T = value_of<decltype(margins)>;
        return math::max(T(margins[i]) - T(margins[j]), T(0));
    }
};

/// D itself, m^2 elements row after row.
struct pairwise {
    static constexpr std::size_t elements(std::size_t m) { return m * m; }
    static constexpr auto between(row_of_reals auto margins, std::size_t i, std::size_t j, std::size_t m) {
        return value_of<decltype(margins)>(margins[i * m + j]);
    }
};

} // namespace margin

/// value = (2 / (m (m-1))) sum_{i>j} (q_j - q_i + D_ij)_+ and its gradient in q: 2 / (m (m-1)) at j and minus that at i
/// for every pair with a violation > 0. Both are 0 for m = 1. Its mean over the batch is the penalty of the paper.
template <class Margin = margin::constant>
struct crossing_penalty {
    static constexpr std::array argument_names{"quantiles", "margins", "value", "gradient"};

    template <row_of_reals Quantiles, row_of_reals Margins, writable_row Value, writable_row Gradient>
    constexpr void operator()(Quantiles quantiles, Margins margins, Value value, Gradient gradient) const {
        using T = value_of<Value>;
        using R = real_of<T>;
        auto const m = quantiles.size();
        auto const scale = m > 1 ? R(2) / (R(m) * R(m - 1)) : R(0);
        auto total = T(0);
        for (std::size_t i = 0; i < m; ++i) {
            auto slope = T(0);
            for (std::size_t j = 0; j < m; ++j) {
                if (j == i) continue;
                auto const high = j < i ? i : j, low = j < i ? j : i;
                auto const violation =
                    T(T(quantiles[low]) - T(quantiles[high]) + Margin::between(margins, high, low, m));
                slope += math::select(violation > T(0), T(j < i ? R(-1) : R(1)), T(0));
                if (j < i) total += math::max(violation, T(0));
            }
            gradient[i] = slope * scale;
        }
        value[0] = total * scale;
    }
    constexpr void check(auto const& quantiles, auto const& margins, auto const& value, auto const& gradient) const {
        constexpr auto name = "crossing_penalty";
        auto const m = poise::detail::length_of(quantiles);
        poise::detail::check_not_nan(name, "quantiles", quantiles);
        poise::detail::check_not_nan(name, "margins", margins);
        poise::detail::check_length(name, "margins", margins, Margin::elements(m));
        poise::detail::check_length(name, "value", value, 1);
        poise::detail::check_length(name, "gradient", gradient, m);
    }
};

} // namespace poise::objective
