#pragma once

#include "poise/core/row.hpp"

#include <cstddef>

/// Where a sum over all processes is taken. One process is the default; MPI fits the same concept (`communicator`).
namespace poise::distributed {

/// The only process: its sums are everybody's.
struct single_process {
    static constexpr std::size_t rank() { return 0; }
    static constexpr std::size_t size() { return 1; }
    /// x_k becomes the sum of x_k over all processes.
    static constexpr void all_reduce_sum(writable_row auto) {}
    /// Everybody receives the row of process `root`.
    static constexpr void broadcast(writable_row auto, [[maybe_unused]] std::size_t root = 0) {}
};

} // namespace poise::distributed
