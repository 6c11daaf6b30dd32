#include "poise/policy/device_mlp.cuh"

#include <cmath>
#include <cstdio>
#include <vector>

// A network on the device against the same on the host: outputs and the gradient in all parameters.
int main() {
    auto devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::puts("skipped: no GPU");
        return 0;
    }
    using namespace poise::policy;
    using network = mlp<double, dense<4, 32, activation::tanh>, dense<32, 16, activation::gelu>, dense<16, 3>>;
    constexpr auto samples = std::size_t{200};
    auto const host = network(initialization::glorot{}, {.seed = 1});
    auto inputs = std::vector<double>(samples * 4), cotangents = std::vector<double>(samples * 3);
    for (std::size_t k = 0; k < inputs.size(); ++k) inputs[k] = std::sin(1.7 * static_cast<double>(k));
    for (std::size_t k = 0; k < cotangents.size(); ++k) cotangents[k] = std::cos(0.9 * static_cast<double>(k));
    auto tape = network::tape(samples);
    auto const expected = host.forward(poise::rows_of(std::as_const(inputs).data(), samples, 4), tape);
    auto const outputs = std::vector<double>(expected.data(), expected.data() + samples * 3);
    auto gradient = std::vector<double>(network::parameter_count);
    host.pullback(tape, poise::rows_of(std::as_const(cotangents).data(), samples, 3),
                  poise::row<double>(gradient.data(), gradient.size()));

    auto device = device_mlp(host, samples);
    auto const device_inputs = thrust::device_vector<double>(inputs),
               device_cotangents = thrust::device_vector<double>(cotangents);
    auto device_gradient = thrust::device_vector<double>(gradient.size(), 0.0);
    auto const* found = device.forward(thrust::raw_pointer_cast(device_inputs.data()), samples);
    auto worst = 0.0;
    for (std::size_t k = 0; k < outputs.size(); ++k)
        worst = std::fmax(worst, std::fabs(thrust::device_ptr<double const>(found)[k] - outputs[k]));
    device.pullback(thrust::raw_pointer_cast(device_cotangents.data()),
                    thrust::raw_pointer_cast(device_gradient.data()));
    for (std::size_t k = 0; k < gradient.size(); ++k)
        worst = std::fmax(worst, std::fabs(device_gradient[k] - gradient[k]) / (1 + std::fabs(gradient[k])));
    auto const returned = device.to_host();
    for (std::size_t k = 0; k < gradient.size(); ++k)
        worst = std::fmax(worst, std::fabs(returned.parameters()[k] - host.parameters()[k]));
    std::printf("network on the device: worst difference %.3g\n", worst);
    return worst < 1e-12 ? 0 : 1;
}
