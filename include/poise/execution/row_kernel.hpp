#pragma once

#include "poise/core/batch.hpp"
#include "poise/core/math.hpp"

#include <string>

namespace poise {

namespace detail {

template <class Kernel>
constexpr std::size_t scratch_rows_of() {
    if constexpr (requires { Kernel::scratch_rows; })
        return Kernel::scratch_rows;
    else
        return 0;
}

template <class... Batches>
struct first_scalar;
template <class First, class... Rest>
struct first_scalar<First, Rest...> : first_scalar<Rest...> {};
template <class First, class... Rest>
    requires scalar<typename First::value_type>
struct first_scalar<First, Rest...> {
    using type = typename First::value_type;
};

/// The scalar a kernel runs on: that of the first argument of reals. Others (labels, counts) are converted to it.
template <class... Batches>
using scalar_of_batches = typename first_scalar<Batches...>::type;

/// Rows first … first + count - 1 of a batch; the shared row is shared by all.
template <class Batch>
constexpr Batch rows_of_batch(Batch const& batch, std::size_t first, std::size_t count) {
    if constexpr (Batch::is_shared)
        return batch;
    else
        return batch.rows(first, count);
}

template <class Kernel, class... Rows>
constexpr void call(Kernel const& kernel, auto const& scratch, Rows... rows) {
    if constexpr (scratch_rows_of<Kernel>() > 0)
        kernel(rows..., scratch);
    else
        kernel(rows...);
}

} // namespace detail

/// A formula on one row: `kernel(rows...)`, or `kernel(rows..., scratch)` where the kernel states `scratch_rows`, the
/// number of rows of working memory it wants (each as long as its longest argument; `scratch[i]`). Row kernels hold
/// their hyper-parameters as named members, never throw, allocate or branch on a value, and may state
///  - `argument_names`, the names of their arguments for error messages, and
///  - `check(batches...)`, what the batches' shapes and values must satisfy. Without it all rows of a call must be
///  equally
///    long, but for those of static length 1.
template <class Kernel, class... Rows>
concept row_kernel =
    (detail::scratch_rows_of<Kernel>() == 0 && requires(Kernel const& kernel, Rows... rows) { kernel(rows...); }) ||
    (detail::scratch_rows_of<Kernel>() > 0 &&
     requires(Kernel const& kernel, std::array<row<detail::scalar_of_batches<Rows...>>, 8> scratch, Rows... rows) {
         kernel(rows..., scratch);
     });

namespace detail {

template <class Kernel, class... Batches>
concept checks_batches = requires(Kernel const& kernel, Batches const&... batches) { kernel.check(batches...); };

// The row by which the sequential execution would show a batch: what row_kernel is asked about.
template <class T, class Batch>
using sequential_row =
    row<std::conditional_t<Batch::is_input, T const, T>, Batch::extent,
        std::is_same_v<typename Batch::layout, row_contiguous> || Batch::is_shared || Batch::extent == 1 ? 1 : dynamic>;

template <class Kernel>
std::string argument_name(std::size_t index) {
    if constexpr (requires { Kernel::argument_names; })
        return std::string(Kernel::argument_names[index]);
    else
        return std::to_string(index);
}

template <class Kernel, class... Batches>
constexpr std::size_t checked_rows(Batches const&... batches) {
    auto rows = dynamic;
    auto index = std::size_t{0};
    auto const check = [&](auto const& batch) {
        if constexpr (!std::remove_cvref_t<decltype(batch)>::is_shared) {
            if (rows == dynamic)
                rows = batch.rows();
            else if (batch.rows() != rows)
                require(false, "for_each_row", argument_name<Kernel>(index), std::to_string(rows) + " rows",
                        batch.rows());
        }
        ++index;
    };
    (check(batches), ...);
    return rows == dynamic ? 1 : rows;
}

// What a kernel that says nothing about shapes may assume: all rows are of one length, but for values per row.
template <class Kernel, class... Batches>
constexpr void check_equal_lengths(std::size_t rows, Batches const&... batches) {
    for (std::size_t i = 0; i < rows; ++i) {
        auto length = dynamic;
        auto index = std::size_t{0};
        auto const check = [&]<class Batch>(Batch const& batch) {
            if constexpr (Batch::extent != 1) {
                if (length == dynamic)
                    length = batch.length(i);
                else if (batch.length(i) != length)
                    require(false, "for_each_row", argument_name<Kernel>(index),
                            "rows of " + std::to_string(length) + " elements", batch.length(i));
            }
            ++index;
        };
        (check(batches), ...);
        if constexpr ((requires { batches.length(); } && ...)) return; // the rows of each batch are alike
    }
}

template <class Execution, class Kernel, class... Batches>
constexpr void run_batches(Execution const& execution, Kernel const& kernel, Batches const&... batches) {
    auto rows = std::size_t{1};
    if constexpr (Execution::checked) {
        rows = checked_rows<Kernel>(batches...);
        // A kernel's own check reads values, which the host cannot where they lie in device memory.
        if constexpr (!checks_batches<Kernel, Batches...>)
            check_equal_lengths<Kernel>(rows, batches...);
        else if constexpr (!requires { Execution::on_device; })
            kernel.check(batches...);
    } else {
        ((rows = Batches::is_shared ? rows : batches.rows()), ...);
    }
    if (rows > 0) execution.run(kernel, rows, batches...);
}

template <bool Input, class Batch>
constexpr auto as_argument(Batch const& batch) {
    if constexpr (Input && !Batch::is_input)
        return batch.as_input();
    else
        return batch;
}

template <bool Input, class Batch>
using argument_batch = decltype(as_argument<Input>(std::declval<Batch const&>()));

// An argument is an input if the kernel accepts it read-only: its outputs ask for `writable_row`.
template <class Kernel, std::size_t I, class... Batches, std::size_t... J>
constexpr bool is_input_argument(std::index_sequence<J...>) {
    using T = scalar_of_batches<Batches...>;
    return row_kernel<Kernel, sequential_row<T, argument_batch<I == J, Batches>>...>;
}

template <class Execution, class Kernel, std::size_t... I, class... Batches>
constexpr void tell_inputs(Execution const& execution, Kernel const& kernel, std::index_sequence<I...> all,
                           Batches const&... batches) {
    using T = scalar_of_batches<Batches...>;
    if constexpr (row_kernel<Kernel, sequential_row<T, Batches>...>) {
        run_batches(execution, kernel, as_argument<is_input_argument<Kernel, I, Batches...>(all)>(batches)...);
    } else {
        constexpr auto writes_to_read_only = row_kernel<Kernel, row<T, Batches::extent>...>;
        static_assert(!writes_to_read_only,
                      "for_each_row: the kernel does not satisfy row_kernel for these batches: what "
                      "it takes as a writable_row is read-only (a batch of const)");
        static_assert(writes_to_read_only,
                      "for_each_row: the kernel does not satisfy row_kernel for these batches: it "
                      "does not take this number of arguments, each a row_of_reals or writable_row");
    }
}

} // namespace detail

/// Runs a row kernel over every row of the batches, in the way that the execution decides:
/// `for_each_row(execution::simd{}, kernel, inputs..., outputs...)`. All batches must have the same number of rows,
/// else `argument_error`; so does whatever the kernel's own `check` finds, before anything is written. What the kernel
/// takes as a `writable_row` is an output and its old contents are not read: to update in place, give the same memory
/// twice.
template <class Execution, class Kernel, class... Objects>
constexpr void for_each_row(Execution const& execution, Kernel const& kernel, Objects&&... objects) {
    constexpr auto all_batches = (seen_as_batch<Objects> && ...);
    static_assert(all_batches,
                  "for_each_row takes objects that satisfy batch_of_rows: see rows_of, interleaved_rows_of, "
                  "per_row, shared_row, and poise/interop/ for Eigen, xtensor and Thrust");
    if constexpr (all_batches)
        detail::tell_inputs(execution, kernel, std::index_sequence_for<Objects...>{}, as_batch(objects)...);
}

} // namespace poise
