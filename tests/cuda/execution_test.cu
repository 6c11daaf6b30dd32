#include "poise/core/scan.hpp"
#include "poise/core/sort.hpp"
#include "poise/execution/device.cuh"
#include "poise/execution/sequential.hpp"

#include <cmath>
#include <cstdio>
#include <vector>

// The same kernels, one thread per row and one block per row, against the sequential execution on the host.
namespace {

struct centre_and_scale {
    constexpr void operator()(poise::row_of_reals auto in, poise::writable_row auto out) const {
        auto const centre = poise::mean(in);
        auto const scale = poise::standard_deviation(in) + 1e-6;
        poise::map(out, [=](auto x) { return (x - centre) / scale; }, in);
    }
};

struct log_probabilities {
    constexpr void operator()(poise::row_of_reals auto in, poise::writable_row auto out) const {
        poise::log_softmax(out, in);
    }
};

struct suffix_log_sums {
    constexpr void operator()(poise::row_of_reals auto in, poise::writable_row auto out) const {
        poise::cumulative_log_sum_exp(poise::reversed(out), poise::reversed(in));
    }
};

struct ranked {
    static constexpr std::size_t scratch_rows = poise::argsort_scratch + 1;
    constexpr void operator()(poise::row_of_reals auto in, poise::writable_row auto out, auto const& scratch) const {
        auto const order = scratch[poise::argsort_scratch];
        poise::argsort(order, in, poise::descending{}, scratch);
        poise::gather(out, in, order);
    }
};

struct discounted {
    constexpr void operator()(poise::row_of_reals auto in, poise::writable_row auto out) const {
        poise::map(out, [](auto) { return 0.9; }, in);
        poise::linear_recurrence(poise::reversed(out), poise::reversed(out), poise::reversed(in));
    }
};

int failures = 0;

template <class Kernel>
void compare(char const* name, std::size_t rows, std::size_t length) {
    auto host = std::vector<double>(rows * length), expected = host;
    for (std::size_t i = 0; i < host.size(); ++i) host[i] = std::round(40 * std::sin(1.7 * static_cast<double>(i))) / 8;
    poise::for_each_row(poise::execution::sequential{}, Kernel{},
                        poise::rows_of<>(std::as_const(host).data(), rows, length),
                        poise::rows_of<>(expected.data(), rows, length));
    auto in = thrust::device_vector<double>(host), out = thrust::device_vector<double>(host.size());
    auto const* from = static_cast<double const*>(thrust::raw_pointer_cast(in.data()));
    auto* to = thrust::raw_pointer_cast(out.data());
    auto const check = [&](char const* execution) {
        auto worst = 0.0;
        for (std::size_t i = 0; i < host.size(); ++i)
            worst = std::fmax(worst, std::fabs(out[i] - expected[i]) / (1 + std::fabs(expected[i])));
        auto const good = worst < 1e-12;
        std::printf("%s, %s, %zu x %zu: worst difference %.3g %s\n", name, execution, rows, length, worst,
                    good ? "ok" : "FAILED");
        failures += good ? 0 : 1;
    };
    poise::for_each_row(poise::execution::device{}, Kernel{}, poise::rows_of<>(from, rows, length),
                        poise::rows_of<>(to, rows, length));
    check("thread per row");
    thrust::fill(out.begin(), out.end(), 0.0);
    poise::for_each_row(poise::execution::device_blocks{}, Kernel{}, poise::rows_of<>(from, rows, length),
                        poise::rows_of<>(to, rows, length));
    check("block per row");
}

} // namespace

int main() {
    auto devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::printf("skipped: no CUDA device\n");
        return 0;
    }
    for (auto const length : {std::size_t{1}, std::size_t{7}, std::size_t{256}, std::size_t{1000}}) {
        compare<centre_and_scale>("centre and scale", 300, length);
        compare<log_probabilities>("log-softmax", 300, length);
        compare<suffix_log_sums>("suffix log-sum-exp", 300, length);
        compare<ranked>("ranked", 300, length);
        compare<discounted>("discounted", 300, length);
    }
    return failures == 0 ? 0 : 1;
}
