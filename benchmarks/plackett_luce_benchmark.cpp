#include "poise/execution/parallel.hpp"
#include "poise/objective/plackett_luce_distillation.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

/// Plackett-Luce distillation, value and gradient of every row. benchmarks/peers/plackett_luce_torch.py does the same
/// in PyTorch on the same numbers.
namespace {

using namespace poise;

/// Any language can write this generator down: 32-bit xorshift, mapped to [-4, 4).
class xorshift {
public:
    std::uint32_t operator()() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        return state_ ^= state_ << 5;
    }
    float logit() { return static_cast<float>((*this)() >> 8) * (8.0F / 16777216.0F) - 4.0F; }

private:
    std::uint32_t state_ = 2463534242U;
};

struct problem {
    std::size_t rows, classes;
    std::vector<float> student, teacher, loss, gradient;
    std::vector<int> labels;

    problem(std::size_t m, std::size_t n)
        : rows(m), classes(n), student(m * n), teacher(m * n), loss(m), gradient(m * n), labels(m) {
        auto draw = xorshift{};
        for (auto& s : student) s = draw.logit();
        for (auto& t : teacher) t = draw.logit();
        for (auto& y : labels) y = static_cast<int>(draw() % n);
    }

    template <class Execution>
    void distil(Execution const& execution) {
        for_each_row(execution, objective::plackett_luce_distillation{}, rows_of(student.data(), rows, classes),
                     rows_of(teacher.data(), rows, classes), labels, loss, rows_of(gradient.data(), rows, classes));
    }
};

template <class Execution>
void distillation(benchmark::State& state) {
    auto batch = problem(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
    for (auto _ : state) {
        batch.distil(Execution{});
        benchmark::ClobberMemory();
    }
    auto mean_loss = 0.0, size = 0.0;
    for (auto l : batch.loss) mean_loss += l / static_cast<double>(batch.rows);
    for (auto g : batch.gradient) size += std::abs(static_cast<double>(g)) / static_cast<double>(batch.rows);
    state.counters["mean_loss"] = mean_loss; // to compare with the peer
    state.counters["mean_gradient_1_norm"] = size;
    state.SetItemsProcessed(state.iterations() * state.range(0) * state.range(1));
}

BENCHMARK(distillation<execution::sequential>)->Args({4096, 1000})->Unit(benchmark::kMillisecond);
BENCHMARK(distillation<execution::along>)->Args({4096, 1000})->Unit(benchmark::kMillisecond);
BENCHMARK(distillation<execution::parallel<execution::along>>)
    ->Args({4096, 1000})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(distillation<execution::in_lanes>)->Args({65536, 10})->Unit(benchmark::kMillisecond);
BENCHMARK(distillation<execution::along>)->Args({65536, 10})->Unit(benchmark::kMillisecond);

} // namespace
