#pragma once

#include "poise/core/verbs.hpp"
#include "poise/execution/row_kernel.hpp"

namespace poise::objective {

namespace detail {

struct divided {
    double by;
    constexpr void operator()(row_of_reals auto in, writable_row auto out) const {
        using T = value_of<decltype(out)>;
        auto const count = T(real_of<T>(by));
        map(out, [=](auto g) { return g / count; }, in);
    }
};

} // namespace detail

/// The mean over a batch of an objective with one loss per row. Runs `kernel(inputs..., losses, gradients)` on every
/// row, divides the gradients by the number of rows, so that they are those of the mean, and returns the mean loss.
/// `losses` (one per row, in memory) keeps the rows' own losses.
template <class Execution, class Kernel, class Losses, class Gradients, class... Inputs>
constexpr auto batch_mean(Execution const& execution, Kernel const& kernel, Losses&& losses, Gradients&& gradients,
                          Inputs&&... inputs) {
    auto const each = as_batch(losses);
    auto const rows = each.rows();
    require(rows > 0, "batch_mean", "losses", "at least one row", rows);
    for_each_row(execution, kernel, inputs..., losses, gradients);
    for_each_row(execution, detail::divided{static_cast<double>(rows)}, gradients, gradients);
    using T = typename decltype(each)::value_type;
    return mean(row<T const, dynamic, dynamic>(each.data(), rows, each.row_stride()));
}

} // namespace poise::objective
