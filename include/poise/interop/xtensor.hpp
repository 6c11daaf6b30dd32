#pragma once

#include "poise/core/sequences.hpp"

#include <limits>
#include <tuple>

#if __has_include(<xtensor/core/xexpression.hpp>) // the header layout since xtensor 0.26
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xarray.hpp>
#include <xtensor/containers/xtensor.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>
#endif

/// xtensor containers, adaptors and views are batches without a copy: the last axis is the row, the axes before it
/// count rows; an object of one axis is one value per row. Expressions are inputs whose elements are read one by one. A
/// view of three or more axes whose leading axes do not follow each other in memory throws `argument_error`: copy it.
/// The layout is known at compile time for containers, strided for views.
namespace poise {

namespace detail {

template <class Object>
concept xtensor_object = xt::is_xexpression<Object>::value;

template <class Object>
concept in_xtensor_memory = requires(Object& object) {
    object.data();
    object.data_offset();
    object.strides();
};

/// How many axes an object has by its type, where its shape is an array; else the largest number.
template <class Object>
constexpr std::size_t xtensor_axes() {
    using shape = std::remove_cvref_t<decltype(std::declval<Object const&>().shape())>;
    if constexpr (xt::get_rank<Object>::value != std::numeric_limits<std::size_t>::max())
        return xt::get_rank<Object>::value;
    else if constexpr (requires { std::tuple_size<shape>::value; })
        return std::tuple_size<shape>::value;
    else
        return std::numeric_limits<std::size_t>::max();
}

/// Row index over all leading axes and position in the row, as an index of the object.
template <class Object>
auto xtensor_element(Object const& object, std::size_t i, std::size_t k) {
    auto const axes = object.dimension();
    auto index = xt::dynamic_shape<std::size_t>(axes);
    index[axes - 1] = axes == 1 ? i : k;
    for (std::size_t axis = axes - 1; axis-- > 0;) {
        auto const length = static_cast<std::size_t>(object.shape()[axis]);
        index[axis] = i % length;
        i /= length;
    }
    return object.element(index.cbegin(), index.cend());
}

template <class Object>
auto xtensor_rows(Object const& object) {
    auto const axes = object.dimension();
    require(axes >= 1, "xtensor batch", "object", "at least one axis", axes);
    auto rows = std::size_t{1};
    for (std::size_t axis = 0; axis + 1 < axes; ++axis) rows *= static_cast<std::size_t>(object.shape()[axis]);
    auto const last = static_cast<std::size_t>(object.shape()[axes - 1]);
    return axes == 1 ? std::pair{last, std::size_t{1}} : std::pair{rows, last};
}

} // namespace detail

template <detail::xtensor_object Tensor>
struct batch_view<Tensor> {
    template <class Object>
    static auto view(Object& object) {
        auto const [rows, length] = detail::xtensor_rows(object);
        if constexpr (detail::in_xtensor_memory<Object>) {
            using element = std::remove_pointer_t<decltype(object.data())>;
            constexpr auto axes = detail::xtensor_axes<Tensor>();
            constexpr auto order = Tensor::static_layout;
            using layout = std::conditional_t<
                order == xt::layout_type::row_major, row_contiguous,
                std::conditional_t<order == xt::layout_type::column_major && axes <= 2, interleaved, strided>>;
            auto* const data = object.data() + object.data_offset();
            auto const last = object.dimension() - 1;
            auto const stride = [&](std::size_t axis) { return static_cast<std::size_t>(object.strides()[axis]); };
            if constexpr (axes == 1) {
                return batch<element, 1, row_contiguous>(data, rows, 1, stride(0), 1);
            } else {
                if (last == 0) return batch<element, dynamic, layout>(data, rows, 1, stride(0), rows);
                // The leading axes must follow each other at one distance; axes of length 1 have stride 0.
                auto row_stride = std::size_t{0}, expected = std::size_t{0};
                for (std::size_t axis = last; axis-- > 0;) {
                    auto const axis_length = static_cast<std::size_t>(object.shape()[axis]);
                    if (axis_length == 1) continue;
                    if (expected == 0)
                        row_stride = stride(axis);
                    else
                        require(stride(axis) == expected, "xtensor batch", "object",
                                "leading axes that follow each other in memory (or a copy)",
                                "axis " + std::to_string(axis) + " at stride " + std::to_string(stride(axis)));
                    expected = stride(axis) * axis_length;
                }
                return batch<element, dynamic, layout>(data, rows, length, row_stride, length == 1 ? 1 : stride(last));
            }
        } else {
            return generated_rows(rows, length, [&object](std::size_t i, std::size_t k) {
                return detail::xtensor_element(object, i, k);
            });
        }
    }
};

/// Fields of three axes, prompt x rollout x token: rows of sequences, wherever they lie.
template <detail::xtensor_object Tensor>
    requires(detail::xtensor_axes<Tensor>() == 3 && detail::in_xtensor_memory<Tensor>)
struct sequence_view<Tensor> {
    template <class Object>
    static auto view(Object& object) {
        using element = std::remove_pointer_t<decltype(object.data())>;
        auto const shape = [&](std::size_t axis) { return static_cast<std::size_t>(object.shape()[axis]); };
        auto const stride = [&](std::size_t axis) { return static_cast<std::size_t>(object.strides()[axis]); };
        if constexpr (Tensor::static_layout == xt::layout_type::row_major && requires { object.storage(); })
            return sequences_of(rows_of(object.data(), shape(0), shape(1) * shape(2)), shape(1));
        else
            return nested_batch<element>(object.data() + object.data_offset(), {shape(0), shape(1), shape(2)},
                                         {stride(0), stride(1), stride(2)});
    }
};

/// A one-dimensional container as the one row that every row of the batch sees.
template <detail::xtensor_object Tensor>
    requires detail::in_xtensor_memory<Tensor const>
auto shared_row(Tensor const& row) {
    require(row.dimension() == 1, "shared_row", "row", "one axis", row.dimension());
    require(row.shape()[0] == 1 || row.strides()[0] == 1, "shared_row", "row", "consecutive elements",
            row.strides()[0]);
    return batch<typename Tensor::value_type const, dynamic, shared>(row.data() + row.data_offset(), 1,
                                                                     static_cast<std::size_t>(row.shape()[0]), 0, 1);
}

} // namespace poise
