#pragma once

#include "poise/core/batch.hpp"

#include <thrust/device_vector.h>

/// Thrust's device vectors: one value per row as they are; as matrices through `rows_of` and `interleaved_rows_of`.
namespace poise {

template <class T, class Allocator>
struct batch_view<thrust::device_vector<T, Allocator>> {
    template <class Vector>
    static auto view(Vector& values) {
        auto* const data = thrust::raw_pointer_cast(values.data());
        return batch<std::remove_pointer_t<decltype(data)>, 1, row_contiguous>(data, values.size(), 1, 1, 1);
    }
};

/// The device memory of a vector, to be dereferenced where it lies.
template <class Vector>
auto* device_data(Vector& values) {
    return thrust::raw_pointer_cast(values.data());
}

} // namespace poise
