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

// Sizes that Eigen is told in the type: small ones, with which it unrolls; it cannot take large ones.
constexpr int in_type(std::size_t n) { return n <= 32 ? static_cast<int>(n) : Eigen::Dynamic; }

template <class T, int Rows, int Columns>
using dense_matrix = Eigen::Matrix<T, Rows, Columns, Columns == 1 && Rows != 1 ? Eigen::ColMajor : Eigen::RowMajor>;

template <int Rows, int Columns, class T>
auto map(T* data, std::size_t rows, std::size_t columns) {
    using dense = dense_matrix<std::remove_const_t<T>, Rows, Columns>;
    return Eigen::Map<std::conditional_t<std::is_const_v<T>, dense const, dense>>(data, static_cast<Eigen::Index>(rows),
                                                                                  static_cast<Eigen::Index>(columns));
}
template <std::size_t Rows, std::size_t Columns, class T>
auto matrix(T* data) {
    return map<in_type(Rows), in_type(Columns)>(data, Rows, Columns);
}
template <std::size_t Columns, class T>
auto samples_of(T* data, std::size_t samples) {
    return map<Eigen::Dynamic, in_type(Columns)>(data, samples, Columns);
}

/// c += a b, in blocks for which Eigen finds its working memory on the stack (128 KiB each for two packed blocks).
template <class C, class A, class B>
void add_product(C c, A const& a, B const& b) {
    constexpr Eigen::Index block = 128;
    auto const rows = a.rows(), columns = b.cols(), depth = a.cols();
    if (rows <= block && columns <= block && depth <= block) {
        c.noalias() += a * b;
        return;
    }
    for (Eigen::Index i = 0; i < rows; i += block)
        for (Eigen::Index j = 0; j < columns; j += block)
            for (Eigen::Index k = 0; k < depth; k += block) {
                auto const m = std::min(block, rows - i), n = std::min(block, columns - j),
                           d = std::min(block, depth - k);
                c.block(i, j, m, n).noalias() += a.block(i, k, m, d) * b.block(k, j, d, n);
            }
}

template <std::size_t Inputs, std::size_t Outputs, class T>
void affine(std::size_t samples, T const* x, T const* weights, T const* bias, T* y) {
    auto out = samples_of<Outputs>(y, samples);
    out.rowwise() = matrix<1, Outputs>(bias).row(0);
    add_product(out, samples_of<Inputs>(x, samples), matrix<Outputs, Inputs>(weights).transpose());
}

template <std::size_t Inputs, std::size_t Outputs, class T>
void add_parameter_gradient(std::size_t samples, T const* x, T const* dy, T* weights_gradient, T* bias_gradient) {
    auto const cotangent = samples_of<Outputs>(dy, samples);
    add_product(matrix<Outputs, Inputs>(weights_gradient), cotangent.transpose(), samples_of<Inputs>(x, samples));
    matrix<1, Outputs>(bias_gradient) += cotangent.colwise().sum();
}

template <std::size_t Inputs, std::size_t Outputs, class T>
void input_gradient(std::size_t samples, T const* dy, T const* weights, T* dx) {
    auto out = samples_of<Inputs>(dx, samples);
    out.setZero();
    add_product(out, samples_of<Outputs>(dy, samples), matrix<Outputs, Inputs>(weights));
}

} // namespace detail

/// y = x W^T + 1 b^T
template <std::size_t Inputs, std::size_t Outputs, scalar T>
constexpr void affine(std::size_t samples, T const* x, T const* weights, T const* bias, T* y) {
    if constexpr (std::floating_point<T>) {
        if (!std::is_constant_evaluated()) return detail::affine<Inputs, Outputs>(samples, x, weights, bias, y);
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
            return detail::add_parameter_gradient<Inputs, Outputs>(samples, x, dy, weights_gradient, bias_gradient);
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
        if (!std::is_constant_evaluated()) return detail::input_gradient<Inputs, Outputs>(samples, dy, weights, dx);
    }
    for (std::size_t s = 0; s < samples; ++s)
        for (std::size_t i = 0; i < Inputs; ++i) {
            auto total = T(0);
            for (std::size_t j = 0; j < Outputs; ++j) total += dy[s * Outputs + j] * weights[j * Inputs + i];
            dx[s * Inputs + i] = total;
        }
}

} // namespace poise::matrix_product
