#pragma once

#include "poise/core/error.hpp"
#include "poise/core/verbs.hpp"

#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace poise::solver {

/// A function of a point that remembers its values (`calls` counts those that were computed): a point met before, or
/// else the first one met whose coordinates all lie within `tolerance`, has the value that it had then, though the
/// function may have moved on.
template <class Function, std::floating_point T = double>
struct cached_function {
    Function function;
    T tolerance = T(0); ///< 0: only the same point
    std::size_t calls = 0;
    std::vector<std::vector<T>> points = {};
    std::vector<T> values = {};

    T operator()(row<T const> point) {
        auto const find = [&](auto const& near) {
            for (std::size_t i = 0; i < points.size(); ++i) {
                auto all = true;
                for (std::size_t k = 0; k < point.size(); ++k) all = all && near(points[i][k], point[k]);
                if (all) return i;
            }
            return points.size();
        };
        auto known = find([](T a, T b) { return a == b; });
        if (known == points.size()) known = find([this](T a, T b) { return math::abs(a - b) < tolerance; });
        if (known < points.size()) return values[known];
        ++calls;
        auto const value = T(function(point));
        points.emplace_back(point.size());
        copy(row<T>(points.back()), point);
        values.push_back(value);
        return value;
    }
};

/// The derivative-free minimiser of Nelder and Mead ("A simplex method for function minimization", Computer Journal
/// 1965), contracting inside only and accepting an expansion where it beats the best point. Of N + 1 points, sorted by
/// value (stable), c is the mean of all but the worst x_w, and
///     r = c + reflection (c - x_w);                 taken where f_best <= f(r) < f_second worst
///     e = c + expansion (r - c);                    where f(r) < f_best: e if f(e) < f_best, else r
///     k = c + contraction (x_w - c);                elsewhere: k if f(k) < f_worst
///     x_i <- x_best + shrinkage (x_i - x_best);     else for all but the best. Only after it `converged` is decided:
/// whether the population standard deviation of f over the simplex is below `tolerance`.
///     auto search = nelder_mead([](row<double const> x) { return …; }, simplex, dimension);
///     while (!search.converged()) search.step();
/// Slug constrained-rlhf.
template <class Function, std::floating_point T = double>
class nelder_mead {
public:
    double reflection = 1;
    double expansion = 2;
    double contraction = 0.5;
    double shrinkage = 0.5;
    double tolerance = 0.01;

    /// Evaluates the points of the simplex, point after point, in their order. Throws unless there is one point more
    /// than dimensions, all finite.
    nelder_mead(Function function, std::vector<T> simplex, std::size_t dimension)
        : function_(std::move(function)),
          dimension_(dimension),
          simplex_(std::move(simplex)),
          values_(dimension + 1),
          centre_(dimension),
          reflected_(dimension),
          trial_(dimension) {
        constexpr auto name = "nelder_mead";
        require(dimension > 0, name, "dimension", "at least 1", dimension);
        require(simplex_.size() == (dimension + 1) * dimension, name, "simplex",
                std::to_string(dimension + 1) + " points of " + std::to_string(dimension) + " coordinates",
                simplex_.size());
        for (auto const x : simplex_) require_domain(math::isfinite(x), name, "simplex", "finite coordinates", x);
        for (std::size_t i = 0; i < points(); ++i) values_[i] = evaluate(point(i));
        sort();
    }

    std::size_t points() const { return values_.size(); }
    /// Point i of the simplex, the best first.
    row<T const> point(std::size_t i) const { return {simplex_.data() + i * dimension_, dimension_}; }
    T value(std::size_t i) const { return values_[i]; }
    std::size_t steps() const { return steps_; }
    /// After a shrink of a simplex without much difference left.
    bool converged() const { return converged_; }
    /// The population standard deviation of f over the simplex.
    T gap() const { return standard_deviation(row<T const>(values_)); }
    Function& function() { return function_; }

    void step() {
        ++steps_;
        auto const worst = dimension_;
        centre();
        move(reflected_, reflection, worst, T(-1));
        auto const f = evaluate(row<T const>(reflected_));
        if (f < values_[0]) {
            map(
                row<T>(trial_), [e = T(expansion)](T c, T r) { return c + e * (r - c); }, row<T const>(centre_),
                row<T const>(reflected_));
            auto const g = evaluate(row<T const>(trial_));
            g < values_[0] ? replace(worst, trial_, g) : replace(worst, reflected_, f);
        } else if (f < values_[worst - 1]) {
            replace(worst, reflected_, f);
        } else {
            move(trial_, contraction, worst, T(1));
            auto const g = evaluate(row<T const>(trial_));
            if (g < values_[worst])
                replace(worst, trial_, g);
            else
                shrink();
        }
        sort();
    }

private:
    T evaluate(row<T const> at) { return T(function_(at)); }
    row<T> writable_point(std::size_t i) { return {simplex_.data() + i * dimension_, dimension_}; }

    void centre() {
        for (std::size_t k = 0; k < dimension_; ++k) {
            auto total = T(0);
            for (std::size_t i = 0; i < dimension_; ++i) total += point(i)[k];
            centre_[k] = total / T(dimension_);
        }
    }
    // c + sign factor (x_w - c)
    void move(std::vector<T>& to, double factor, std::size_t worst, T sign) {
        map(
            row<T>(to), [a = sign * T(factor)](T c, T x) { return c + a * (x - c); }, row<T const>(centre_),
            point(worst));
    }
    void replace(std::size_t i, std::vector<T> const& by, T value) {
        copy(writable_point(i), row<T const>(by));
        values_[i] = value;
    }
    void shrink() {
        for (std::size_t i = 1; i < points(); ++i) {
            map(
                writable_point(i), [s = T(shrinkage)](T best, T x) { return best + s * (x - best); }, point(0),
                point(i));
            values_[i] = evaluate(point(i));
        }
        converged_ = gap() < T(tolerance);
    }
    // By insertion: stable, and almost sorted already.
    void sort() {
        for (std::size_t i = 1; i < points(); ++i)
            for (auto k = i; k > 0 && values_[k] < values_[k - 1]; --k) {
                std::swap(values_[k], values_[k - 1]);
                for (std::size_t j = 0; j < dimension_; ++j)
                    std::swap(simplex_[k * dimension_ + j], simplex_[(k - 1) * dimension_ + j]);
            }
    }

    Function function_;
    std::size_t dimension_;
    std::vector<T> simplex_;
    std::vector<T> values_;
    std::vector<T> centre_;
    std::vector<T> reflected_;
    std::vector<T> trial_;
    std::size_t steps_ = 0;
    bool converged_ = false;
};

} // namespace poise::solver
