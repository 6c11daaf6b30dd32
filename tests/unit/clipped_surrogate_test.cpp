#include "everywhere.hpp"

#include "poise/core/dual.hpp"
#include "poise/objective/clipped_surrogate.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace {

using namespace everywhere;
using poise::objective::clipped_surrogate;

/// The loss as the papers write it.
double loss_of(clipped_surrogate const& by, double log_p, double old, double advantage) {
    auto const ratio = std::exp(log_p - old);
    auto const bounded = std::min(advantage * ratio, advantage * std::clamp(ratio, 1 - by.low, 1 + by.high));
    return advantage < 0 ? -std::max(bounded, by.dual * advantage) : -bounded;
}

/// Loss and gradient of one element.
template <class T>
constexpr std::array<T, 2> surrogate(clipped_surrogate const& by, T log_p, T old, T advantage) {
    auto const in = std::array{log_p, old, advantage};
    auto loss = std::array<T, 1>{}, gradient = loss;
    by(poise::row<T const>(&in[0], 1), poise::row<T const>(&in[1], 1), poise::row<T const>(&in[2], 1),
       poise::row<T>(&loss[0], 1), poise::row<T>(&gradient[0], 1));
    return {loss[0], gradient[0]};
}

static_assert(surrogate<double>({}, 0, 0, 3) == std::array{-3.0, -3.0});
static_assert(surrogate<float>({.high = 0.5}, 1, 0, 2) == std::array{-3.0F, 0.0F});
static_assert(surrogate<double>({.low = 0.25}, -1, 0, -2) == std::array{1.5, 0.0});
static_assert(surrogate<double>({.dual = 2}, 1, 0, -2) == std::array{4.0, 0.0});

template <class T, class Layout>
void check_in_every_execution(clipped_surrogate const& kernel) {
    in_every_execution([&]<class Execution>(Execution, std::string const& name) {
        for (auto const length : sizes(1, 9, 65)) {
            auto const rows = std::size_t{5};
            auto const log_p = random_table(rows, length, 1, 0.3), old = random_table(rows, length, 2, 0.3),
                       advantage = random_table(rows, length, 3);
            auto loss = stored<T, Layout>(rows, length), gradient = loss;
            poise::for_each_row(Execution{}, kernel, stored<T, Layout>(log_p).input(), stored<T, Layout>(old).input(),
                                stored<T, Layout>(advantage).input(), loss.output(), gradient.output());
            auto wrong = 0;
            for (std::size_t i = 0; i < rows; ++i)
                for (std::size_t k = 0; k < length; ++k) {
                    auto const x = poise::dual<double>{log_p(i, k), 1};
                    auto const value = surrogate(kernel, x, {old(i, k)}, {advantage(i, k)});
                    wrong += !close(loss(i, k), loss_of(kernel, log_p(i, k), old(i, k), advantage(i, k)), tolerance<T>);
                    wrong += !close(gradient(i, k), value[0].derivative, tolerance<T>);
                }
            INFO(name << ", length " << length);
            CHECK(wrong == 0);
        }
    });
}

TEST_CASE("the clipped surrogate is the papers' minimum, its gradient the derivative, everywhere") {
    for (auto const& kernel :
         {clipped_surrogate{}, clipped_surrogate{.low = 0.1, .high = 0.28}, clipped_surrogate{.dual = 1.3}}) {
        check_in_every_execution<double, poise::row_contiguous>(kernel);
        check_in_every_execution<float, poise::interleaved>(kernel);
    }
}

TEST_CASE("at the edges of the clipped surrogate") {
    // On a bound exactly the ratio still moves the loss.
    CHECK(surrogate<double>({.low = 0.5, .high = 0}, 0, 0, 1)[1] == -1);
    CHECK(surrogate<double>({.low = 0}, 0, 0, -1)[1] == 1);
    // An advantage of 0 and a ratio that overflows: nothing to learn.
    CHECK(surrogate<double>({}, 800, 0, 0) == std::array{0.0, 0.0});
    CHECK(surrogate<double>({}, 800, 0, 1) == std::array{-1.2, 0.0});
    CHECK(surrogate<double>({}, -infinity, 0, 1) == std::array{0.0, 0.0});
    // NaN stays NaN, in the loss and in the gradient.
    for (auto const& x : {std::array{everywhere::nan, 0., 1.}, std::array{0., everywhere::nan, -1.},
                          std::array{0., 0., everywhere::nan}}) {
        CHECK(std::isnan(surrogate<double>({}, x[0], x[1], x[2])[0]));
        CHECK(std::isnan(surrogate<double>({}, x[0], x[1], x[2])[1]));
    }
}

TEST_CASE("what the clipped surrogate refuses") {
    auto const run = [](clipped_surrogate const& kernel, std::size_t advantages = 1) {
        auto const in = std::array{0.0, 0.0};
        auto loss = std::array{0.0}, gradient = loss;
        poise::for_each_row(execution::sequential{}, kernel, poise::rows_of(in.data(), 1, 1),
                            poise::rows_of(in.data(), 1, 1), poise::rows_of(in.data(), 1, advantages), loss, gradient);
    };
    CHECK_NOTHROW(run({}));
    CHECK_THROWS_WITH_AS(run({.low = 1}), "clipped_surrogate: argument 'low': expected a number in [0, 1), got 1",
                         poise::domain_violation);
    CHECK_THROWS_AS(run({.high = -0.1}), poise::domain_violation);
    CHECK_THROWS_AS(run({.dual = 1}), poise::domain_violation);
    CHECK_THROWS_AS(run({.dual = everywhere::nan}), poise::domain_violation);
    CHECK_THROWS_AS(run({}, 2), poise::argument_error);
}

} // namespace
