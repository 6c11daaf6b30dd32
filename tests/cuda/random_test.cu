#include "../unit/random_checksum.hpp"

#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>

__global__ void checksum(std::uint64_t* terms) {
    auto const i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < random_checksum::count) terms[i] = random_checksum::of_address(i);
}

#define CHECK_CUDA(call)                                                                                               \
    if (auto const status = (call); status != cudaSuccess) {                                                           \
        std::printf("%s: %s\n", #call, cudaGetErrorString(status));                                                    \
        return 1;                                                                                                      \
    }

int main() {
    auto const on_cpu = random_checksum::on_this_cpu();
    std::printf("checksum of the draws: expected %016llx, CPU %016llx\n",
                static_cast<unsigned long long>(random_checksum::expected), static_cast<unsigned long long>(on_cpu));
    if (on_cpu != random_checksum::expected) return 1;

    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::printf("skipped on the GPU: none present\n");
        return 0;
    }
    constexpr auto bytes = sizeof(std::uint64_t) * random_checksum::count;
    std::uint64_t* terms = nullptr;
    CHECK_CUDA(cudaMallocManaged(&terms, bytes));
    checksum<<<(random_checksum::count + 127) / 128, 128>>>(terms);
    CHECK_CUDA(cudaGetLastError());
    CHECK_CUDA(cudaDeviceSynchronize());
    auto on_gpu = std::uint64_t{0};
    for (std::uint32_t i = 0; i < random_checksum::count; ++i) on_gpu += terms[i];
    CHECK_CUDA(cudaFree(terms));
    std::printf("GPU %016llx\n", static_cast<unsigned long long>(on_gpu));
    return on_gpu == random_checksum::expected ? 0 : 1;
}
