#pragma once

#include "poise/core/scalar.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cstddef>
#include <type_traits>

/// The three matrix products of an affine map y = W x + b on a batch of samples: by Eigen for `float` and `double`, by
/// loops for every other scalar and in constant expressions. All matrices are row-major and dense: samples x inputs,
/// samples x outputs, outputs x inputs.
namespace poise::matrix_product {

namespace detail {

// Sizes are given at run time and all operands have one type, so that a program compiles each product once.
template <class T>
using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T>
auto view(T const* data, std::size_t rows, std::size_t columns) {
    return Eigen::Map<matrix<T> const>(data, static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns));
}
template <class T>
auto view(T* data, std::size_t rows, std::size_t columns) {
    return Eigen::Map<matrix<T>>(data, static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns));
}

/// c += a b, in blocks for which Eigen finds its working memory on the stack (at most 128 KiB for a packed block).
template <class C, class A, class B>
void add_product(C c, A const& a, B const& b) {
    constexpr Eigen::Index block = 128;
    auto const rows = a.rows(), columns = b.cols(), depth = a.cols();
    for (Eigen::Index i = 0; i < rows; i += block)
        for (Eigen::Index j = 0; j < columns; j += block)
            for (Eigen::Index k = 0; k < depth; k += block) {
                auto const m = std::min(block, rows - i), n = std::min(block, columns - j),
                           d = std::min(block, depth - k);
                c.block(i, j, m, n).noalias() += a.block(i, k, m, d) * b.block(k, j, d, n);
            }
}

template <class T>
void affine(std::size_t samples, std::size_t inputs, std::size_t outputs, T const* x, T const* weights, T const* bias,
            T* y) {
    for (std::size_t s = 0; s < samples; ++s) std::copy_n(bias, outputs, y + s * outputs);
    add_product(view(y, samples, outputs), view(x, samples, inputs), view(weights, outputs, inputs).transpose());
}

template <class T>
void add_parameter_gradient(std::size_t samples, std::size_t inputs, std::size_t outputs, T const* x, T const* dy,
                            T* weights_gradient, T* bias_gradient) {
    add_product(view(weights_gradient, outputs, inputs), view(dy, samples, outputs).transpose(),
                view(x, samples, inputs));
    for (std::size_t s = 0; s < samples; ++s)
        for (std::size_t j = 0; j < outputs; ++j) bias_gradient[j] += dy[s * outputs + j];
}

template <class T>
void input_gradient(std::size_t samples, std::size_t inputs, std::size_t outputs, T const* dy, T const* weights,
                    T* dx) {
    std::fill_n(dx, samples * inputs, T(0));
    add_product(view(dx, samples, inputs), view(dy, samples, outputs), view(weights, outputs, inputs));
}

} // namespace detail

/// y = x W^T + 1 b^T
template <std::size_t Inputs, std::size_t Outputs, scalar T>
constexpr void affine(std::size_t samples, T const* x, T const* weights, T const* bias, T* y) {
    if constexpr (std::floating_point<T>) {
        if (!std::is_constant_evaluated()) return detail::affine(samples, Inputs, Outputs, x, weights, bias, y);
    }
    for (std::size_t s = 0; s < samples; ++s)
        for (std::size_t j = 0; j < Outputs; ++j) {
            auto total = bias[j];
            for (std::size_t i = 0; i < Inputs; ++i) total += weights[j * Inputs + i] * x[s * Inputs + i];
            y[s * Outputs + j] = total;
        }
}

/// weights_gradient += dy^T x,  bias_gradient += dy^T 1
template <std::size_t Inputs, std::size_t Outputs, scalar T>
constexpr void add_parameter_gradient(std::size_t samples, T const* x, T const* dy, T* weights_gradient,
                                      T* bias_gradient) {
    if constexpr (std::floating_point<T>) {
        if (!std::is_constant_evaluated())
            return detail::add_parameter_gradient(samples, Inputs, Outputs, x, dy, weights_gradient, bias_gradient);
    }
    for (std::size_t s = 0; s < samples; ++s)
        for (std::size_t j = 0; j < Outputs; ++j) {
            auto const cotangent = dy[s * Outputs + j];
            for (std::size_t i = 0; i < Inputs; ++i) weights_gradient[j * Inputs + i] += cotangent * x[s * Inputs + i];
            bias_gradient[j] += cotangent;
        }
}

/// dx = dy W
template <std::size_t Inputs, std::size_t Outputs, scalar T>
constexpr void input_gradient(std::size_t samples, T const* dy, T const* weights, T* dx) {
    if constexpr (std::floating_point<T>) {
        if (!std::is_constant_evaluated()) return detail::input_gradient(samples, Inputs, Outputs, dy, weights, dx);
    }
    for (std::size_t s = 0; s < samples; ++s)
        for (std::size_t i = 0; i < Inputs; ++i) {
            auto total = T(0);
            for (std::size_t j = 0; j < Outputs; ++j) total += dy[s * Outputs + j] * weights[j * Inputs + i];
            dx[s * Inputs + i] = total;
        }
}

} // namespace poise::matrix_product
