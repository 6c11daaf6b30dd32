#include "poise/estimator/generalized_advantage.hpp"
#include "poise/estimator/mixed_advantage.hpp"
#include "poise/estimator/normalized_advantage.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/objective/kl_lagrangian_dual.hpp"
#include "poise/solver/adaptive_kl.hpp"
#include "poise/solver/multiplier_descent.hpp"

#include <array>

/// Constrained RLHF in constant expressions: that this file compiles is the test.
namespace {

using namespace poise;

template <class T>
constexpr bool close(T a, T b) {
    return math::abs(a - b) <= T(8) * math::epsilon<T>;
}

template <class T, std::size_t N>
constexpr auto in(std::array<T, N> const& values) {
    return rows_of<N>(values.data(), 1, N);
}
template <class T, std::size_t N>
constexpr auto out(std::array<T, N>& values) {
    return rows_of<N>(values.data(), 1, N);
}

// Two episodes: 1 and 2, then 4 and what follows.
template <class T>
constexpr auto trajectory() {
    auto const rewards = std::array<T, 3>{1, 2, 4}, values = std::array<T, 3>{1, 1, 1},
               terminal = std::array<T, 3>{0, 1, 0};
    auto const last = std::array<T, 1>{8};
    auto result = std::array<std::array<T, 3>, 3>{};
    auto& [advantages, returns, sums] = result;
    for_each_row(execution::sequential{}, estimator::generalized_advantage{.discount = 0.5, .lambda = 0.5}, in(rewards),
                 in(values), in(terminal), last, out(advantages), out(returns));
    for_each_row(execution::sequential{}, estimator::reward_to_go{}, in(rewards), in(terminal), last, out(sums));
    return result;
}
static_assert(trajectory<double>()[0] == std::array{0.75, 1.0, 7.0});
static_assert(trajectory<float>()[1] == std::array{1.75F, 2.0F, 8.0F});
static_assert(trajectory<double>()[2] == std::array{3.0, 2.0, 12.0});

// Multipliers 0: sigmoid halves the pull to the reference, tanh leaves it alone.
template <class Squash, class Base>
constexpr auto mixed() {
    auto const multipliers = std::array{0.0, 0.0}, kl = std::array{1.0, 2.0};
    auto const channels = std::array{1.0, 0.0, 0.0, 10.0};
    auto weights = multipliers, result = kl;
    auto base_weight = std::array{0.0};
    for_each_row(execution::sequential{}, weighting::lagrange_weights<Squash>{}, in(multipliers), base_weight,
                 out(weights));
    for_each_row(execution::sequential{}, estimator::mixed_advantage<Base>{}, in(kl), in(channels),
                 std::as_const(base_weight), in(weights), out(result));
    return result;
}
using namespace weighting::squash;
static_assert(mixed<sigmoid, estimator::base::kl>() == std::array{1.5, 7.0});
static_assert(mixed<weighting::squash::tanh, estimator::base::kl>() == std::array{2.0, 4.0});
static_assert(mixed<sigmoid, estimator::base::all>() == std::array{0.5, 5.0});
static_assert(mixed<sigmoid, estimator::base::all_and_kl>() == std::array{1.5, 7.0});
static_assert(mixed<none, estimator::base::kl>() == std::array{1.0, 2.0});

constexpr auto normalized = [] {
    auto values = std::array{1.0F, 2.0F, 3.0F};
    for_each_row(execution::sequential{}, estimator::normalized_advantage{.epsilon = 0}, out(values), out(values));
    return values;
}();
static_assert(normalized == std::array{-1.0F, 0.0F, 1.0F});

// One step: slope 1/4 of slack -4, clipped from norm 1 to 1/2.
constexpr auto stepped = [] {
    auto const start = std::array{0.0}, value = std::array{1.0}, threshold = std::array{5.0};
    auto path = start;
    for_each_row(execution::sequential{}, solver::multiplier_descent<sigmoid>{}, in(start), in(value), in(threshold),
                 out(path));
    return path[0];
}();
static_assert(math::abs(stepped - 0.005) < 1e-8);

static_assert(solver::adaptive_kl{.target = 1}.next(1.0, 3.0) == 1.02);
static_assert(solver::adaptive_kl{}.next(0.5F, 3.0F) == 0.5F);

// Two equal actions, rewards 0 and log 3 at beta 1: odds of 1 to 3.
struct tilted {
    std::array<double, 2> policy{};
    std::array<double, 1> dual{}, gradient{}, hessian{};
};
constexpr auto tilted_policy = [] {
    auto const reference = std::array{0.5, 0.5}, rewards = std::array{0.0, math::log(3.0)};
    auto const tilt = std::array{1.0}, threshold = std::array{0.0};
    auto result = tilted{};
    for_each_row(execution::sequential{}, objective::kl_lagrangian_dual{}, in(reference), in(rewards), in(tilt),
                 in(threshold), out(result.policy), result.dual, out(result.gradient), out(result.hessian));
    return result;
}();
static_assert(close(tilted_policy.policy[1], 0.75));
static_assert(close(tilted_policy.dual[0], math::log(2.0)));
static_assert(close(tilted_policy.gradient[0], 0.75 * math::log(3.0)));
static_assert(close(tilted_policy.hessian[0], 0.1875 * math::log(3.0) * math::log(3.0)));

} // namespace
