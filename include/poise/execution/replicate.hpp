#pragma once

#include "poise/core/error.hpp"
#include "poise/core/verbs.hpp"
#include "poise/execution/row_kernel.hpp"
#include "poise/random/lanes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

/// Many independent copies of an experiment at once: seeds x hyper-parameters, a copy per SIMD lane, core or GPU
/// thread.
namespace poise {

/// Points of hyper-parameters, a row each, and how many copies of the experiment run at each of them. Copy r of point p
/// is replica first.replica + p replicas + r of the seed: a run alone with that generator draws the same.
template <batch_of_rows Points>
struct replica_grid {
    Points points;
    std::size_t replicas;
    random::generator first = {};

    constexpr std::size_t size() const { return points.rows() * replicas; }
    constexpr random::generator generator(std::size_t point, std::size_t replica) const {
        return {first.seed, first.replica + static_cast<std::uint32_t>(point * replicas + replica)};
    }
};

/// The points are a matrix, batch or (one hyper-parameter per point) range, seen and not copied.
template <seen_as_batch Points>
constexpr auto grid_of(Points&& points, std::size_t replicas, random::generator first = {}) {
    auto const batch = detail::as_argument<true>(as_batch(points));
    return replica_grid<std::remove_const_t<decltype(batch)>>{batch, replicas, first};
}

/// The results of every copy.
template <class T>
class replica_results {
public:
    replica_results(std::size_t points, std::size_t replicas, std::size_t results, std::vector<T> values)
        : points_(points), replicas_(replicas), results_(results), values_(std::move(values)) {}

    std::size_t points() const { return points_; }
    std::size_t replicas() const { return replicas_; } ///< of each point
    std::size_t results() const { return results_; }   ///< of each copy

    T operator()(std::size_t point, std::size_t replica, std::size_t result) const {
        return of(point, result)[replica];
    }
    /// One result of all copies at a point.
    row<T const> of(std::size_t point, std::size_t result) const {
        return {values_.data() + (result * points_ + point) * replicas_, replicas_};
    }
    T mean(std::size_t point, std::size_t result) const { return poise::mean(of(point, result)); }
    /// Of the mean: the sample standard deviation over sqrt(replicas); NaN for one replica.
    T standard_error(std::size_t point, std::size_t result) const {
        return math::sqrt(sample_variance(of(point, result)) / static_cast<T>(replicas_));
    }
    /// mean -+ z standard errors; the default z is that of 95 % by the normal distribution.
    std::array<T, 2> confidence_band(std::size_t point, std::size_t result, double z = 1.959963984540054) const {
        auto const centre = mean(point, result), half_width = static_cast<T>(z) * standard_error(point, result);
        return {centre - half_width, centre + half_width};
    }

private:
    std::size_t points_, replicas_, results_;
    std::vector<T> values_;
};

namespace detail {

/// A copy per row. The row's number is all that tells copies apart; in packs the first lane's tells those of all.
template <class Experiment>
struct replica_kernel {
    Experiment experiment;
    random::generator first;

    static constexpr bool long_rows = true;

    constexpr void operator()(row_of_reals auto number, row_of_reals auto hyperparameters,
                              writable_row auto results) const {
        auto replica = first;
        replica.replica += static_cast<std::uint32_t>(random::detail::lane(value_of<decltype(number)>(number[0]), 0));
        experiment(hyperparameters, replica, results);
    }
    constexpr void check(auto const&...) const {} // lengths differ
};

template <class T>
class host_memory {
public:
    explicit host_memory(std::vector<T> values) : values_(std::move(values)) {}
    T* data() { return values_.data(); }
    std::vector<T> to_host() && { return std::move(values_); }

private:
    std::vector<T> values_;
};

/// Where an execution keeps its batches: `memory<T>` of the execution, or host memory.
template <class Execution, class T>
auto memory_for(std::vector<T> values) {
    if constexpr (requires { typename Execution::template memory<T>; })
        return typename Execution::template memory<T>(std::move(values));
    else
        return host_memory<T>(std::move(values));
}

} // namespace detail

/// Runs every copy of the experiment: `experiment(hyperparameters, generator, results)` for each, where
///  - `experiment.results` is how many results a copy has,
///  - `hyperparameters` is the row of its point and `results` the row to write; their elements are of the grid's scalar
///    or, in lanes, packs with one copy per lane, so that the experiment is written over value_of<decltype(results)>,
///  - `generator` is that of the copy; in packs of the first lane's, lane j being replica + j, as draws have it.
///
///     struct learning_curve {
///         static constexpr std::size_t results = 1;
///         void operator()(row_of_reals auto rate, random::generator replica, writable_row auto results) const;
///     };
///     auto const rates = std::vector{0.01f, 0.1f, 1.0f};
///     auto const found = replicate(learning_curve{}, grid_of(rates, 1000, {.seed = 1}), execution::in_lanes{});
///     auto const [lower, upper] = found.confidence_band(point, result);
///
/// Where the number of copies is no multiple of the lanes, the last pack's spare lanes run replicas that nobody asked
/// for, at the last point. An experiment for the device allocates nothing.
template <class Experiment, class Points, class Execution>
auto replicate(Experiment const& experiment, replica_grid<Points> const& grid, Execution const& execution) {
    using T = typename Points::value_type;
    auto const rows = grid.size(), results = static_cast<std::size_t>(experiment.results);
    auto const parameters = grid.points.rows() == 0 ? std::size_t{0} : grid.points.length(0);
    constexpr auto most = std::size_t{1} << std::min(std::numeric_limits<T>::digits, 32); // a row's number is a T
    if (rows > most) require(false, "replicate", "grid", "at most " + std::to_string(most) + " copies", rows);
    constexpr auto end = std::uint64_t{1} << 32;
    require(rows + grid.first.replica < end, "replicate", "grid", "replica numbers below 4294967296",
            rows + grid.first.replica);

    auto number = std::vector<T>(rows), point = std::vector<T>(rows * parameters);
    for (std::size_t i = 0; i < rows; ++i) {
        number[i] = static_cast<T>(i);
        for (std::size_t k = 0; k < parameters; ++k) point[k * rows + i] = grid.points(i / grid.replicas, k);
    }
    auto numbers = detail::memory_for<Execution>(std::move(number)), points = detail::memory_for<Execution>(point),
         found = detail::memory_for<Execution>(std::vector<T>(rows * results));
    for_each_row(execution, detail::replica_kernel<Experiment>{experiment, grid.first},
                 batch<T const, 1, row_contiguous>(numbers.data(), rows, 1, 1, 1),
                 interleaved_rows_of(static_cast<T const*>(points.data()), rows, parameters),
                 interleaved_rows_of(found.data(), rows, results));
    return replica_results<T>(grid.points.rows(), grid.replicas, results, std::move(found).to_host());
}

} // namespace poise
