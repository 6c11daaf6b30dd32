#pragma once

#include "poise/core/verbs.hpp"

namespace poise::metric {

/// y = slope x + intercept with the least sum of squared errors.
template <class T>
struct line {
    T slope;
    T intercept;
    T squared_error; ///< sum_k (y_k - slope x_k - intercept)^2
    T squared_total; ///< sum_k (y_k - mean y)^2
    std::size_t points;

    /// 1 - squared_error / squared_total: the squared correlation of x and y.
    constexpr T r_squared() const { return T(1) - squared_error / squared_total; }
    constexpr T root_mean_square_error() const { return math::sqrt(squared_error / T(real_of<T>(points))); }
};

/// Ordinary least squares on the points (x_k, y_k); not finite where all x are equal, for whose rounding see
/// `estimator::center`. R^2 is not finite where all y are equal.
template <row_of_reals Row>
constexpr auto least_squares_line(Row x, row_of_reals auto y) {
    using T = value_of<Row>;
    auto const x0 = T(x[0]), y0 = T(y[0]); // differences from these are exact for equal numbers
    auto const centre = [n = real_of<T>(x.size())](auto row, T origin) {
        return T(sum([=](auto v) { return v - decltype(v)(origin); }, row)) / T(n) + origin;
    };
    auto const mean_x = centre(x, x0), mean_y = centre(y, y0);
    auto const product = [=](auto a, auto b) { return (a - mean_x) * (b - mean_y); };
    auto const slope = T(sum(product, x, y)) / T(sum([=](auto a) { return (a - mean_x) * (a - mean_x); }, x));
    auto const intercept = mean_y - slope * mean_x;
    auto const error = [=](auto a, auto b) {
        auto const e = (b - mean_y) - slope * (a - mean_x);
        return e * e;
    };
    return line<T>{slope, intercept, T(sum(error, x, y)),
                   T(sum([=](auto b) { return (b - mean_y) * (b - mean_y); }, y)), x.size()};
}

} // namespace poise::metric
