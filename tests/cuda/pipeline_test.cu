#include "poise/estimator/group_relative.hpp"
#include "poise/execution/device.cuh"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/penalty/kl.hpp"

#include <cmath>
#include <cstdio>
#include <vector>

// A pipeline on prompts x rollouts x tokens in device memory, against the sequential execution on the host.
int main() {
    auto devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::puts("skipped: no GPU");
        return 0;
    }
    using namespace poise;
    constexpr auto prompts = std::size_t{1000}, rollouts = std::size_t{8}, tokens = std::size_t{12};
    constexpr auto composed = estimator::group_relative{} | objective::clipped_surrogate{.high = 0.28} |
                              penalty::kl_k3{.coefficient = 0.04} | aggregation::mean_of_sequences{};
    auto const numbers = [](std::size_t count, double seed) {
        auto values = std::vector<double>(count);
        for (std::size_t k = 0; k < count; ++k) values[k] = std::sin(seed + 1.7 * static_cast<double>(k));
        return values;
    };
    auto const all = prompts * rollouts * tokens;
    auto const reward = numbers(prompts * rollouts, 0), log_p = numbers(all, 1), old = numbers(all, 2),
               reference = numbers(all, 3);
    auto const run = [&](auto execution, double const* r, double const* l, double const* o, double const* q,
                         double* value, double* slope) {
        auto const per_token = [&](auto* data) {
            return sequences_of(interleaved_rows_of(data, prompts, rollouts * tokens), rollouts);
        };
        evaluate(execution, composed,
                 inputs(field::reward = interleaved_rows_of(r, prompts, rollouts),
                        field::log_probability = per_token(l), field::old_log_probability = per_token(o),
                        field::reference_log_probability = per_token(q)),
                 outputs(field::objective = rows_of<1>(value, prompts, 1),
                         field::gradient<field::log_probability> = per_token(slope)));
    };
    auto value = std::vector<double>(prompts), slope = std::vector<double>(all);
    run(execution::sequential{}, reward.data(), log_p.data(), old.data(), reference.data(), value.data(), slope.data());

    auto const device_reward = thrust::device_vector<double>(reward),
               device_log_p = thrust::device_vector<double>(log_p), device_old = thrust::device_vector<double>(old),
               device_reference = thrust::device_vector<double>(reference);
    auto device_value = thrust::device_vector<double>(prompts), device_slope = thrust::device_vector<double>(all);
    auto const raw = [](auto& vector) { return thrust::raw_pointer_cast(vector.data()); };
    run(execution::device{}, raw(device_reward), raw(device_log_p), raw(device_old), raw(device_reference),
        raw(device_value), raw(device_slope));
    auto worst = 0.0;
    for (std::size_t i = 0; i < prompts; ++i) worst = std::fmax(worst, std::fabs(device_value[i] - value[i]));
    for (std::size_t k = 0; k < all; ++k) worst = std::fmax(worst, std::fabs(device_slope[k] - slope[k]));
    std::printf("pipeline, thread per row: worst difference %.3g\n", worst);
    return worst < 1e-12 ? 0 : 1;
}
