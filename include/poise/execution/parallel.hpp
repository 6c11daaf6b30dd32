#pragma once

#include "poise/execution/simd.hpp"

#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <thread>

#if defined(POISE_PARALLEL_OMP)
#include <thrust/system/omp/execution_policy.h>
#else
#include <thrust/system/tbb/execution_policy.h>
#endif

namespace poise::execution {

namespace system {

#if defined(POISE_PARALLEL_OMP)
/// Thrust's OpenMP system.
inline constexpr auto& chosen = thrust::omp::par;
#else
/// Thrust's TBB system; define POISE_PARALLEL_OMP for OpenMP.
inline constexpr auto& chosen = thrust::tbb::par;
#endif

} // namespace system

/// All cores: the rows are dealt out in chunks, each run by `Inner`. Rows are independent, so the result does not
/// depend on the number of threads.
template <class Inner = simd>
struct parallel {
    static constexpr bool checked = Inner::checked;

    /// Rows per chunk; 0 asks for a few chunks per core.
    std::size_t chunk_rows = 0;

    template <class Kernel, class... Batches>
    void run(Kernel const& kernel, std::size_t rows, Batches const&... batches) const {
        // Whole packs and cache lines; of rows that take long no more than these need.
        constexpr auto granule = requires {
            Kernel::long_rows;
        } ? std::size_t{64} / sizeof(poise::detail::scalar_of_batches<Batches...>) : std::size_t{64};
        auto const cores = std::max(1U, std::thread::hardware_concurrency());
        auto const wanted = chunk_rows > 0 ? chunk_rows : rows / (std::size_t{4} * cores) + 1;
        auto const chunk = (wanted + granule - 1) / granule * granule;
        auto const chunks = (rows + chunk - 1) / chunk;
        auto const first = thrust::counting_iterator<std::size_t>(0);
        thrust::for_each(system::chosen, first, first + static_cast<std::ptrdiff_t>(chunks), [&](std::size_t index) {
            auto const begin = index * chunk;
            auto const count = std::min(chunk, rows - begin);
            Inner{}.run(kernel, count, poise::detail::rows_of_batch(batches, begin, count)...);
        });
    }
};

} // namespace poise::execution
