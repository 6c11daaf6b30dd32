/// A pipeline of five stages against the same formula written by hand as one row kernel, on 262,144 groups of 16 and
/// along 8,192 of 512.

#include "poise/estimator/group_relative.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/objective/value_loss.hpp"
#include "poise/penalty/kl.hpp"

#include <benchmark/benchmark.h>

#include <Eigen/Core>

#include <cmath>

namespace {

using namespace poise;

constexpr std::size_t elements = 4'194'304;

constexpr auto stages = estimator::group_relative{} | objective::clipped_surrogate{.high = 0.28} |
                        penalty::kl_k3{.coefficient = 0.04} | objective::entropy_bonus{.coefficient = 0.01} |
                        aggregation::mean{};

/// All of it in as few passes over a row as it takes.
struct by_hand {
    double low = 0.2, high = 0.28, kl_coefficient = 0.04, entropy_coefficient = 0.01, epsilon = 1e-6;
    std::size_t rows = 1;

    constexpr void check(auto const&...) const {}
    constexpr void operator()(row_of_reals auto reward, row_of_reals auto log_p, row_of_reals auto old_log_p,
                              row_of_reals auto reference_log_p, row_of_reals auto entropy, writable_row auto objective,
                              writable_row auto gradient, writable_row auto entropy_gradient) const {
        using T = value_of<decltype(gradient)>;
        using R = real_of<T>;
        auto const n = R(reward.size());
        auto const centre = mean(reward);
        auto const variance = sum([=](auto r) { return (r - centre) * (r - centre); }, reward) / T(n);
        auto const scale = T(1) / (math::sqrt(variance) + T(R(epsilon)));
        auto const least = R(1 - low), most = R(1 + high), kl = R(kl_coefficient), bonus = R(entropy_coefficient),
                   share = R(1) / n, gradient_share = share / R(rows);
        auto const ratio_of = [](auto l, auto o) { return math::exp(l - o); };
        // The ratios wait where the gradients will be.
        map(gradient, ratio_of, log_p, old_log_p);
        objective[0] =
            T(share) * sum(
                           [=](auto r, auto ratio, auto l, auto q, auto h) {
                               auto const a = (r - centre) * scale, d = l - q;
                               auto const clipped = math::clamp(ratio, least, most);
                               return kl * (math::expm1(-d) + d) - math::min(a * ratio, a * clipped) - bonus * h;
                           },
                           reward, gradient, log_p, reference_log_p, entropy);
        map(
            gradient,
            [=](auto r, auto ratio, auto l, auto q) {
                auto const a = (r - centre) * scale, clipped = math::clamp(ratio, least, most);
                auto const slope = math::select(a * ratio <= a * clipped, -a * ratio, decltype(a)(0));
                return gradient_share * (slope - kl * math::expm1(q - l));
            },
            reward, gradient, log_p, reference_log_p);
        map(entropy_gradient, [=](auto) { return T(-bonus * gradient_share); }, entropy_gradient);
    }
};

using memory = Eigen::VectorXf;

memory numbers(float scale, float shift, std::size_t period) {
    auto values = memory(elements);
    for (std::size_t i = 0; i < elements; ++i)
        values[static_cast<Eigen::Index>(i)] = shift + scale * std::sin(0.7F * static_cast<float>(i % period));
    return values;
}

template <std::size_t length>
struct problem {
    static constexpr auto rows = elements / length;
    memory reward = numbers(3, 0, 100'003), log_p = numbers(0.7F, -1, 100'019), old = numbers(0.7F, -1, 100'043),
           reference = numbers(0.7F, -1, 100'049), entropy = numbers(0.5F, 1, 100'057);
    memory objective = memory::Zero(rows), gradient = memory::Zero(elements), entropy_gradient = memory::Zero(elements);
};

template <std::size_t length>
constexpr auto interleaved = [](auto* data) { return interleaved_rows_of<length>(data, elements / length, length); };
template <std::size_t length>
constexpr auto row_contiguous = [](auto* data) { return rows_of<length>(data, elements / length, length); };

auto per_group(memory& values) { return std::span(values.data(), static_cast<std::size_t>(values.size())); }

void run_pipeline(auto& p, auto execution, auto view) {
    auto const input = [&](memory const& values) { return view(values.data()); };
    evaluate(execution, stages,
             inputs(field::reward = input(p.reward), field::log_probability = input(p.log_p),
                    field::old_log_probability = input(p.old), field::reference_log_probability = input(p.reference),
                    field::entropy = input(p.entropy)),
             outputs(field::objective = per_group(p.objective),
                     field::gradient<field::log_probability> = view(p.gradient.data()),
                     field::gradient<field::entropy> = view(p.entropy_gradient.data())));
}
void run_by_hand(auto& p, auto execution, auto view) {
    auto const input = [&](memory const& values) { return view(values.data()); };
    for_each_row(execution, by_hand{.rows = p.rows}, input(p.reward), input(p.log_p), input(p.old), input(p.reference),
                 input(p.entropy), per_group(p.objective), view(p.gradient.data()), view(p.entropy_gradient.data()));
}

/// Both find the same.
template <std::size_t length>
void compare(benchmark::State& state, auto execution, auto view) {
    auto a = problem<length>{}, b = a;
    run_pipeline(a, execution, view);
    run_by_hand(b, execution, view);
    auto const same = (a.objective - b.objective).norm() <= 1e-4F * b.objective.norm() &&
                      (a.gradient - b.gradient).norm() <= 1e-4F * b.gradient.norm() &&
                      (a.entropy_gradient - b.entropy_gradient).norm() <= 1e-4F * b.entropy_gradient.norm();
    if (!same) state.SkipWithError("the pipeline and the loop by hand differ");
}

template <std::size_t length, class Execution, auto const& View>
void pipeline_of_five(benchmark::State& state) {
    compare<length>(state, Execution{}, View);
    auto p = problem<length>{};
    for (auto _ : state) {
        run_pipeline(p, Execution{}, View);
        benchmark::ClobberMemory();
    }
}
template <std::size_t length, class Execution, auto const& View>
void one_loop(benchmark::State& state) {
    auto p = problem<length>{};
    for (auto _ : state) {
        run_by_hand(p, Execution{}, View);
        benchmark::ClobberMemory();
    }
}

#define POISE_COMPARE(name, length, execution, layout)                                                                 \
    BENCHMARK(one_loop<length, execution, layout<length>>)->Name("one_loop/" name)->Unit(benchmark::kMillisecond);     \
    BENCHMARK(pipeline_of_five<length, execution, layout<length>>)                                                     \
        ->Name("pipeline/" name)                                                                                       \
        ->Unit(benchmark::kMillisecond)

POISE_COMPARE("lanes", 16, execution::in_lanes, interleaved);
POISE_COMPARE("lanes_row_contiguous", 16, execution::in_lanes, row_contiguous);
POISE_COMPARE("along_16", 16, execution::along, row_contiguous);
POISE_COMPARE("along_512", 512, execution::along, row_contiguous);

} // namespace
