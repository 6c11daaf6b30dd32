#include "poise/estimator/group_relative.hpp"
#include "poise/execution/evaluate.hpp"
#include "poise/execution/simd.hpp"
#include "poise/interop/eigen.hpp"
#include "poise/interop/xtensor.hpp"
#include "poise/objective/clipped_surrogate.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace {

using namespace poise;

constexpr auto prompts = std::size_t{5}, rollouts = std::size_t{4}, tokens = std::size_t{3};

double number(std::size_t i, std::size_t g, std::size_t t, double seed) {
    return std::sin(seed + 1.3 * static_cast<double>(i) + 2.1 * static_cast<double>(g) + 0.7 * static_cast<double>(t));
}

/// prompt x rollout x token numbers in any xtensor object of three axes.
template <class Tensor>
void fill_tensor(Tensor&& tensor, double seed) {
    for (std::size_t i = 0; i < prompts; ++i)
        for (std::size_t g = 0; g < rollouts; ++g)
            for (std::size_t t = 0; t < tokens; ++t) tensor(i, g, t) = number(i, g, t, seed);
}

template <class Reward, class Tensor, class Gradient>
void check(Reward const& reward, Tensor const& log_p, Tensor const& old, Gradient&& gradient) {
    auto objective = xt::xtensor<double, 1>::from_shape({prompts});
    evaluate(execution::simd{},
             estimator::centered{} | objective::clipped_surrogate{} | aggregation::mean_of_sequences{},
             inputs(field::reward = reward, field::log_probability = log_p, field::old_log_probability = old),
             outputs(field::objective = objective, field::gradient<field::log_probability> = gradient));
    for (std::size_t i = 0; i < prompts; ++i) {
        auto mean = 0.0, total = 0.0;
        for (std::size_t g = 0; g < rollouts; ++g) mean += number(i, g, 0, 5) / rollouts;
        for (std::size_t g = 0; g < rollouts; ++g)
            for (std::size_t t = 0; t < tokens; ++t) {
                auto const a = number(i, g, 0, 5) - mean;
                auto const ratio = std::exp(number(i, g, t, 1) - number(i, g, t, 2));
                auto const clipped = a * ratio > a * std::clamp(ratio, 0.8, 1.2);
                total -= std::min(a * ratio, a * std::clamp(ratio, 0.8, 1.2)) / (rollouts * tokens);
                CHECK(gradient(i, g, t) ==
                      doctest::Approx(clipped ? 0 : -a * ratio / (rollouts * tokens * prompts)).epsilon(1e-12));
            }
        CHECK(objective(i) == doctest::Approx(total).epsilon(1e-12));
    }
}

auto rewards() {
    auto reward = Eigen::MatrixXd(Eigen::Index(prompts), Eigen::Index(rollouts));
    for (std::size_t i = 0; i < prompts; ++i)
        for (std::size_t g = 0; g < rollouts; ++g) reward(Eigen::Index(i), Eigen::Index(g)) = number(i, g, 0, 5);
    return reward;
}

} // namespace

TEST_CASE("a pipeline takes tensors of three axes beside an Eigen matrix, and writes into a tensor") {
    auto log_p = xt::xtensor<double, 3>::from_shape({prompts, rollouts, tokens}), old = log_p, gradient = log_p;
    fill_tensor(log_p, 1);
    fill_tensor(old, 2);
    check(rewards(), log_p, old, gradient);
}

TEST_CASE("column-major tensors, and views of larger ones") {
    using column_major = xt::xtensor<double, 3, xt::layout_type::column_major>;
    auto log_p = column_major::from_shape({prompts, rollouts, tokens}), old = log_p, gradient = log_p;
    fill_tensor(log_p, 1);
    fill_tensor(old, 2);
    check(rewards(), log_p, old, gradient);

    auto large = xt::xtensor<double, 3>::from_shape({prompts + 1, 2 * rollouts, tokens + 2}), other = large,
         out = large;
    out.fill(7);
    auto const part = [](auto& tensor) {
        return xt::view(tensor, xt::range(1, prompts + 1), xt::range(0, 2 * rollouts, 2), xt::range(2, tokens + 2));
    };
    auto log_view = part(large), old_view = part(other), out_view = part(out);
    fill_tensor(log_view, 1);
    fill_tensor(old_view, 2);
    check(rewards(), log_view, old_view, out_view);
    CHECK(out(0, 0, 0) == 7);
    CHECK(out(1, 1, 2) == 7);
    CHECK(out(1, 0, 1) == 7);
}
