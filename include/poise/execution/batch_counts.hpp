#pragma once

#include "poise/execution/pipeline_kernel.hpp"

#include <vector>

namespace poise {

// The compiler says so where this is deleted.
template <class Aggregation>
void mean_over_batch_counts_a_mask_that_is_given_not_one_that_a_stage_writes() = delete;

namespace detail {

struct sum_of_row {
    constexpr void operator()(row_of_reals auto x, writable_row auto total) const { total[0] = sum(x); }
    constexpr void check(auto const&...) const {}
};

/// How many elements of the loss's rank a batch has, or how many it lets count where it is the mask.
template <bool IsMask, class T, class Execution, class Batch>
constexpr T elements_of(Execution const& execution, Batch const& batch) {
    if constexpr (IsMask) {
        static_assert(!requires { Execution::on_device; },
                      "mean_over_batch: the host cannot count a mask in device memory; use constant_count");
        auto totals = std::vector<T>(batch.rows());
        for_each_row(execution, sum_of_row{}, batch, rows_of<1>(totals.data(), totals.size(), 1));
        return sum(row<T const>(totals));
    } else {
        auto elements = std::size_t{0};
        for (std::size_t i = 0; i < batch.rows(); ++i) elements += batch.length(i);
        return T(real_of<T>(elements));
    }
}

/// The numbers of the batch that the pipeline's aggregation asks for.
template <class Kernel, class Execution, class... Named>
constexpr auto counts_of_batch(Execution const& execution, std::size_t rows, field_batch<Named...> const& given) {
    using T = typename Kernel::scalar;
    auto found = batch_counts<T>{rows};
    if constexpr (counts_batch<typename Kernel::aggregation>) {
        if constexpr (Kernel::written::template contains<field::mask>)
            mean_over_batch_counts_a_mask_that_is_given_not_one_that_a_stage_writes<typename Kernel::aggregation>();
        constexpr auto rank = Kernel::template rank_before<field::loss, Kernel::stage_count>();
        constexpr auto masked = Kernel::template rank_before<field::mask, 0>() >= 0;
        auto const look = [&]<auto Field, class Batch>(named<Field, Batch> const& one) {
            constexpr auto is_mask = std::is_same_v<type_of_field<Field>, type_of_field<field::mask>>;
            static_assert(!is_mask || rank_of_batch<Batch> == rank,
                          "mean_over_batch: the mask has another number of axes than the loss");
            if constexpr (is_mask || (!masked && rank_of_batch<Batch> == rank))
                found.elements = elements_of<is_mask, T>(execution, plain_batch(one.batch));
        };
        std::apply([&](auto const&... one) { (look(one), ...); }, given.all);
    }
    return found;
}

} // namespace detail

} // namespace poise
