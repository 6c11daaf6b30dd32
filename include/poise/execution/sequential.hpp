#pragma once

#include "poise/execution/row_kernel.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

namespace poise {

namespace detail {

/// One argument of a kernel, row by row: a view where the memory allows it, otherwise through a buffer of one row.
template <class T, class Batch, class View, bool Direct>
class row_access {
public:
    constexpr explicit row_access(Batch const& batch) : batch_(batch) {}

    constexpr View open(std::size_t i) {
        auto const n = batch_.length(i);
        if constexpr (Direct) {
            return view_of(batch_.row_data(i), n);
        } else {
            if (buffer_.size() < n) buffer_.resize(n, T(0));
            if constexpr (Batch::is_input)
                for (std::size_t k = 0; k < n; ++k) buffer_[k] = T(batch_(i, k));
            return view_of(buffer_.data(), n);
        }
    }
    constexpr void close(std::size_t i) {
        if constexpr (!Direct && !Batch::is_input)
            for (std::size_t k = 0; k < batch_.length(i); ++k)
                batch_(i, k) = static_cast<typename Batch::value_type>(buffer_[k]);
    }

private:
    template <class Pointer>
    constexpr View view_of(Pointer data, std::size_t n) const {
        if constexpr (Direct && std::is_constructible_v<View, Pointer, std::size_t, std::size_t>)
            return View(data, n, batch_.element_stride());
        else
            return View(data, n, std::size_t{1});
    }

    Batch batch_;
    std::vector<T> buffer_;
};

/// Runs one row after another; `Access<Batch>` says how a batch shows its rows, `Scratch` what working rows are.
template <template <class> class Access, class Scratch, class T, class Kernel, class... Batches>
constexpr void run_row_by_row(Kernel const& kernel, std::size_t rows, Batches const&... batches) {
    constexpr auto scratch_rows = scratch_rows_of<Kernel>();
    auto accesses = std::tuple<Access<Batches>...>(Access<Batches>(batches)...);
    auto memory = std::vector<T>{};
    for (std::size_t i = 0; i < rows; ++i) {
        auto const run = [&](auto&... access) {
            auto const scratch = [&] {
                if constexpr (scratch_rows == 0)
                    return 0;
                else {
                    auto const length = std::max({batches.length(i)...});
                    if (memory.size() < scratch_rows * length) memory.resize(scratch_rows * length, T(0));
                    return [&]<std::size_t... S>(std::index_sequence<S...>) {
                        return std::array<Scratch, scratch_rows>{
                            Scratch(memory.data() + S * length, length, std::size_t{1})...};
                    }(std::make_index_sequence<scratch_rows>{});
                }
            }();
            call(kernel, scratch, access.open(i)...);
            (access.close(i), ...);
        };
        std::apply(run, accesses);
    }
}

template <class T>
struct sequential_access {
    template <class Batch>
    using of = row_access<T, Batch, sequential_row<T, Batch>,
                          Batch::in_memory && std::is_same_v<T, typename Batch::value_type>>;
};

} // namespace detail

namespace execution {

/// One row after another on scalars: the reference. Works on every scalar and in constant expressions.
struct sequential {
    static constexpr bool checked = true;

    template <class Kernel, class... Batches>
    constexpr void run(Kernel const& kernel, std::size_t rows, Batches const&... batches) const {
        using T = poise::detail::scalar_of_batches<Batches...>;
        poise::detail::run_row_by_row<poise::detail::sequential_access<T>::template of, row<T>, T>(kernel, rows,
                                                                                                   batches...);
    }
};

/// The same execution without the checks of shapes and domains.
template <class Execution>
struct unchecked : Execution {
    static constexpr bool checked = false;
};

} // namespace execution

} // namespace poise
