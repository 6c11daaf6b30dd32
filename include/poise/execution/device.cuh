#pragma once

#include "poise/execution/block_row.cuh"
#include "poise/execution/row_kernel.hpp"

#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

/// Executions on a CUDA device. The batches are views of device memory. Compile with nvcc, `--expt-relaxed-constexpr`.
namespace poise {

namespace detail {

template <class T, class Batch, template <class, std::size_t, std::size_t> class Row>
struct device_access {
    static_assert(
        Batch::extent == 1 || std::is_same_v<T, typename Batch::value_type>,
        "on the device the rows of a batch are of the kernel's own scalar; only per-row values are converted");
    static constexpr std::size_t stride = std::is_same_v<typename Batch::layout, row_contiguous> ? 1 : dynamic;
    using element = std::conditional_t<Batch::is_input, T const, T>;
    using view = Row<element, Batch::extent, stride>;

    T converted{};

    constexpr auto open(Batch const& batch, std::size_t i) {
        if constexpr (std::is_same_v<T, typename Batch::value_type>)
            return view(batch.row_data(i), batch.length(i), batch.element_stride());
        else {
            static_assert(Batch::is_input, "on the device results are of the kernel's own scalar");
            converted = T(batch(i, 0));
            return row<T const, 1>(&converted);
        }
    }
};

template <class T, class Batch>
using thread_access = device_access<T, Batch, row>;
template <class T, class Batch>
using block_access =
    std::conditional_t<Batch::extent == 1, device_access<T, Batch, row>, device_access<T, Batch, block_row>>;

template <class Kernel, class... Batches>
std::size_t longest_row(std::size_t rows, Batches const&... batches) {
    auto longest = std::size_t{0};
    auto const visit = [&](auto const& batch) {
        if constexpr (requires { batch.length(); })
            longest = std::max(longest, batch.length());
        else
            for (std::size_t i = 0; i < rows; ++i) longest = std::max(longest, batch.length(i));
    };
    (visit(batches), ...);
    return longest;
}

/// Device memory for values of the host.
template <class T>
class device_memory {
public:
    explicit device_memory(std::vector<T> const& values) : values_(values) {}
    T* data() { return thrust::raw_pointer_cast(values_.data()); }
    std::vector<T> to_host() const {
        auto values = std::vector<T>(values_.size());
        thrust::copy(values_.begin(), values_.end(), values.begin());
        return values;
    }

private:
    thrust::device_vector<T> values_;
};

inline void check_launch(char const* where) {
    auto const status = cudaGetLastError();
    if (status != cudaSuccess) throw std::runtime_error(std::string(where) + ": " + cudaGetErrorString(status));
}

/// One thread, every `threads`-th row; scratch element k of all threads is consecutive.
template <class T, class Kernel, class... Batches>
struct thread_task {
    Kernel kernel;
    std::size_t rows;
    std::size_t threads;
    std::size_t longest;
    T* memory;
    std::tuple<Batches...> batches;

    __device__ void operator()(std::size_t thread) const { run(thread, std::index_sequence_for<Batches...>{}); }

private:
    template <std::size_t... I>
    __device__ void run(std::size_t thread, std::index_sequence<I...>) const {
        auto accesses = std::tuple<thread_access<T, Batches>...>{};
        auto scratch = scratch_at(thread, std::make_index_sequence<scratch_rows_of<Kernel>()>{});
        for (auto i = thread; i < rows; i += threads)
            call(kernel, scratch, std::get<I>(accesses).open(std::get<I>(batches), i)...);
    }
    template <std::size_t... S>
    __device__ auto scratch_at(std::size_t thread, std::index_sequence<S...>) const {
        return std::array<row<T, dynamic, dynamic>, sizeof...(S)>{
            row<T, dynamic, dynamic>(memory + S * longest * threads + thread, longest, threads)...};
    }
};

template <class T, class Kernel, class... Batches, std::size_t... I, std::size_t... S>
__device__ void run_block(Kernel const& kernel, std::size_t rows, std::size_t longest, T* memory,
                          std::index_sequence<I...>, std::index_sequence<S...>, Batches const&... batches) {
    auto accesses = std::tuple<block_access<T, Batches>...>{};
    auto* own = memory + blockIdx.x * sizeof...(S) * longest;
    auto scratch = std::array<block_row<T>, sizeof...(S)>{block_row<T>(own + S * longest, longest, std::size_t{1})...};
    for (std::size_t i = blockIdx.x; i < rows; i += gridDim.x) {
        call(kernel, scratch, std::get<I>(accesses).open(batches, i)...);
        __syncthreads();
    }
}

template <class T, class Kernel, class... Batches>
__global__ void __launch_bounds__(block_threads)
    block_per_row(Kernel kernel, std::size_t rows, std::size_t longest, T* memory, Batches... batches) {
    run_block<T>(kernel, rows, longest, memory, std::index_sequence_for<Batches...>{},
                 std::make_index_sequence<scratch_rows_of<Kernel>()>{}, batches...);
}

} // namespace detail

namespace execution {

/// One GPU thread per row, by Thrust: for narrow rows, best interleaved.
struct device {
    static constexpr bool checked = true; // shapes only
    static constexpr bool on_device = true;
    template <class T>
    using memory = poise::detail::device_memory<T>;
    /// How many rows are in flight at once; bounds the scratch memory.
    std::size_t threads = std::size_t{1} << 18;

    template <class Kernel, class... Batches>
    void run(Kernel const& kernel, std::size_t rows, Batches const&... batches) const {
        using T = poise::detail::scalar_of_batches<Batches...>;
        auto const longest = poise::detail::longest_row<Kernel>(rows, batches...);
        auto const count = std::min(threads, rows);
        auto memory = thrust::device_vector<T>(poise::detail::scratch_rows_of<Kernel>() * longest * count);
        auto const first = thrust::counting_iterator<std::size_t>(0);
        thrust::for_each(thrust::device, first, first + static_cast<std::ptrdiff_t>(count),
                         poise::detail::thread_task<T, Kernel, Batches...>{
                             kernel, rows, count, longest, thrust::raw_pointer_cast(memory.data()), {batches...}});
        poise::detail::check_launch("execution::device");
    }
};

/// One block of threads per row, reductions and scans by CUB: for wide rows.
struct device_blocks {
    static constexpr bool checked = true; // shapes only
    static constexpr bool on_device = true;
    /// How many rows are in flight at once; bounds the scratch memory.
    std::size_t blocks = std::size_t{1} << 12;

    template <class Kernel, class... Batches>
    void run(Kernel const& kernel, std::size_t rows, Batches const&... batches) const {
        using T = poise::detail::scalar_of_batches<Batches...>;
        auto const longest = poise::detail::longest_row<Kernel>(rows, batches...);
        auto const count = std::min(blocks, rows);
        auto memory = thrust::device_vector<T>(poise::detail::scratch_rows_of<Kernel>() * longest * count);
        poise::detail::block_per_row<T><<<static_cast<unsigned>(count), block_threads>>>(
            kernel, rows, longest, thrust::raw_pointer_cast(memory.data()), batches...);
        poise::detail::check_launch("execution::device_blocks");
        cudaDeviceSynchronize();
        poise::detail::check_launch("execution::device_blocks");
    }
};

} // namespace execution

} // namespace poise
