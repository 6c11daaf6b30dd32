#include "everywhere.hpp"

#include "poise/solver/optimizer.hpp"
#include "poise/solver/simplex_step.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

namespace {

using namespace poise;
using everywhere::stored;

/// The gradients of a few steps, and the parameters to start from.
struct path {
    std::vector<double> start;
    std::vector<std::vector<double>> gradients;
    explicit path(std::size_t parameters, std::size_t steps)
        : start(everywhere::random_table(1, parameters, 61).values) {
        for (std::size_t t = 0; t < steps; ++t)
            gradients.push_back(everywhere::random_table(1, parameters, 62 + t).values);
    }
};

/// The parameters after all steps, by the library.
template <class T, class Rule>
std::vector<double> optimized(Rule rule, path const& given) {
    auto parameters = std::vector<T>(given.start.begin(), given.start.end());
    auto optimizer = solver::optimizer(rule, parameters);
    for (auto const& gradient : given.gradients) {
        auto const converted = std::vector<T>(gradient.begin(), gradient.end());
        optimizer.step(parameters, converted);
    }
    CHECK(optimizer.steps == given.gradients.size());
    return {parameters.begin(), parameters.end()};
}

/// One parameter after another by `step(w, g, memory, t)`.
template <class Step>
std::vector<double> one_by_one(path const& given, Step const& step) {
    auto parameters = given.start;
    for (std::size_t k = 0; k < parameters.size(); ++k) {
        auto memory = std::array<double, 3>{};
        for (std::size_t t = 0; t < given.gradients.size(); ++t)
            parameters[k] = step(parameters[k], given.gradients[t][k], memory, static_cast<double>(t + 1));
    }
    return parameters;
}

void check_close(std::vector<double> const& actual, std::vector<double> const& expected, double tolerance) {
    REQUIRE(actual.size() == expected.size());
    for (std::size_t k = 0; k < actual.size(); ++k) CHECK(everywhere::close(actual[k], expected[k], tolerance));
}

TEST_CASE("update rules, parameter by parameter") {
    for (auto const parameters : everywhere::sizes(1, 8, 37)) {
        auto const given = path(parameters, 25);
        auto const adam = [](bool largest_kept) {
            return [=](double w, double g, std::array<double, 3>& memory, double t) {
                auto const total = g + 0.1 * w;
                memory[0] = 0.8 * memory[0] + 0.2 * total;
                memory[1] = 0.95 * memory[1] + 0.05 * total * total;
                memory[2] = std::max(memory[2], memory[1]);
                auto const m = memory[0] / (1 - std::pow(0.8, t));
                auto const v = (largest_kept ? memory[2] : memory[1]) / (1 - std::pow(0.95, t));
                return w - 0.05 * 0.2 * w - 0.05 * m / (std::sqrt(v) + 1e-3);
            };
        };
        auto const check = [&](auto rule, auto const& step) {
            auto const expected = one_by_one(given, step);
            check_close(optimized<double>(rule, given), expected, 1e-13);
            check_close(optimized<float>(rule, given), expected, 1e-5);
        };
        check(solver::sgd{.learning_rate = 0.1, .weight_decay = 0.2},
              [](double w, double g, auto&, double) { return w - 0.1 * (g + 0.2 * w); });
        check(solver::momentum{.learning_rate = 0.1, .decay = 0.7, .weight_decay = 0.2},
              [](double w, double g, auto& memory, double) {
                  memory[0] = 0.7 * memory[0] + g + 0.2 * w;
                  return w - 0.1 * memory[0];
              });
        check(solver::adam{.learning_rate = 0.05,
                           .beta1 = 0.8,
                           .beta2 = 0.95,
                           .epsilon = 1e-3,
                           .weight_decay = 0.1,
                           .decoupled_weight_decay = 0.2},
              adam(false));
        check(solver::amsgrad<>{.learning_rate = 0.05,
                                .beta1 = 0.8,
                                .beta2 = 0.95,
                                .epsilon = 1e-3,
                                .weight_decay = 0.1,
                                .decoupled_weight_decay = 0.2},
              adam(true));
    }
}

TEST_CASE("Adam's first step has the length of the learning rate, whatever the gradient's scale") {
    auto parameters = std::vector<double>{1, 1, 1}, gradient = std::vector<double>{1e-3, -50, 7};
    auto adam = solver::optimizer(solver::adam{.learning_rate = 0.25}, parameters);
    adam.step(parameters, gradient);
    check_close(parameters, {0.75, 1.25, 0.75}, 1e-5);
}

TEST_CASE("a momentum of 0 is gradient descent, a negative learning rate ascends") {
    auto const given = path(9, 5);
    check_close(optimized<double>(solver::momentum{.learning_rate = 0.1, .decay = 0.0}, given),
                optimized<double>(solver::sgd{.learning_rate = 0.1}, given), 1e-15);
    auto w = std::vector<double>{1.0}, g = std::vector<double>{2.0};
    solver::optimizer(solver::sgd{.learning_rate = -0.5}, w).step(w, g);
    CHECK(w[0] == 2);
}

TEST_CASE("a learning rate per lane: each lane is the optimiser it would be alone") {
    using pack = lanes<double>;
    auto const given = path(5, 10);
    auto parameters = std::vector<pack>(given.start.begin(), given.start.end());
    auto rates = pack::iota(1.0) * pack(0.01);
    auto optimizer = solver::optimizer(solver::adam<pack>{.learning_rate = rates}, parameters);
    for (auto const& gradient : given.gradients)
        optimizer.step(parameters, std::vector<pack>(gradient.begin(), gradient.end()));
    for (std::size_t lane = 0; lane < pack::size; ++lane) {
        auto const alone = optimized<double>(solver::adam{.learning_rate = rates[lane]}, given);
        for (std::size_t k = 0; k < alone.size(); ++k) CHECK(everywhere::close(parameters[k][lane], alone[k], 1e-13));
    }
}

TEST_CASE("a saved state continues exactly") {
    auto const given = path(7, 12);
    auto parameters = given.start;
    auto optimizer = solver::optimizer(solver::adam{}, parameters);
    for (std::size_t t = 0; t < 6; ++t) optimizer.step(parameters, given.gradients[t]);
    auto restored = solver::optimizer<solver::adam<>, double>(solver::adam{}, 7);
    restored.steps = optimizer.steps;
    for (std::size_t i = 0; i < 2; ++i) copy(restored.state(i), optimizer.state(i));
    auto continued = parameters;
    for (std::size_t t = 6; t < 12; ++t) restored.step(continued, given.gradients[t]);
    CHECK(continued == optimized<double>(solver::adam{}, given));
}

TEST_CASE("lengths that do not fit are refused") {
    auto parameters = std::vector<double>(4), gradient = std::vector<double>(3);
    auto optimizer = solver::optimizer(solver::sgd{}, parameters);
    CHECK_THROWS_WITH_AS(optimizer.step(parameters, gradient),
                         "optimizer::step: argument 'gradient': expected 4, got 3", argument_error);
    CHECK_THROWS_WITH_AS(optimizer.step(gradient, gradient),
                         "optimizer::step: argument 'parameters': expected 4, got 3", argument_error);
    CHECK(optimizer.steps == 0);
}

/// One row through a kernel of (inputs..., out) in every execution, as a check of equality too.
template <class T = double, class Kernel, class... Rows>
std::vector<double> through(Kernel const& kernel, std::vector<double> const& first, Rows const&... rest) {
    auto const table_of = [](auto const& row) { return everywhere::table{1, row.size(), row}; };
    auto result = std::vector<double>();
    everywhere::in_every_execution([&](auto execution, std::string const& name) {
        auto out = stored<T, row_contiguous>(1, first.size());
        for_each_row(execution, kernel, stored<T, row_contiguous>(table_of(first)).input(),
                     stored<T, row_contiguous>(table_of(rest)).input()..., out.output());
        auto here = std::vector<double>();
        for (std::size_t k = 0; k < first.size(); ++k) here.push_back(out(0, k));
        if (result.empty()) result = here;
        CAPTURE(name);
        for (std::size_t k = 0; k < here.size(); ++k) CHECK(everywhere::close(here[k], result[k], 1e-12));
    });
    return result;
}

TEST_CASE("the projection onto the simplex is the nearest point of it") {
    CHECK(rc::check("sum 1, none negative, and the condition of optimality", [] {
        auto const n = *rc::gen::inRange<std::size_t>(1, 20);
        auto const v = *rc::gen::container<std::vector<double>>(
            n, rc::gen::map(rc::gen::inRange(-300, 300), [](int k) { return k / 100.0; }));
        auto const p = through(solver::simplex_projection{}, v);
        RC_ASSERT(everywhere::close(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-13));
        // v - p is one number theta on the support, and at most theta off it: p is nearest (Karush, Kuhn and Tucker).
        auto theta = -everywhere::infinity;
        for (std::size_t k = 0; k < n; ++k)
            if (p[k] > 0) theta = std::max(theta, v[k] - p[k]);
        for (std::size_t k = 0; k < n; ++k) {
            RC_ASSERT(p[k] >= 0);
            RC_ASSERT((p[k] > 0 ? std::abs(v[k] - p[k] - theta) < 1e-12 : v[k] <= theta + 1e-12));
        }
    }));
    CHECK(through(solver::simplex_projection{}, {0.2, 0.5, 0.3}) == std::vector<double>{0.2, 0.5, 0.3});
    CHECK(through(solver::simplex_projection{}, {7.0, -1.0, 0.0}) == std::vector<double>{1, 0, 0});
    for (auto const value : through(solver::simplex_projection{}, {1.0, everywhere::nan, 0.0}))
        CHECK(std::isnan(value));
}

TEST_CASE("exponentiated gradient is the mirror step, and a gradient step on softmax logits") {
    CHECK(rc::check("w e^{-eta g} normalised; a constant in g changes nothing; zeros stay", [] {
        auto const n = *rc::gen::inRange<std::size_t>(2, 12);
        auto const numbers = rc::gen::map(rc::gen::inRange(-300, 300), [](int k) { return k / 100.0; });
        auto const logits = *rc::gen::container<std::vector<double>>(n, numbers);
        auto const g = *rc::gen::container<std::vector<double>>(n, numbers);
        auto w = logits;
        softmax(row(w), row(logits));
        auto const stepped = through(solver::exponentiated_gradient{.learning_rate = 0.7}, w, g);
        auto moved = logits;
        for (std::size_t k = 0; k < n; ++k) moved[k] -= 0.7 * g[k];
        softmax(row(moved), row(moved));
        for (std::size_t k = 0; k < n; ++k) RC_ASSERT(everywhere::close(stepped[k], moved[k], 1e-12));

        auto shifted = g;
        for (auto& value : shifted) value += 100;
        auto const same = through(solver::exponentiated_gradient{.learning_rate = 0.7}, w, shifted);
        for (std::size_t k = 0; k < n; ++k) RC_ASSERT(everywhere::close(stepped[k], same[k], 1e-11));

        w[0] = 0;
        RC_ASSERT(through(solver::exponentiated_gradient{.learning_rate = 0.7}, w, g)[0] == 0);
    }));
    // In logs, so that steps of any size stay finite.
    auto const far =
        through(solver::exponentiated_gradient{.learning_rate = 1.0}, {0.5, 0.5}, std::vector{-1000.0, 1000.0});
    CHECK(far == std::vector<double>{1, 0});
}

TEST_CASE("a projected gradient step is the projection of a gradient step") {
    auto const w = std::vector<double>{0.1, 0.6, 0.3}, g = std::vector<double>{1.0, -0.5, 2.0};
    auto moved = w;
    for (std::size_t k = 0; k < 3; ++k) moved[k] -= 0.2 * g[k];
    check_close(through(solver::projected_gradient{.learning_rate = 0.2}, w, g),
                through(solver::simplex_projection{}, moved), 1e-15);
}

TEST_CASE("simplex steps refuse rows of other lengths, which would be read beyond their end") {
    auto const w = std::vector{0.1, 0.6, 0.3};
    auto out = w;
    auto const rows = [](auto& values, std::size_t n) { return rows_of(values.data(), 1, n); };
    CHECK_THROWS_WITH_AS(
        for_each_row(execution::sequential{}, solver::exponentiated_gradient{}, rows(w, 3), rows(w, 2), rows(out, 3)),
        "exponentiated_gradient: argument 'gradient': expected 3, got 2", argument_error);
    CHECK_THROWS_WITH_AS(
        for_each_row(execution::sequential{}, solver::projected_gradient{}, rows(w, 2), rows(w, 2), rows(out, 3)),
        "projected_gradient: argument 'out': expected 2, got 3", argument_error);
    CHECK_THROWS_WITH_AS(for_each_row(execution::sequential{}, solver::simplex_projection{}, rows(w, 3), rows(out, 2)),
                         "simplex_projection: argument 'out': expected 3, got 2", argument_error);
    CHECK(out == w);
}

} // namespace
