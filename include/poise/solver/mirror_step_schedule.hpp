#pragma once

#include "poise/reward/preference_game.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

/// Step sizes of regularised mirror descent (slug nash-md). A schedule gives the step size eta_t and, itself, the
/// weight eta_t tau of the reference in the mixture, because in floating point eta tau often misses 1 by a rounding,
/// which is not harmless where an action has probability 0.
namespace poise::solver {

template <scalar T>
struct mirror_step_size {
    T step_size;      ///< eta_t
    T mixture_weight; ///< eta_t tau, of the reference; exactly 1 where it is 1 up to rounding
};

/// eta tau, and exactly 1 where |1 - eta tau| < 1e-12 (in `float` four roundings).
template <scalar T>
constexpr T mixture_weight(T step_size, T regularization) {
    constexpr auto tolerance = std::max(real_of<T>(1e-12), real_of<T>(4) * math::epsilon<T>);
    auto const weight = step_size * regularization;
    return math::select(math::abs(T(1) - weight) < T(tolerance), T(1), weight);
}

/// eta_t = eta, with eta tau <= 1. `Real` may be a SIMD pack, for a step size per replica.
template <scalar Real = double>
struct constant_step {
    Real step_size = Real(0.1);

    template <scalar T>
    constexpr mirror_step_size<T> operator()(std::size_t, T regularization) const {
        return {T(step_size), mixture_weight(T(step_size), regularization)};
    }
};
template <scalar Real>
constant_step(Real) -> constant_step<Real>;

/// eta_t = 2 / (tau (t + 2)), the schedule of the paper's Theorem 1: mixture weights 1, 2/3, 1/2, 2/5, … for tau > 0.
struct decreasing_step {
    template <scalar T>
    constexpr mirror_step_size<T> operator()(std::size_t t, T regularization) const {
        auto const weight = T(real_of<T>(2)) / T(real_of<T>(t + 2));
        return {weight / regularization, weight};
    }
};

/// What `mirror_descent` asks for its steps.
template <class Schedule, class T>
concept mirror_step_schedule = requires(Schedule const& schedule, std::size_t t, T regularization) {
    { schedule(t, regularization) } -> std::same_as<mirror_step_size<T>>;
};

/// Throws unless tau >= 0, eta_0 is a finite number >= 0 and eta_0 tau <= 1 up to rounding, in every lane. Gives the
/// first step's size.
template <scalar T, mirror_step_schedule<T> Schedule>
constexpr mirror_step_size<T> check_step_size(std::string_view function, Schedule const& schedule, T regularization) {
    constexpr auto decreasing = std::is_same_v<Schedule, decreasing_step>;
    reward::detail::for_each_lane<T>([&](auto lane) {
        auto const tau = lane(regularization);
        require_domain(decreasing ? tau > 0 : tau >= 0, function, "regularization", decreasing ? "tau > 0" : "tau >= 0",
                       tau);
    });
    auto const first = schedule(std::size_t{0}, regularization);
    reward::detail::for_each_lane<T>([&](auto lane) {
        auto const eta = lane(first.step_size), weight = lane(first.mixture_weight);
        require_domain(eta >= 0 && eta - eta == 0, function, "step_size", "a finite step size eta >= 0", eta);
        require_domain(weight <= 1, function, "step_size", "eta tau <= 1", weight);
    });
    return first;
}

} // namespace poise::solver
