#pragma once

#include "poise/core/segment.hpp"
#include "poise/core/verbs.hpp"
#include "poise/solver/real_of_given.hpp"

namespace poise::solver {

namespace detail {

/// The elements of a row times a factor, computed as they are read.
template <class Row>
class scaled_row {
public:
    using value_type = value_of<Row>;
    static constexpr std::size_t extent = Row::extent;
    static constexpr bool packed = packed_row<Row>;

    constexpr scaled_row(Row base, value_type factor) : base_(base), factor_(factor) {}
    constexpr std::size_t size() const { return base_.size(); }
    constexpr value_type operator[](std::size_t k) const { return factor_ * value_type(base_[k]); }
    auto load(std::size_t k) const { return factor_ * base_.load(k); }
    auto load_part(std::size_t k, std::size_t count) const { return factor_ * base_.load_part(k, count); }

    template <std::size_t Extent = dynamic>
    friend constexpr auto segment(scaled_row whole, std::size_t first, std::size_t count = Extent) {
        auto const part = poise::segment<Extent>(whole.base_, first, count);
        return scaled_row<std::remove_const_t<decltype(part)>>(part, whole.factor_);
    }

private:
    Row base_;
    value_type factor_;
};

} // namespace detail

/// The Euclidean norm of a gradient.
constexpr auto norm(row_of_reals auto gradient) {
    return math::sqrt(sum([](auto g) { return g * g; }, gradient));
}

/// The update rule that gives another one g min(1, maximum / (|g| + 1e-6)) for the gradient g, |g| its norm over all
/// parameters (Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013; the
/// constant is PyTorch's). Returns |g|, before clipping:
///     auto descent = optimizer(clipped_by_norm{adam{}, 0.5}, parameters);
///     auto const norm = descent.step(parameters, gradient);
template <class Rule, scalar Real = double>
struct clipped_by_norm {
    Rule rule{};
    Real maximum = Real(1);

    static constexpr std::size_t state_rows = Rule::state_rows;

    template <writable_row Parameters, row_of_reals Gradient>
    constexpr auto operator()(Parameters parameters, Gradient gradient, auto const& state, std::size_t step) const {
        using T = value_of<Parameters>;
        auto const length = norm(gradient);
        auto const factor = math::min(T(1), T(maximum) / (length + T(1e-6)));
        rule(parameters, detail::scaled_row<Gradient>(gradient, factor), state, step);
        return length;
    }
};

template <class Rule, class Real>
clipped_by_norm(Rule, Real) -> clipped_by_norm<Rule, typename detail::real_of_given<Real>::type>;

} // namespace poise::solver
