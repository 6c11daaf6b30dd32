#pragma once

#include "poise/core/error.hpp"
#include "poise/core/segment.hpp"
#include "poise/execution/row_kernel.hpp"

#include <string>

namespace poise::solver {

/// The update rule that takes a step of each context of a tabular policy: `rule(row, gradient, row)` is a row kernel
/// such as `exponentiated_gradient` or `projected_gradient` (for `policy::simplex`) or `natural_gradient` (for
/// `policy::tabular_softmax`), and the parameters are rows of `actions` elements, context after context:
///     auto descent = optimizer(per_context{exponentiated_gradient{.learning_rate = 0.5}, actions}, parameters);
/// The state is the kernel's working memory. Throws `argument_error` unless the parameters are whole rows.
template <class Rule>
struct per_context {
    Rule rule{};
    std::size_t actions = 1;

    static constexpr std::size_t state_rows = poise::detail::scratch_rows_of<Rule>();

    constexpr void operator()(writable_row auto parameters, row_of_reals auto gradient, auto const& state,
                              std::size_t) const {
        auto const whole = actions > 0 && parameters.size() % actions == 0;
        if (!whole)
            require(false, "per_context", "parameters", "whole rows of " + std::to_string(actions) + " actions",
                    parameters.size());
        for (std::size_t first = 0; first < parameters.size(); first += actions) {
            auto const scratch = [&]<std::size_t... I>(std::index_sequence<I...>) {
                return std::array{segment(state[I], first, actions)..., segment(parameters, first, actions)};
            }(std::make_index_sequence<state_rows>{});
            auto const here = scratch[state_rows];
            poise::detail::call(rule, scratch, here, segment(gradient, first, actions), here);
        }
    }
};

template <class Rule>
per_context(Rule, std::size_t) -> per_context<Rule>;

} // namespace poise::solver
