#pragma once

#include "poise/core/error.hpp"
#include "poise/core/packed_row.hpp"
#include "poise/solver/adam.hpp"
#include "poise/solver/gradient_descent.hpp"

#include <array>
#include <utility>
#include <vector>

namespace poise::solver {

/// What an optimiser iterates: `rule(parameters, gradient, state, step)` moves the parameters and its `state_rows` rows
/// of state in place, by verbs, so that it runs on a row of any scalar.
template <class Rule, class T>
concept update_rule = requires(Rule const& rule, row<T> parameters, row<T const> gradient,
                               std::array<row<T>, Rule::state_rows> const& state, std::size_t step) {
    { Rule::state_rows } -> std::convertible_to<std::size_t>;
    rule(parameters, gradient, state, step);
};

/// An update rule together with its state, which is allocated once and visible:
///     auto descent = optimizer(adam{.learning_rate = 0.05}, parameters);
///     descent.step(parameters, gradient);
/// The scalar T is that of the parameters: `float`, `double`, or a SIMD pack, for one replica per lane.
template <class Rule, scalar T>
    requires update_rule<Rule, T>
class optimizer {
public:
    Rule rule;
    std::size_t steps = 0; ///< taken so far

    constexpr optimizer(Rule update, std::size_t parameter_count)
        : rule(update), parameter_count_(parameter_count), state_(Rule::state_rows * parameter_count, T(0)) {}
    /// For as many parameters as the row has.
    template <class Parameters>
        requires requires(Parameters const& parameters) { parameters.size(); }
    constexpr optimizer(Rule update, Parameters const& parameters)
        : optimizer(update, static_cast<std::size_t>(parameters.size())) {}

    constexpr std::size_t parameter_count() const { return parameter_count_; }

    /// Row i of the rule's state, such as the velocity; writing it restores a saved optimiser, along with `steps`.
    constexpr row<T> state(std::size_t i) { return {state_.data() + i * parameter_count_, parameter_count_}; }
    constexpr row<T const> state(std::size_t i) const {
        return {state_.data() + i * parameter_count_, parameter_count_};
    }

    /// Moves the parameters by one step of the rule, and returns what the rule does (`clipped_by_norm`: the gradient's
    /// norm). Throws `argument_error` where the lengths are not parameter_count().
    constexpr auto step(row<T> parameters, row<T const> gradient) {
        require(parameters.size() == parameter_count_, "optimizer::step", "parameters", parameter_count_,
                parameters.size());
        require(gradient.size() == parameter_count_, "optimizer::step", "gradient", parameter_count_, gradient.size());
        ++steps;
        if constexpr (std::floating_point<T>) {
            if (!std::is_constant_evaluated()) return run<along_row<T>, along_row<T const>>(parameters, gradient);
        }
        return run<row<T>, row<T const>>(parameters, gradient);
    }

private:
    template <class Row, class ConstRow>
    constexpr auto run(row<T> parameters, row<T const> gradient) {
        auto const state = [this]<std::size_t... I>(std::index_sequence<I...>) {
            return std::array<Row, sizeof...(I)>{Row(state_.data() + I * parameter_count_, parameter_count_)...};
        }(std::make_index_sequence<Rule::state_rows>{});
        return rule(Row(parameters.data(), parameters.size()), ConstRow(gradient.data(), gradient.size()), state,
                    steps);
    }

    std::size_t parameter_count_;
    std::vector<T> state_;
};

template <class Rule, class Parameters>
optimizer(Rule, Parameters const&) -> optimizer<Rule, typename Parameters::value_type>;

} // namespace poise::solver
