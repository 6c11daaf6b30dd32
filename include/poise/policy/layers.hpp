#pragma once

#include "poise/core/matrix_product.hpp"
#include "poise/core/packed_row.hpp"
#include "poise/random/continuous.hpp"

#include <cstddef>

/// Layers of a neural network: types without data. Parameters and activations lie in memory that the network owns.
namespace poise::policy {

/// Activations, and their slope: `slope(y)` at an input where the output is y, or where the output does not tell,
/// `slope_at(x)` at an input x, which the layer then keeps.
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

/// x Phi(x), Phi the distribution function of N(0, 1) (Hendrycks and Gimpel, 2016, arXiv 1606.08415), exact. Not
/// monotone, so the slope Phi(x) + x phi(x) is taken at the input.
struct gelu {
    template <class T>
    constexpr T operator()(T x) const {
        return x * normal_distribution(x);
    }
    template <class T>
    static constexpr T slope_at(T x) {
        return normal_distribution(x) + x * T(0.398942280401432678) * math::exp(T(-0.5) * x * x);
    }

private:
    template <class T>
    static constexpr T normal_distribution(T x) {
        return T(0.5) * math::erfc(T(-0.707106781186547524) * x);
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

/// body(row_at): row_at(data, n) is a row in packs where there are any. The layers' loops over elements run along it.
template <class T, class Body>
constexpr void with_rows(Body const& body) {
    if constexpr (std::floating_point<T>) {
        if (!std::is_constant_evaluated())
            return body([]<class E>(E* data, std::size_t n) { return along_row<E>(data, n); });
    }
    body([]<class E>(E* data, std::size_t n) { return row<E>(data, n); });
}

template <class T, class Function>
constexpr void along_elements(std::size_t n, Function const& function, auto* out, auto const*... in) {
    with_rows<T>([&](auto row_at) { map(row_at(out, n), function, row_at(in, n)...); });
}

} // namespace detail

/// y = f(W x + b). Parameters: W row by row, W[output][input], then b.
template <std::size_t Inputs, std::size_t Outputs, class Activation = activation::identity>
struct dense {
    static constexpr std::size_t inputs = Inputs;
    static constexpr std::size_t outputs = Outputs;
    static constexpr std::size_t parameter_count = Outputs * (Inputs + 1);
    static constexpr bool keeps_input = requires(double x) { Activation::slope_at(x); };
    static constexpr std::size_t kept = keeps_input ? Outputs : 0; ///< per sample: W x + b, where f needs it

    /// y (samples x outputs) from x (samples x inputs)
    template <scalar T>
    static constexpr void forward(T const* parameters, std::size_t samples, T const* x, T* y, T* memory) {
        auto* const z = keeps_input ? memory : y;
        matrix_product::affine<Inputs, Outputs>(samples, x, parameters, parameters + Outputs * Inputs, z);
        detail::along_elements<T>(samples * Outputs, Activation{}, y, static_cast<T const*>(z));
    }

    /// Adds to `gradient` what a cotangent `dy` of y gives for the parameters, and writes the inputs' cotangent to `dx`
    /// unless that is null. `dy` is used up: it becomes the cotangent of W x + b.
    template <scalar T>
    static constexpr void pullback(T const* parameters, std::size_t samples, T const* x, T const* y, T const* memory,
                                   T* dy, T* gradient, T* dx) {
        if constexpr (keeps_input)
            detail::along_elements<T>(
                samples * Outputs, [](auto d, auto z) { return d * Activation::slope_at(z); }, dy, dy, memory);
        else if constexpr (!std::is_same_v<Activation, activation::identity>)
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

/// y_i = g_i (x_i - mean) / sqrt(variance + epsilon) + b_i over the elements of one sample (Ba, Kiros and Hinton, 2016,
/// arXiv 1607.06450). Parameters: the gains g, which start at 1, then the biases b.
template <std::size_t Width>
struct layer_norm {
    static constexpr std::size_t inputs = Width;
    static constexpr std::size_t outputs = Width;
    static constexpr std::size_t parameter_count = 2 * Width;
    static constexpr std::size_t kept = 2; ///< per sample: the mean and 1 / sqrt(variance + epsilon)
    static constexpr double epsilon = 1e-5;

    template <scalar T>
    static constexpr void forward(T const* parameters, std::size_t samples, T const* x, T* y, T* memory) {
        detail::with_rows<T>([&](auto row_at) {
            auto const gain = row_at(parameters, Width), bias = row_at(parameters + Width, Width);
            for (std::size_t s = 0; s < samples; ++s) {
                auto const in = row_at(x + s * Width, Width);
                auto const centre = mean(in);
                auto const scale = T(1) / math::sqrt(variance(in) + T(epsilon));
                memory[2 * s] = centre;
                memory[2 * s + 1] = scale;
                map(
                    row_at(y + s * Width, Width),
                    [=](auto v, auto g, auto b) { return g * ((v - centre) * scale) + b; }, in, gain, bias);
            }
        });
    }

    /// With n_i = (x_i - mean) scale and d_i = g_i dy_i: dx_i = scale (d_i - mean(d) - n_i mean(d n)).
    template <scalar T>
    static constexpr void pullback(T const* parameters, std::size_t samples, T const* x, T const*, T const* memory,
                                   T* dy, T* gradient, T* dx) {
        detail::with_rows<T>([&](auto row_at) {
            auto const gain = row_at(parameters, Width);
            auto const gain_gradient = row_at(gradient, Width), bias_gradient = row_at(gradient + Width, Width);
            for (std::size_t s = 0; s < samples; ++s) {
                auto const in = row_at(x + s * Width, Width);
                auto const d = row_at(dy + s * Width, Width);
                auto const centre = memory[2 * s], scale = memory[2 * s + 1];
                map(
                    gain_gradient, [=](auto g, auto v, auto c) { return g + c * (v - centre) * scale; }, gain_gradient,
                    in, d);
                map(bias_gradient, [](auto g, auto c) { return g + c; }, bias_gradient, d);
                if (!dx) continue;
                map(d, [](auto c, auto g) { return c * g; }, d, gain);
                auto const centre_d = mean(d);
                auto const slope =
                    sum([=](auto c, auto v) { return c * (v - centre) * scale; }, d, in) / T(real_of<T>(Width));
                map(
                    row_at(dx + s * Width, Width),
                    [=](auto c, auto v) { return scale * (c - centre_d - (v - centre) * scale * slope); }, d, in);
            }
        });
    }

    template <scalar T, class Initialization>
    static constexpr void initialize(T* parameters, Initialization const&, random::address) {
        for (std::size_t k = 0; k < parameter_count; ++k) parameters[k] = T(k < Width ? 1 : 0);
    }
};

} // namespace poise::policy
