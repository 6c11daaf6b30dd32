/// The token loss of GRPO, value and gradient: rewards of 4,096 prompts x 16 rollouts to group-relative advantages; the
/// clipped surrogate and k3 on 65,536 x 512 tokens behind a mask; the mean of each response's tokens. Against a copy of
/// the same bytes. `peers/token_loss_torch.py` has it in PyTorch.

#include "poise/estimator/group_relative.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/penalty/kl.hpp"

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>

namespace {

using namespace poise;

constexpr std::size_t prompts = 4'096, rollouts = 16, responses = prompts * rollouts, tokens = 512,
                      elements = responses * tokens;

std::vector<float> numbers(std::size_t count, float scale, float shift, std::size_t period) {
    auto values = std::vector<float>(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = shift + scale * std::sin(0.7F * static_cast<float>(i % period));
    return values;
}

struct problem {
    std::vector<float> reward = numbers(responses, 1, 0, 101), log_p = numbers(elements, 0.2F, -1, 1'009),
                       old = numbers(elements, 0.2F, -1, 1'013), reference = numbers(elements, 0.2F, -1, 1'019),
                       advantage = std::vector<float>(responses), gradient = std::vector<float>(elements),
                       objective = std::vector<float>(responses);
};

problem& data() {
    static auto all = problem{};
    return all;
}

auto token_rows(auto& values) { return rows_of<tokens>(values.data(), responses, tokens); }
auto group_rows(auto& values) { return rows_of<rollouts>(values.data(), prompts, rollouts); }

template <class Execution>
void grpo(benchmark::State& state) {
    auto& p = data();
    auto const& inputs_only = std::as_const(p);
    auto const execution = Execution{};
    for (auto _ : state) {
        for_each_row(execution, estimator::group_relative<>{}, group_rows(inputs_only.reward), group_rows(p.advantage));
        evaluate(
            execution, objective::clipped_surrogate{.high = 0.28} | penalty::kl_k3{.coefficient = 0.04},
            inputs(field::advantage = rows_of<1>(inputs_only.advantage.data(), responses, 1),
                   field::log_probability = token_rows(inputs_only.log_p),
                   field::old_log_probability = token_rows(inputs_only.old),
                   field::reference_log_probability = token_rows(inputs_only.reference)),
            outputs(field::objective = p.objective, field::gradient<field::log_probability> = token_rows(p.gradient)));
        benchmark::ClobberMemory();
    }
    auto total = 0.0;
    for (auto const v : p.objective) total += static_cast<double>(v) / responses;
    auto norm = 0.0;
    for (auto const g : p.gradient) norm += static_cast<double>(g) * static_cast<double>(g);
    state.counters["loss"] = total;
    state.counters["gradient_norm"] = std::sqrt(norm);
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * 4 * elements * sizeof(float)));
}

/// Two arrays of tokens to two others: as many bytes read and written as the loss reads and writes.
void copy_of_the_bytes(benchmark::State& state) {
    auto& p = data();
    for (auto _ : state) {
        std::memcpy(p.gradient.data(), p.log_p.data(), elements * sizeof(float));
        std::memcpy(p.reference.data(), p.old.data(), elements * sizeof(float));
        benchmark::ClobberMemory();
    }
    p = problem{};
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * 4 * elements * sizeof(float)));
}

BENCHMARK(grpo<execution::simd>)->Name("token_loss/simd")->Unit(benchmark::kMillisecond);
BENCHMARK(grpo<execution::in_lanes>)->Name("token_loss/lanes")->Unit(benchmark::kMillisecond);
BENCHMARK(grpo<execution::parallel<execution::simd>>)
    ->Name("token_loss/parallel")
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(copy_of_the_bytes)->Name("token_loss/copy_of_the_bytes")->Unit(benchmark::kMillisecond);

} // namespace
