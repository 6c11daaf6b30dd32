#pragma once

#include "poise/core/matrix_product.hpp"
#include "poise/core/packed_row.hpp"
#include "poise/random/continuous.hpp"

#include <cstddef>

/// Layers of a neural network: types without data. Parameters and activations lie in memory that the network owns.
namespace poise::policy {

/// Activations, and their slope at an input where the output is y.
namespace activation {

struct identity {
    constexpr auto operator()(auto x) const { return x; }
    template <class T>
    static constexpr T slope(T) {
        return T(1);
    }
};

struct tanh {
    constexpr auto operator()(auto x) const { return math::tanh(x); }
    template <class T>
    static constexpr T slope(T y) {
        return T(1) - y * y;
    }
};

/// max(x, 0); slope 0 at 0.
struct relu {
    template <class T>
    constexpr T operator()(T x) const {
        return math::max(x, T(0));
    }
    template <class T>
    static constexpr T slope(T y) {
        return math::select(y > T(0), T(1), T(0));
    }
};

/// x for x > 0, e^x - 1 below (Clevert, Unterthiner and Hochreiter, ICLR 2016).
struct elu {
    template <class T>
    constexpr T operator()(T x) const {
        return math::select(x > T(0), x, math::expm1(math::min(x, T(0))));
    }
    template <class T>
    static constexpr T slope(T y) {
        return math::select(y > T(0), T(1), y + T(1));
    }
};

} // namespace activation

/// Distributions from which the weights of a layer with `inputs` and `outputs` are drawn; biases start at 0.
namespace initialization {

/// N(0, 2 / inputs) (He, Zhang, Ren and Sun, ICCV 2015): for relu and elu.
struct he {
    template <class T>
    constexpr T operator()(random::address where, std::size_t inputs, std::size_t) const {
        return T(math::sqrt(2.0 / static_cast<double>(inputs))) * random::normal<T>(where);
    }
};

/// U(-a, a), a = sqrt(6 / (inputs + outputs)) (Glorot and Bengio, AISTATS 2010): for tanh and linear layers.
struct glorot {
    template <class T>
    constexpr T operator()(random::address where, std::size_t inputs, std::size_t outputs) const {
        auto const a = T(math::sqrt(6.0 / static_cast<double>(inputs + outputs)));
        return a * (T(2) * random::uniform<T>(where) - T(1));
    }
};

/// N(0, standard_deviation^2); all zeros with 0.
struct normal {
    double standard_deviation = 0.01;
    template <class T>
    constexpr T operator()(random::address where, std::size_t, std::size_t) const {
        return T(standard_deviation) * random::normal<T>(where);
    }
};

} // namespace initialization

namespace detail {

/// A row in packs where there are any; the layers' activations are applied along it.
template <class T, class Function>
constexpr void along_elements(std::size_t n, Function const& function, auto* out, auto const*... in) {
    if constexpr (std::floating_point<T>) {
        if (!std::is_constant_evaluated()) {
            map(along_row<T>(out, n), function, along_row<T const>(in, n)...);
            return;
        }
    }
    map(row<T>(out, n), function, row<T const>(in, n)...);
}

} // namespace detail

/// y = f(W x + b). Parameters: W row by row, W[output][input], then b.
template <std::size_t Inputs, std::size_t Outputs, class Activation = activation::identity>
struct dense {
    static constexpr std::size_t inputs = Inputs;
    static constexpr std::size_t outputs = Outputs;
    static constexpr std::size_t parameter_count = Outputs * (Inputs + 1);

    /// y (samples x outputs) from x (samples x inputs)
    template <scalar T>
    static constexpr void forward(T const* parameters, std::size_t samples, T const* x, T* y) {
        matrix_product::affine<Inputs, Outputs>(samples, x, parameters, parameters + Outputs * Inputs, y);
        detail::along_elements<T>(samples * Outputs, Activation{}, y, y);
    }

    /// Adds to `gradient` what a cotangent `dy` of y gives for the parameters, and writes the inputs' cotangent to `dx`
    /// unless that is null. `dy` is used up: it becomes the cotangent of W x + b.
    template <scalar T>
    static constexpr void pullback(T const* parameters, std::size_t samples, T const* x, T const* y, T* dy, T* gradient,
                                   T* dx) {
        if constexpr (!std::is_same_v<Activation, activation::identity>)
            detail::along_elements<T>(
                samples * Outputs, [](auto d, auto value) { return d * Activation::slope(value); }, dy, dy, y);
        matrix_product::add_parameter_gradient<Inputs, Outputs>(samples, x, dy, gradient, gradient + Outputs * Inputs);
        if (dx) matrix_product::input_gradient<Inputs, Outputs>(samples, dy, parameters, dx);
    }

    /// Parameter k is drawn at address index + k.
    template <scalar T, class Initialization>
    static constexpr void initialize(T* parameters, Initialization const& draw, random::address where) {
        for (std::size_t k = 0; k < Outputs * Inputs; ++k, ++where.index)
            parameters[k] = draw.template operator()<T>(where, Inputs, Outputs);
        for (std::size_t k = Outputs * Inputs; k < parameter_count; ++k) parameters[k] = T(0);
    }
};

} // namespace poise::policy
