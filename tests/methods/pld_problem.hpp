#pragma once

#include "poise/execution/sequential.hpp"
#include "poise/objective/plackett_luce_distillation.hpp"
#include "poise/policy/plackett_luce.hpp"

#include <Eigen/Dense>
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

/// Random problems of Plackett-Luce distillation, and its kernels on one of them.
namespace pld_test {

using namespace poise;
namespace ranking = weighting::ranking;
using reals = std::vector<double>;

struct problem {
    reals student, teacher;
    std::size_t label;

    std::size_t classes() const { return student.size(); }
};

/// n numbers in [-range, range]; ties happen.
inline reals draw_logits(std::size_t n, double range = 4) {
    auto const steps = *rc::gen::container<std::vector<int>>(n, rc::gen::inRange(-10000, 10001));
    auto logits = reals(n);
    for (std::size_t k = 0; k < n; ++k) logits[k] = range * steps[k] / 10000.0;
    return logits;
}

/// A permutation of 0, …, n - 1.
inline std::vector<std::size_t> draw_permutation(std::size_t n) {
    auto order = std::vector<std::size_t>(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t k = n; k > 1; --k) std::swap(order[k - 1], order[*rc::gen::inRange(std::size_t{0}, k)]);
    return order;
}

inline problem draw_problem(std::size_t least = 1, std::size_t most = 9) {
    auto const n = *rc::gen::inRange(least, most + 1);
    return {draw_logits(n), draw_logits(n), *rc::gen::inRange(std::size_t{0}, n)};
}

struct solution {
    double loss;
    reals gradient, permutation, weights;
};

template <class Execution = execution::sequential, class Weights = ranking::teacher_softmax>
solution distil(problem const& of, Weights weights = {}) {
    auto const n = of.classes();
    auto loss = reals(1);
    auto result = solution{0, reals(n), reals(n), reals(n)};
    for_each_row(Execution{}, objective::plackett_luce_distillation<Weights>{weights}, rows_of(of.student.data(), 1, n),
                 rows_of(of.teacher.data(), 1, n), std::vector{of.label}, loss, rows_of(result.gradient.data(), 1, n),
                 rows_of(result.permutation.data(), 1, n), rows_of(result.weights.data(), 1, n));
    result.loss = loss[0];
    return result;
}

template <class Weights = ranking::teacher_softmax>
double loss(problem const& of, Weights weights = {}) {
    return distil(of, weights).loss;
}

inline double log_probability(reals const& scores, reals const& permutation) {
    auto result = reals(1);
    for_each_row(execution::sequential{}, policy::plackett_luce_log_probability{},
                 rows_of(scores.data(), 1, scores.size()), rows_of(permutation.data(), 1, scores.size()), result);
    return result[0];
}

inline Eigen::MatrixXd hessian(reals const& scores, solution const& at) {
    auto const n = scores.size();
    auto result = Eigen::MatrixXd(n, n);
    for_each_row(execution::sequential{}, objective::plackett_luce_hessian{}, rows_of(scores.data(), 1, n),
                 rows_of(at.permutation.data(), 1, n), rows_of(at.weights.data(), 1, n),
                 rows_of(result.data(), 1, n * n)); // symmetric, so the order in memory does not matter
    return result;
}

struct label_loss {
    double loss;
    reals gradient;
};

inline label_loss cross_entropy(problem const& of) {
    auto const n = of.classes();
    auto value = reals(1), gradient = reals(n);
    for_each_row(execution::sequential{}, objective::cross_entropy{}, rows_of(of.student.data(), 1, n),
                 std::vector{of.label}, value, rows_of(gradient.data(), 1, n));
    return {value[0], gradient};
}

/// |a - b| <= tolerance (1 + |b|)
inline bool close(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }
inline bool close(reals const& a, reals const& b, double tolerance) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [=](auto x, auto y) { return close(x, y, tolerance); });
}

inline double range(reals const& x) { return *std::ranges::max_element(x) - *std::ranges::min_element(x); }

template <class Function>
reals transformed(reals x, Function f) {
    for (auto& v : x) v = f(v);
    return x;
}

/// visit(weights) with each weighting.
template <class Visit>
void for_each_weighting(double temperature, Visit const& visit) {
    visit(ranking::teacher_softmax{.temperature = temperature});
    visit(ranking::uniform{});
    visit(ranking::first_only{});
    visit(ranking::exponential{});
    visit(ranking::normalized_exponential{});
}

} // namespace pld_test
