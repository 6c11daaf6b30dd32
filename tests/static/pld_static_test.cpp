#include "poise/execution/sequential.hpp"
#include "poise/objective/plackett_luce_distillation.hpp"
#include "poise/policy/plackett_luce.hpp"

#include <array>

/// Plackett-Luce distillation in constant expressions: that this file compiles is the test.
namespace {

using namespace poise;

template <class T, class Weights>
struct solved {
    std::array<T, 1> loss{};
    std::array<T, 3> gradient{}, permutation{}, weights{};

    constexpr solved(std::array<T, 3> student, std::array<T, 3> teacher, int label, Weights const& w) {
        auto const labels = std::array{label};
        for_each_row(execution::sequential{}, objective::plackett_luce_distillation<Weights>{w},
                     rows_of<3>(std::as_const(student).data(), 1, 3), rows_of<3>(std::as_const(teacher).data(), 1, 3),
                     labels, loss, rows_of<3>(gradient.data(), 1, 3), rows_of<3>(permutation.data(), 1, 3),
                     rows_of<3>(weights.data(), 1, 3));
    }
};

template <class T>
constexpr bool close(T a, T b) {
    return math::abs(a - b) <= T(8) * math::epsilon<T>;
}

// Equal scores: loss = sum_k alpha_k log(3 - k). Weights 1/3: log(6) / 3.
constexpr auto flat = solved<double, weighting::ranking::uniform>({1, 1, 1}, {0, 2, 1}, 0, {});
static_assert(close(flat.loss[0], math::log(6.0) / 3));
static_assert(flat.permutation == std::array{0.0, 1.0, 2.0});
static_assert(close(flat.gradient[0], -2.0 / 9) && close(flat.gradient[1], -1.0 / 18) &&
              close(flat.gradient[2], 5.0 / 18));

// Scores log 1, log 2, log 3, the label last for the teacher: odds 3 : 3, then 1 : 2, then nothing to choose.
constexpr auto logs = std::array{0.0, math::log(2.0), math::log(3.0)};
constexpr auto ranked =
    solved<double, weighting::ranking::teacher_softmax>(logs, {math::log(2.0), 0, -math::log(2.0)}, 2, {});
static_assert(ranked.permutation == std::array{2.0, 0.0, 1.0});
static_assert(close(ranked.weights[0], 1.0 / 7) && close(ranked.weights[1], 4.0 / 7) &&
              close(ranked.weights[2], 2.0 / 7));
static_assert(close(ranked.loss[0], math::log(2.0) / 7 + 4 * math::log(3.0) / 7));

constexpr auto exponential = solved<float, weighting::ranking::exponential>({1, 2, 3}, {1, 2, 3}, 1, {});
static_assert(exponential.weights == std::array{3.0F, 1.0F, 0.0F});
constexpr auto normalised = solved<float, weighting::ranking::normalized_exponential>({1, 2, 3}, {1, 2, 3}, 1, {});
static_assert(normalised.weights == std::array{0.75F, 0.25F, 0.0F});

static_assert(objective::ranking_weighting<weighting::ranking::teacher_softmax>);
static_assert(!objective::ranking_weighting<double>);

} // namespace
