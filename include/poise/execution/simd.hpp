#pragma once

#include "poise/core/lane_row.hpp"
#include "poise/core/packed_scan.hpp"
#include "poise/execution/sequential.hpp"

namespace poise {

namespace detail {

template <class T>
struct along_access {
    template <class Batch>
    static constexpr bool direct = Batch::in_memory && std::is_same_v<T, typename Batch::value_type> &&
                                   (std::is_same_v<typename Batch::layout, row_contiguous> || Batch::is_shared);
    template <class Batch>
    using view = std::conditional_t<Batch::extent == 1, row<std::conditional_t<Batch::is_input, T const, T>, 1>,
                                    along_row<std::conditional_t<Batch::is_input, T const, T>, Batch::extent>>;
    template <class Batch>
    using of = row_access<T, Batch, view<Batch>, direct<Batch>>;
};

/// Working memory that begins at a cache line.
template <class T>
class line_buffer {
public:
    explicit line_buffer(std::size_t size) : memory_(size + 64 / sizeof(T)) {}
    T* data() {
        auto const past = reinterpret_cast<std::uintptr_t>(memory_.data()) % 64;
        return memory_.data() + (past == 0 ? 0 : (64 - past) / sizeof(T));
    }

private:
    std::vector<T> memory_;
};

/// One argument of a kernel, a tile of rows at a time, with element k of all rows of the tile consecutive. Going
/// through a tile costs a copy in the first-level cache and buys whole cache lines, any layout, any length and no
/// partial packs. Short interleaved inputs are read where they lie.
template <class T, class Batch>
class tile_access {
    static constexpr auto width = lanes<T>::size;
    static constexpr auto longest_direct = std::size_t{16}; // more rows than this in flight would evict each other
    using element = std::conditional_t<Batch::is_input, T const, T>;

public:
    tile_access(Batch const& batch, std::size_t tile_rows, bool streaming)
        : batch_(batch), tile_rows_(tile_rows), streaming_(streaming), tile_(batch.length() * tile_rows) {}

    void load(std::size_t first, std::size_t count) {
        data_ = tile_.data();
        stride_ = tile_rows_;
        if constexpr (Batch::is_input) {
            if constexpr (is_interleaved) {
                if (batch_.length() <= longest_direct && count % width == 0 && is_aligned(first)) {
                    data_ = batch_.row_data(first);
                    stride_ = batch_.element_stride();
                    return;
                }
            }
            for (std::size_t k = 0; k < batch_.length(); ++k) {
                auto* to = tile_.data() + k * tile_rows_;
                if constexpr (is_interleaved)
                    std::copy_n(&batch_(first, k), count, to);
                else
                    for (std::size_t i = 0; i < count; ++i) to[i] = T(batch_(first + i, k));
                std::fill(to + count, to + (count + width - 1) / width * width, to[count - 1]);
            }
        }
    }
    void store(std::size_t first, std::size_t count) {
        if constexpr (!Batch::is_input) {
            for (std::size_t k = 0; k < batch_.length(); ++k) {
                auto const* from = tile_.data() + k * tile_rows_;
                if constexpr (is_interleaved) {
                    if (streaming_)
                        stream_copy(from, count, &batch_(first, k));
                    else
                        std::copy_n(from, count, &batch_(first, k));
                } else {
                    for (std::size_t i = 0; i < count; ++i)
                        batch_(first + i, k) = static_cast<typename Batch::value_type>(from[i]);
                }
            }
        }
    }
    auto row_at(std::size_t offset) {
        return lane_row<element, Batch::extent>(data_ + offset, batch_.length(), stride_);
    }

private:
    static constexpr bool is_interleaved =
        std::is_same_v<typename Batch::layout, interleaved> && std::is_same_v<T, typename Batch::value_type>;
    // Packs that straddle cache lines, in as many rows at once, cost more than the copy.
    bool is_aligned(std::size_t first) const {
        constexpr auto pack = width * sizeof(T);
        return reinterpret_cast<std::uintptr_t>(&batch_(first, 0)) % pack == 0 &&
               batch_.element_stride() * sizeof(T) % pack == 0;
    }

    Batch batch_;
    std::size_t tile_rows_;
    bool streaming_;
    line_buffer<T> tile_;
    element* data_ = nullptr;
    std::size_t stride_ = 0;
};

/// The row that every lane sees: its elements are plain reals.
template <class T, class Batch>
class shared_access {
public:
    shared_access(Batch const& batch, std::size_t, bool) : batch_(batch), buffer_(batch.length()) {
        for (std::size_t k = 0; k < buffer_.size(); ++k) buffer_[k] = T(batch(0, k));
    }
    void load(std::size_t, std::size_t) {}
    void store(std::size_t, std::size_t) {}
    auto row_at(std::size_t) const { return row<T const, Batch::extent>(buffer_.data(), buffer_.size()); }

private:
    Batch batch_;
    std::vector<T> buffer_;
};

/// How many rows of an interleaved batch of T lie before the first whole cache line; `otherwise` for other batches.
template <class T, class Batch>
std::size_t rows_to_line(Batch const& batch, std::size_t otherwise) {
    if constexpr (std::is_same_v<typename Batch::layout, interleaved> && Batch::in_memory &&
                  std::is_same_v<typename Batch::value_type, T>) {
        auto const past = reinterpret_cast<std::uintptr_t>(batch.data()) % 64;
        return past == 0 ? 0 : (64 - past) / sizeof(T);
    } else {
        return otherwise;
    }
}

template <class T, class Batch>
using lane_access = std::conditional_t<Batch::is_shared, shared_access<T, Batch>, tile_access<T, Batch>>;

} // namespace detail

namespace execution {

/// Packs along each row: for rows of more than about 64 elements that are consecutive in memory (others are copied).
struct along {
    static constexpr bool checked = true;

    template <class Kernel, class... Batches>
    void run(Kernel const& kernel, std::size_t rows, Batches const&... batches) const {
        using T = poise::detail::scalar_of_batches<Batches...>;
        poise::detail::run_row_by_row<poise::detail::along_access<T>::template of, along_row<T>, T>(kernel, rows,
                                                                                                    batches...);
    }
};

/// One row per SIMD lane: for narrow rows of one common length. Fastest on interleaved batches.
struct in_lanes {
    static constexpr bool checked = true;

    template <class Kernel, class... Batches>
    void run(Kernel const& kernel, std::size_t rows, Batches const&... batches) const {
        using T = poise::detail::scalar_of_batches<Batches...>;
        static_assert((requires { batches.length(); } && ...),
                      "execution::in_lanes needs rows of one common length; run ragged batches along the row");
        constexpr auto width = lanes<T>::size;
        constexpr auto scratch_rows = poise::detail::scratch_rows_of<Kernel>();
        auto const longest = std::max({batches.length()...});
        auto const elements = (std::size_t{1} + ... + batches.length());
        // What a tile of all arguments may take of the first-level cache, in whole cache lines of at least one pack:
        // more than half of it, and less where the working rows, of one pack each, take more than a quarter.
        constexpr auto most = std::size_t{18} * 1024 / sizeof(T), with_scratch = std::size_t{26} * 1024 / sizeof(T);
        auto const scratch_size = std::min(scratch_rows * longest * width, with_scratch);
        auto const budget = std::min(most, with_scratch - scratch_size);
        constexpr auto line = std::max(width, std::size_t{64} / sizeof(T));
        auto const lines = std::clamp(budget / elements / line, std::size_t{1}, std::size_t{16});
        auto const tile_rows = std::min(lines, (rows + line - 1) / line) * line;
        // Results larger than the nearer caches go past them.
        auto const streaming = rows * elements * sizeof(T) > (std::size_t{1} << 20);
        auto accesses = std::tuple<poise::detail::lane_access<T, Batches>...>(
            poise::detail::lane_access<T, Batches>(batches, tile_rows, streaming)...);
        auto memory = poise::detail::line_buffer<T>(scratch_rows * longest * width);
        auto const scratch = [&]<std::size_t... S>(std::index_sequence<S...>) {
            return std::array<lane_row<T>, scratch_rows>{
                lane_row<T>(memory.data() + S * longest * width, longest, width)...};
        }(std::make_index_sequence<scratch_rows>{});
        // The first tile is cut short so that all others begin at a cache line.
        auto lead = std::size_t{0};
        ((lead = poise::detail::rows_to_line<T>(batches, lead)), ...);
        for (std::size_t first = 0, count = 0; first < rows; first += count) {
            count = std::min(first == 0 && lead > 0 ? lead : tile_rows, rows - first);
            std::apply(
                [&](auto&... access) {
                    (access.load(first, count), ...);
                    for (std::size_t i = 0; i < count; i += width)
                        poise::detail::call(kernel, scratch, access.row_at(i)...);
                    (access.store(first, count), ...);
                },
                accesses);
        }
        if (streaming) poise::detail::stream_fence();
    }
};

/// SIMD by the layout of the batches: `in_lanes` when all are interleaved, per-row values or shared, else `along`.
struct simd {
    static constexpr bool checked = true;

    template <class Kernel, class... Batches>
    void run(Kernel const& kernel, std::size_t rows, Batches const&... batches) const {
        constexpr auto suits_lanes =
            ((std::is_same_v<typename Batches::layout, interleaved> || Batches::extent == 1 || Batches::is_shared) &&
             ...);
        if constexpr (suits_lanes)
            in_lanes{}.run(kernel, rows, batches...);
        else
            along{}.run(kernel, rows, batches...);
    }
};

} // namespace execution

} // namespace poise
