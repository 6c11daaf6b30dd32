#pragma once

#include "poise/policy/mlp.hpp"

#include <cublas_v2.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <stdexcept>
#include <string>

namespace poise::policy {

namespace detail {

inline void check_cublas(cublasStatus_t status) {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw std::runtime_error(std::string("device_mlp: ") + cublasGetStatusString(status));
}

template <class T, class... Arguments>
void cublas_gemm(Arguments... arguments) {
    if constexpr (std::same_as<T, float>)
        check_cublas(cublasSgemm(arguments...));
    else
        check_cublas(cublasDgemm(arguments...));
}
template <class T, class... Arguments>
void cublas_gemv(Arguments... arguments) {
    if constexpr (std::same_as<T, float>)
        check_cublas(cublasSgemv(arguments...));
    else
        check_cublas(cublasDgemv(arguments...));
}

/// y_k = bias_{k mod outputs}
template <class T>
struct repeat_bias {
    T const* bias;
    T* y;
    std::size_t outputs;
    __device__ void operator()(std::size_t k) const { y[k] = bias[k % outputs]; }
};
template <class T, class Activation>
struct activate {
    T const* z;
    T* y;
    __device__ void operator()(std::size_t k) const { y[k] = Activation{}(z[k]); }
};
/// dy_k becomes the cotangent of z_k = W x + b.
template <class T, class Activation>
struct multiply_by_slope {
    T const* z;
    T const* y;
    T* dy;
    __device__ void operator()(std::size_t k) const {
        if constexpr (requires { Activation::slope_at(z[k]); })
            dy[k] *= Activation::slope_at(z[k]);
        else
            dy[k] *= Activation::slope(y[k]);
    }
};

template <class T, class Layer>
struct device_layer;
template <class T, std::size_t Inputs, std::size_t Outputs, class Activation>
struct device_layer<T, dense<Inputs, Outputs, Activation>> {
    // cuBLAS is column-major: a row-major samples x width matrix is to it a width x samples one.
    static void forward(cublasHandle_t handle, T const* parameters, std::size_t samples, T const* x, T* z, T* y) {
        constexpr auto in = int(Inputs), out = int(Outputs);
        auto const one = T(1);
        auto const count = samples * Outputs;
        for_each(count, repeat_bias<T>{parameters + Outputs * Inputs, z, Outputs});
        cublas_gemm<T>(handle, CUBLAS_OP_T, CUBLAS_OP_N, out, int(samples), in, &one, parameters, in, x, in, &one, z,
                       out);
        for_each(count, activate<T, Activation>{z, y});
    }
    static void pullback(cublasHandle_t handle, T const* parameters, std::size_t samples, T const* x, T const* z,
                         T const* y, T const* ones, T* dy, T* gradient, T* dx) {
        constexpr auto in = int(Inputs), out = int(Outputs);
        auto const one = T(1), zero = T(0);
        for_each(samples * Outputs, multiply_by_slope<T, Activation>{z, y, dy});
        cublas_gemm<T>(handle, CUBLAS_OP_N, CUBLAS_OP_T, in, out, int(samples), &one, x, in, static_cast<T const*>(dy),
                       out, &one, gradient, in);
        cublas_gemv<T>(handle, CUBLAS_OP_N, out, int(samples), &one, static_cast<T const*>(dy), out, ones, 1, &one,
                       gradient + Outputs * Inputs, 1);
        if (dx)
            cublas_gemm<T>(handle, CUBLAS_OP_N, CUBLAS_OP_N, in, int(samples), out, &one, parameters, in,
                           static_cast<T const*>(dy), out, &zero, dx, in);
    }

private:
    template <class Function>
    static void for_each(std::size_t count, Function const& function) {
        thrust::for_each_n(thrust::device, thrust::counting_iterator<std::size_t>(0), count, function);
    }
};

} // namespace detail

/// `mlp` on a CUDA device, of `dense` layers; matrix products by cuBLAS (link CUDA::cublas). Parameters, activations
/// and gradients lie in device memory, in the order of `mlp`; batches are row-major, one sample per row.
///     auto network = device_mlp(host_network, 4096);
///     auto const* outputs = network.forward(inputs, samples);        // samples x outputs, until the next call
///     network.pullback(cotangents, gradient);                        // adds J^T c; gradient has parameter_count
///     numbers
template <std::floating_point T, layer... Layers>
class device_mlp {
    static constexpr std::size_t depth = sizeof...(Layers);
    static constexpr std::array<std::size_t, depth> outputs_of = {Layers::outputs...};

public:
    using host_type = mlp<T, Layers...>;
    static constexpr std::size_t parameter_count = host_type::parameter_count;

    /// The parameters of `host`; at most `capacity` samples a call. Device memory is allocated here, once.
    device_mlp(host_type const& host, std::size_t capacity)
        : capacity_(capacity),
          parameters_(host.parameters().data(), host.parameters().data() + parameter_count),
          ones_(capacity, T(1)) {
        detail::check_cublas(cublasCreate(&handle_));
        for (std::size_t k = 0; k < depth; ++k) {
            sums_[k].resize(capacity * outputs_of[k]);
            activations_[k].resize(capacity * outputs_of[k]);
            cotangents_[k].resize(capacity * outputs_of[k]);
        }
    }
    device_mlp(device_mlp const&) = delete;
    device_mlp& operator=(device_mlp const&) = delete;
    ~device_mlp() { cublasDestroy(handle_); }

    T* parameters() { return thrust::raw_pointer_cast(parameters_.data()); }
    T const* parameters() const { return thrust::raw_pointer_cast(parameters_.data()); }
    host_type to_host() const {
        auto host = host_type();
        thrust::copy(parameters_.begin(), parameters_.end(), host.parameters().data());
        return host;
    }

    T const* forward(T const* inputs, std::size_t samples) {
        require(samples <= capacity_, "device_mlp::forward", "samples", "at most the capacity", samples);
        inputs_ = inputs;
        samples_ = samples;
        auto const* x = inputs;
        for_each_layer([&]<class Layer>(std::size_t k, std::size_t offset) {
            detail::device_layer<T, Layer>::forward(handle_, std::as_const(*this).parameters() + offset, samples, x,
                                                    raw(sums_[k]), raw(activations_[k]));
            x = raw(activations_[k]);
        });
        return x;
    }
    /// Of the last forward pass, whose inputs must still be there. `cotangent` is not written.
    void pullback(T const* cotangent, T* gradient) {
        thrust::copy_n(thrust::device, cotangent, samples_ * outputs_of[depth - 1], raw(cotangents_[depth - 1]));
        for_each_layer_backwards([&]<class Layer>(std::size_t k, std::size_t offset) {
            detail::device_layer<T, Layer>::pullback(
                handle_, std::as_const(*this).parameters() + offset, samples_,
                k == 0 ? inputs_ : static_cast<T const*>(raw(activations_[k - 1])), raw(sums_[k]), raw(activations_[k]),
                raw(ones_), raw(cotangents_[k]), gradient + offset, k == 0 ? nullptr : raw(cotangents_[k - 1]));
        });
    }

private:
    static T* raw(thrust::device_vector<T>& values) { return thrust::raw_pointer_cast(values.data()); }

    template <class Body>
    static void for_each_layer(Body const& body) {
        auto k = std::size_t{0}, offset = std::size_t{0};
        ((body.template operator()<Layers>(k++, offset), offset += Layers::parameter_count), ...);
    }
    template <class Body>
    static void for_each_layer_backwards(Body const& body) {
        for (auto last = depth; last-- > 0;)
            for_each_layer([&]<class Layer>(std::size_t k, std::size_t offset) {
                if (k == last) body.template operator()<Layer>(k, offset);
            });
    }

    std::size_t capacity_;
    cublasHandle_t handle_ = nullptr;
    thrust::device_vector<T> parameters_, ones_;
    std::array<thrust::device_vector<T>, depth> sums_, activations_, cotangents_;
    T const* inputs_ = nullptr;
    std::size_t samples_ = 0;
};

template <class T, class... Layers>
device_mlp(mlp<T, Layers...>, std::size_t) -> device_mlp<T, Layers...>;

} // namespace poise::policy
