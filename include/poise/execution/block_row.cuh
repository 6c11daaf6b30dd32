#pragma once

#include "poise/core/adding_row.hpp"
#include "poise/core/scan.hpp"
#include "poise/core/sort.hpp"

#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>

/// Rows that a block of GPU threads works on together. Every thread of the block runs the kernel; the verbs deal the
/// elements out, and values per row are the same in all threads. Elements are written by verbs only, except rows of one
/// element. The bodies exist in device code alone: the host pass merely needs the names.
namespace poise {

inline constexpr int block_threads = 256;

template <class T, std::size_t Extent = dynamic, std::size_t Stride = dynamic>
class block_row : public row<T, Extent, Stride> {
public:
    static constexpr bool dealt_to_block = true;
    using row<T, Extent, Stride>::row;
};

namespace detail {

template <class Row>
inline constexpr bool is_block_row = requires { Row::dealt_to_block; };
template <class Row>
inline constexpr bool is_block_row<reversed_row<Row>> = is_block_row<Row>;
template <class Row>
inline constexpr bool is_block_row<adding_row<Row>> = is_block_row<Row>;

template <class... Rows>
    requires(is_block_row<Rows> || ...)
struct row_verbs<Rows...> {
    template <class F, class Out, class... In>
    __host__ __device__ static void map(Out out, F const& f, In... in) {
#ifdef __CUDA_ARCH__
        auto const n = common_size(out, in...);
        for (std::size_t k = threadIdx.x; k < n; k += blockDim.x) out[k] = f(in[k]...);
        __syncthreads();
#endif
    }

    template <class F, class First, class Second, class... In>
    __host__ __device__ static void map_pair(First first, Second second, F const& f, In... in) {
#ifdef __CUDA_ARCH__
        auto const n = common_size(first, second, in...);
        for (std::size_t k = threadIdx.x; k < n; k += blockDim.x) {
            auto const results = f(in[k]...);
            first[k] = results.first;
            second[k] = results.second;
        }
        __syncthreads();
#endif
    }

    template <class Value, class Op, class F, class... In>
    __host__ __device__ static Value reduce(Op op, F const& f, In... in) {
        auto total = Value(Op::template identity<Value>);
#ifdef __CUDA_ARCH__
        using block_reduce = cub::BlockReduce<Value, block_threads>;
        __shared__ typename block_reduce::TempStorage storage;
        __shared__ Value result;
        auto const n = common_size(in...);
        for (std::size_t k = threadIdx.x; k < n; k += blockDim.x) total = op(total, Value(f(in[k]...)));
        total = block_reduce(storage).Reduce(total, op);
        if (threadIdx.x == 0) result = total;
        __syncthreads();
        total = result;
        __syncthreads(); // the next reduction writes the same storage
#endif
        return total;
    }
};

/// y -> factor y + term, the maps whose composition is a linear recurrence.
template <class T>
struct affine_map {
    T factor;
    T term;
    struct compose {
        constexpr affine_map operator()(affine_map first, affine_map then) const {
            return {then.factor * first.factor, then.factor * first.term + then.term};
        }
    };
};

/// Merges two sums of exponentials, each kept as its greatest exponent and the rest.
template <class T>
struct merge_log_accumulators {
    constexpr log_accumulator<T> operator()(log_accumulator<T> a, log_accumulator<T> b) const {
        auto const distance = math::select(a.greatest == b.greatest, T(0), math::abs(a.greatest - b.greatest));
        auto const e = math::exp(-distance);
        auto const total = math::select(a.greatest < b.greatest, a.total * e + b.total, a.total + b.total * e);
        return {math::max(a.greatest, b.greatest), total};
    }
};

template <class... Rows>
    requires(is_block_row<Rows> || ...)
struct row_scans<Rows...> {
    template <class Out, class Op, class In>
    __host__ __device__ static void scan(Out out, Op op, In in) {
#ifdef __CUDA_ARCH__
        using value = value_of<Out>;
        tiles<value>(
            common_size(out, in), op, [=](std::size_t k) { return value(in[k]); },
            [=](std::size_t k, value total) { out[k] = total; });
#endif
    }

    template <class Out, class Factor, class In>
    __host__ __device__ static void linear_recurrence(Out out, Factor factor, In in) {
#ifdef __CUDA_ARCH__
        using state = affine_map<value_of<Out>>;
        tiles<state>(
            common_size(out, factor, in), typename state::compose{},
            [=](std::size_t k) { return state{factor[k], in[k]}; },
            [=](std::size_t k, state composed) { out[k] = composed.term; }); // applied to 0
#endif
    }

    template <class Out, class In>
    __host__ __device__ static void cumulative_log_sum_exp(Out out, In in) {
#ifdef __CUDA_ARCH__
        using value = value_of<Out>;
        using state = log_accumulator<value>;
        tiles<state>(
            common_size(out, in), merge_log_accumulators<value>{},
            [=](std::size_t k) { return state{in[k], value(1)}; },
            [=](std::size_t k, state so_far) { out[k] = so_far.log(); });
#endif
    }

private:
#ifdef __CUDACC__
    template <class State, class Op, class Read, class Write>
    __device__ static void tiles(std::size_t n, Op op, Read const& read, Write const& write) {
        using block_scan = cub::BlockScan<State, block_threads>;
        __shared__ typename block_scan::TempStorage storage;
        __shared__ State carried;
        for (std::size_t first = 0; first < n; first += block_threads) {
            auto const k = first + threadIdx.x;
            auto state = read(k < n ? k : n - 1);
            block_scan(storage).InclusiveScan(state, state, op);
            if (first > 0) state = op(carried, state);
            __syncthreads();
            if (k < n) write(k, state);
            if (threadIdx.x == block_threads - 1) carried = state;
            __syncthreads();
        }
    }
#endif
};

template <class... Rows>
    requires(is_block_row<Rows> || ...)
struct row_sorts<Rows...> {
    template <class Direction, class Order, class Keys, class Scratch>
    __host__ __device__ static void argsort(Order order, Keys keys, Direction, Scratch const& scratch) {
#ifdef __CUDA_ARCH__
        auto const n = common_size(order, keys);
        auto const sorted = scratch[0];
        copy(sorted, keys);
        poise::map(order, [](auto k) { return k; }, indices_of(order));
        network(n, exchange_ranked<Direction, std::remove_cvref_t<decltype(sorted)>, Order>{sorted, order});
#endif
    }

    template <class Direction, class Row>
    __host__ __device__ static void sort(Row values, Direction) {
#ifdef __CUDA_ARCH__
        network(values.size(), exchange_values<Direction, Row>{values});
#endif
    }

    template <class Out, class In, class Order>
    __host__ __device__ static void gather(Out out, In in, Order order) {
#ifdef __CUDA_ARCH__
        for (std::size_t k = threadIdx.x; k < order.size(); k += blockDim.x) out[k] = in[to_index(order[k])];
        __syncthreads();
#endif
    }

    template <class Out, class In, class Order>
    __host__ __device__ static void scatter(Out out, In in, Order order) {
#ifdef __CUDA_ARCH__
        for (std::size_t k = threadIdx.x; k < order.size(); k += blockDim.x) out[to_index(order[k])] = in[k];
        __syncthreads();
#endif
    }

private:
#ifdef __CUDACC__
    // The comparators of one (p, k) phase of Batcher's network are disjoint: the threads share them.
    template <class Exchange>
    __device__ static void network(std::size_t n, Exchange const& exchange) {
        for (std::size_t p = 1; p < n; p *= 2)
            for (std::size_t k = p; k >= 1; k /= 2) {
                auto const offset = k % p;
                for (std::size_t i = threadIdx.x; i + k < n; i += blockDim.x)
                    if (i >= offset && (i - offset) % (2 * k) < k && i / (2 * p) == (i + k) / (2 * p))
                        exchange(i, i + k);
                __syncthreads();
            }
    }
#endif
};

} // namespace detail

} // namespace poise
