#include "poise/core/scan.hpp"
#include "poise/execution/parallel.hpp"

#include <benchmark/benchmark.h>

#include <Eigen/Core>

#include <cmath>
#include <cstring>

// Narrow rows against a plain copy of the same bytes: how near each execution comes to the memory's speed. Ratios
// within one run are what counts: bytes per second beside those of `copy`, and times beside `row_by_row`.
namespace {

constexpr std::size_t rows = 262'144;
constexpr std::size_t length = 16;

struct centre_and_scale {
    double epsilon = 1e-6;
    constexpr void operator()(poise::row_of_reals auto rewards, poise::writable_row auto advantages) const {
        using T = poise::value_of<decltype(rewards)>;
        auto const centre = poise::mean(rewards);
        auto const scale = T(1) / (poise::standard_deviation(rewards) + T(epsilon));
        poise::map(advantages, [=](auto reward) { return (reward - centre) * scale; }, rewards);
    }
};

struct softmax {
    constexpr void operator()(poise::row_of_reals auto logits, poise::writable_row auto p) const {
        poise::softmax(p, logits);
    }
};

struct log_softmax {
    constexpr void operator()(poise::row_of_reals auto logits, poise::writable_row auto log_p) const {
        poise::log_softmax(log_p, logits);
    }
};

/// Memory as numerical libraries allocate it: Eigen's begins at a pack.
using memory = Eigen::VectorXf;

memory inputs() {
    auto values = memory(rows * length);
    for (std::size_t i = 0; i < rows * length; ++i)
        values[static_cast<Eigen::Index>(i)] = 3 * std::sin(0.7F * static_cast<float>(i % 100'003));
    return values;
}

void count(benchmark::State& state) {
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * 2 * rows * length * sizeof(float)));
}

void copy(benchmark::State& state) {
    auto const in = inputs();
    auto out = memory(memory::Zero(in.size()));
    for (auto _ : state) {
        std::memcpy(out.data(), in.data(), rows * length * sizeof(float));
        benchmark::ClobberMemory();
    }
    count(state);
}

template <class Execution, class Kernel>
void interleaved(benchmark::State& state) {
    auto const in = inputs();
    auto out = memory(memory::Zero(in.size()));
    for (auto _ : state) {
        poise::for_each_row(Execution{}, Kernel{}, poise::interleaved_rows_of<length>(in.data(), rows, length),
                            poise::interleaved_rows_of<length>(out.data(), rows, length));
        benchmark::ClobberMemory();
    }
    count(state);
}

template <class Execution, class Kernel>
void row_contiguous(benchmark::State& state) {
    auto const in = inputs();
    auto out = memory(memory::Zero(in.size()));
    for (auto _ : state) {
        poise::for_each_row(Execution{}, Kernel{}, poise::rows_of<length>(in.data(), rows, length),
                            poise::rows_of<length>(out.data(), rows, length));
        benchmark::ClobberMemory();
    }
    count(state);
}

template <class Kernel>
void add(char const* name) {
    using namespace poise::execution;
    auto const label = [&](char const* how) { return std::string(name) + "/" + how; };
    auto const add_one = [](std::string const& full, auto* function) {
        benchmark::RegisterBenchmark(full.c_str(), function)->Unit(benchmark::kMillisecond);
    };
    add_one(label("row_by_row"), row_contiguous<sequential, Kernel>);
    add_one(label("row_by_row_interleaved"), interleaved<sequential, Kernel>);
    add_one(label("lanes"), interleaved<in_lanes, Kernel>);
    add_one(label("lanes_row_contiguous"), row_contiguous<in_lanes, Kernel>);
    add_one(label("along"), row_contiguous<along, Kernel>);
    add_one(label("parallel_lanes"), interleaved<parallel<in_lanes>, Kernel>);
}

} // namespace

int main(int count, char** arguments) {
    benchmark::RegisterBenchmark("copy", copy)->Unit(benchmark::kMillisecond);
    add<centre_and_scale>("centre_and_scale");
    add<softmax>("softmax");
    add<log_softmax>("log_softmax");
    benchmark::Initialize(&count, arguments);
    benchmark::RunSpecifiedBenchmarks();
}
