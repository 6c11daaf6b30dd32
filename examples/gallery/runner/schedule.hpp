#pragma once

#include <cstddef>
#include <vector>

#include "results.hpp"

namespace gallery {

/// Runs what is not yet finished, up to `threads` experiments at a time, tells progress on standard error, and stores
/// each result at once. An exception becomes the error of its own result; the others go on.
void run_all(std::vector<result>& results, result_store const& store, std::size_t threads);

} // namespace gallery
