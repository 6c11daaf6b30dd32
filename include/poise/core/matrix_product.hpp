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

template <class T, int Rows, int Columns>
using row_major = Eigen::Matrix<T, Rows, Columns, (Columns == 1 && Rows != 1) ? Eigen::ColMajor : Eigen::RowMajor>;

template <std::size_t Rows, std::size_t Columns, class T>
auto matrix(T* data) {
    using dense = row_major<std::remove_const_t<T>, int(Rows), int(Columns)>;
    return Eigen::Map<std::conditional_t<std::is_const_v<T>, dense const, dense>>(data);
}
template <std::size_t Columns, class T>
auto samples_of(T* data, std::size_t samples) {
    using dense = row_major<std::remove_const_t<T>, Eigen::Dynamic, int(Columns)>;
    return Eigen::Map<std::conditional_t<std::is_const_v<T>, dense const, dense>>(
        data, static_cast<Eigen::Index>(samples), Eigen::Index(Columns));
}

// Samples at a time, few enough for Eigen to find its working memory on the stack.
inline constexpr std::size_t block = 64;

template <class Step>
void in_blocks(std::size_t samples, Step const& step) {
    for (std::size_t first = 0; first < samples; first += block) step(first, std::min(block, samples - first));
}

template <std::size_t Inputs, std::size_t Outputs, class T>
void affine(std::size_t samples, T const* x, T const* weights, T const* bias, T* y) {
    auto const w = matrix<Outputs, Inputs>(weights);
    auto const b = matrix<1, Outputs>(bias);
    in_blocks(samples, [&](std::size_t first, std::size_t count) {
        auto out = samples_of<Outputs>(y + first * Outputs, count);
        out.noalias() = samples_of<Inputs>(x + first * Inputs, count) * w.transpose();
        out.rowwise() += b;
    });
}

template <std::size_t Inputs, std::size_t Outputs, class T>
void add_parameter_gradient(std::size_t samples, T const* x, T const* dy, T* weights_gradient, T* bias_gradient) {
    auto w = matrix<Outputs, Inputs>(weights_gradient);
    auto b = matrix<1, Outputs>(bias_gradient);
    in_blocks(samples, [&](std::size_t first, std::size_t count) {
        auto const cotangent = samples_of<Outputs>(dy + first * Outputs, count);
        w.noalias() += cotangent.transpose() * samples_of<Inputs>(x + first * Inputs, count);
        b += cotangent.colwise().sum();
    });
}

template <std::size_t Inputs, std::size_t Outputs, class T>
void input_gradient(std::size_t samples, T const* dy, T const* weights, T* dx) {
    auto const w = matrix<Outputs, Inputs>(weights);
    in_blocks(samples, [&](std::size_t first, std::size_t count) {
        samples_of<Inputs>(dx + first * Inputs, count).noalias() = samples_of<Outputs>(dy + first * Outputs, count) * w;
    });
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
