#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <vector>

#include "../experiment.hpp"

namespace gallery {

/// P(|T| <= t) for Student's t with a whole number of degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4).
inline double student_t_probability(double t, std::size_t degrees) {
    auto const angle = std::atan(t / std::sqrt(static_cast<double>(degrees)));
    auto const cosine = std::cos(angle);
    bool const odd = degrees % 2 == 1;
    double term = odd ? cosine : 1.0;
    double sum = degrees == 1 ? 0.0 : term;
    for (std::size_t k = odd ? 3 : 2; k + 2 <= degrees; k += 2) {
        term *= cosine * cosine * static_cast<double>(k - 1) / static_cast<double>(k);
        sum += term;
    }
    auto const series = std::sin(angle) * sum;
    return odd ? 2.0 / std::numbers::pi * (angle + series) : series;
}

/// The t with P(|T| <= t) = probability, by bisection.
inline double student_t_quantile(double probability, std::size_t degrees) {
    double low = 0.0;
    double high = 1.0;
    while (student_t_probability(high, degrees) < probability) high *= 2.0;
    for (int step = 0; step < 100; ++step) {
        auto const middle = 0.5 * (low + high);
        (student_t_probability(middle, degrees) < probability ? low : high) = middle;
    }
    return high;
}

/// What the report says of a measurement.
struct summary {
    double mean = 0.0;
    double half_width = 0.0; ///< of the 95% confidence interval of the mean; NaN for a single value
    double minimum = 0.0;
    double maximum = 0.0;
    bool in_band = false;
};

inline summary summarize(measurement const& of) {
    auto const& values = of.values;
    constexpr auto nan = std::numeric_limits<double>::quiet_NaN();
    auto const count = static_cast<double>(values.size());
    summary result{.half_width = nan, .minimum = values.front(), .maximum = values.front()};
    bool all_inside = true;
    for (auto const value : values) {
        result.mean += value / count;
        result.minimum = std::min(result.minimum, value);
        result.maximum = std::max(result.maximum, value);
        all_inside = all_inside && of.accepted.contains(value);
    }
    if (std::isnan(result.mean))
        result.minimum = result.maximum = nan; // min and max pass over it
    else if (result.minimum == result.maximum)
        result.mean = result.minimum; // not rounded away by the sum
    if (values.size() > 1) {
        double squares = 0.0;
        for (auto const value : values) squares += (value - result.mean) * (value - result.mean);
        result.half_width = student_t_quantile(0.95, values.size() - 1) * std::sqrt(squares / (count - 1.0) / count);
    }
    result.in_band = of.every_seed ? all_inside : of.accepted.contains(result.mean);
    return result;
}

} // namespace gallery
