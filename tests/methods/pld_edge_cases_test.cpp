#include "pld_problem.hpp"

#include "poise/execution/parallel.hpp"

#include <random>

/// What the sheet says of the edges, every execution against the sequential one, and the messages of the checks.
using namespace pld_test;

namespace {

constexpr auto not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr auto inf = std::numeric_limits<double>::infinity();

template <class Function>
std::string message_of(Function const& f) {
    try {
        f();
    } catch (std::domain_error const& error) {
        return error.what();
    } catch (std::invalid_argument const& error) {
        return error.what();
    }
    return "nothing was thrown";
}

bool all_finite(reals const& x) {
    return std::ranges::all_of(x, [](auto v) { return std::isfinite(v); });
}

/// A batch of random problems, and its losses and gradients in one execution.
template <class T>
struct batch_of_problems {
    std::size_t rows, classes;
    std::vector<T> student, teacher;
    std::vector<int> labels;

    batch_of_problems(std::size_t m, std::size_t n) : rows(m), classes(n), student(m * n), teacher(m * n), labels(m) {
        auto draw = std::mt19937{7};
        auto normal = std::normal_distribution<double>{0, 3};
        for (auto& s : student) s = T(normal(draw));
        for (auto& t : teacher) t = T(std::round(8 * normal(draw)) / 8); // with ties
        for (auto& y : labels) y = static_cast<int>(draw() % n);
    }

    template <class Kernel, class Execution>
    std::vector<T> operator()(Kernel const& kernel, Execution const& execution, bool by_column = false) const {
        auto loss = std::vector<T>(rows), gradient = std::vector<T>(rows * classes);
        if (by_column) {
            auto const turned = [&](std::vector<T> const& x) {
                auto result = x;
                for (std::size_t i = 0; i < rows; ++i)
                    for (std::size_t k = 0; k < classes; ++k) result[k * rows + i] = x[i * classes + k];
                return result;
            };
            auto const s = turned(student), t = turned(teacher);
            auto columns = std::vector<T>(rows * classes);
            for_each_row(execution, kernel, interleaved_rows_of(s.data(), rows, classes),
                         interleaved_rows_of(t.data(), rows, classes), labels, loss,
                         interleaved_rows_of(columns.data(), rows, classes));
            for (std::size_t i = 0; i < rows; ++i)
                for (std::size_t k = 0; k < classes; ++k) gradient[i * classes + k] = columns[k * rows + i];
        } else {
            for_each_row(execution, kernel, rows_of(student.data(), rows, classes),
                         rows_of(teacher.data(), rows, classes), labels, loss, rows_of(gradient.data(), rows, classes));
        }
        gradient.insert(gradient.end(), loss.begin(), loss.end());
        return gradient;
    }
};

template <class T>
bool equal_within(std::vector<T> const& a, std::vector<T> const& b, double tolerance) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [=](auto x, auto y) { return close(double(x), double(y), tolerance); });
}

template <class T, class Kernel>
void check_executions(Kernel const& kernel, double tolerance) {
    for (auto [m, n] : {std::pair{1, 1}, {5, 2}, {33, 10}, {70, 63}, {9, 64}, {7, 333}, {3, 5000}}) {
        auto const of = batch_of_problems<T>(std::size_t(m), std::size_t(n));
        auto const expected = of(kernel, execution::sequential{});
        CAPTURE(n);
        CHECK(equal_within(of(kernel, execution::along{}), expected, tolerance));
        CHECK(equal_within(of(kernel, execution::parallel<execution::along>{.chunk_rows = 2}), expected, tolerance));
        if (n > 400) continue; // a sorting network of that length is no use
        CHECK(equal_within(of(kernel, execution::in_lanes{}), expected, tolerance));
        CHECK(equal_within(of(kernel, execution::simd{}, true), expected, tolerance));
        CHECK(equal_within(of(kernel, execution::parallel<>{}, true), expected, tolerance));
    }
}

} // namespace

TEST_CASE("pld: every execution gives the same losses and gradients") {
    auto const distillation = objective::plackett_luce_distillation{ranking::teacher_softmax{.temperature = 2}};
    check_executions<double>(distillation, 1e-11);
    check_executions<float>(distillation, 1e-4); // sums over up to 5000 steps in float
    check_executions<double>(objective::plackett_luce_distillation<ranking::uniform>{}, 1e-11);
    check_executions<double>(objective::plackett_luce_distillation<ranking::first_only>{}, 1e-11);
    check_executions<double>(objective::plackett_luce_distillation<ranking::normalized_exponential>{}, 1e-11);
    check_executions<double>(objective::knowledge_distillation{}, 1e-11);
    check_executions<float>(objective::knowledge_distillation{}, 1e-4);
}

TEST_CASE("pld: float agrees with double") {
    auto const of = batch_of_problems<double>(20, 200);
    auto narrow = batch_of_problems<float>(20, 200);
    for (std::size_t k = 0; k < of.student.size(); ++k) narrow.student[k] = float(of.student[k]);
    auto const kernel = objective::plackett_luce_distillation{};
    auto const expected = of(kernel, execution::sequential{});
    auto const found = narrow(kernel, execution::along{});
    CHECK(equal_within(reals(found.begin(), found.end()), expected, 3e-5));
}

TEST_CASE("pld: one class has no loss and no gradient") {
    for_each_weighting(1.0, [](auto weights) {
        auto const at = distil({{3.7}, {-2}, 0}, weights);
        CHECK(at.loss == 0);
        CHECK(at.gradient == reals{0});
    });
}

TEST_CASE("pld: logits of 1000 and -1000 stay finite") {
    auto const student = reals{1000, -1000, 0, 999, -1000, 1000};
    for_each_weighting(1.0, [&](auto weights) {
        for (std::size_t label = 0; label < student.size(); ++label) {
            auto const of = problem{student, {-5, 3, 0.5, 2, 900, -900}, label};
            auto const at = distil(of, weights);
            CHECK(std::isfinite(at.loss));
            CHECK(all_finite(at.gradient));
            CHECK(std::abs(std::accumulate(at.gradient.begin(), at.gradient.end(), 0.0)) < 1e-11);
            auto const along = distil<execution::along>(of, weights);
            CHECK(close(along.loss, at.loss, 1e-12));
            CHECK(close(along.gradient, at.gradient, 1e-12));
        }
    });
    // The last of the ranking is chosen from itself alone, however far below the rest it lies.
    auto const last = distil({{1000, 0, -1000}, {0, 0, 0}, 0}, ranking::uniform{});
    CHECK(last.loss == 0);
}

TEST_CASE("pld: ties of the teacher go by index, and the label is first even if the teacher ranks it last") {
    CHECK(distil({{1, 2, 3, 4}, {5, 7, 7, 5}, 0}).permutation == reals{0, 1, 2, 3});
    CHECK(distil({{1, 2, 3, 4}, {5, 7, 7, 5}, 3}).permutation == reals{3, 1, 2, 0});
    CHECK(distil({{1, 2, 3, 4}, {9, 8, 7, -100}, 3}).permutation == reals{3, 0, 1, 2});
    CHECK(distil({{1, 2, 3, 4}, {0.0, -0.0, 0.0, -0.0}, 2}).permutation == reals{2, 0, 1, 3});
    auto const flat = problem{{1, -2, 0.5, 3}, {4, 4, 4, 4}, 1}; // no preference: ListMLE / C in the order of indices
    CHECK(distil(flat).loss == doctest::Approx(loss(flat, ranking::uniform{})).epsilon(1e-14));
}

TEST_CASE("pld: the weights of a very confident teacher underflow to 0") {
    auto const at = distil({{1, -2, 0.5}, {5000, 0, -5000}, 1});
    CHECK(at.weights == reals{0, 1, 0});
    CHECK(at.loss == doctest::Approx(std::log1p(std::exp(-0.5))));
    CHECK(at.gradient[1] == 0); // the label's step has no weight
    CHECK(at.gradient[0] == doctest::Approx(-1 / (1 + std::exp(0.5))));
    auto const H = hessian({1, -2, 0.5}, at);
    CHECK(H.row(1).isZero());
    CHECK(H.allFinite());
}

TEST_CASE("pld: a NaN among the student's logits makes its loss and gradient NaN, and no other row's") {
    auto const n = std::size_t{70};
    for (auto where : {std::size_t{0}, std::size_t{31}, n - 1}) {
        auto student = reals(2 * n, 0.25), teacher = reals(2 * n), loss = reals(2), gradient = reals(2 * n);
        for (std::size_t k = 0; k < 2 * n; ++k) teacher[k] = double(k % 9);
        student[where] = not_a_number;
        auto const check = [&](auto execution) {
            for_each_row(execution, objective::plackett_luce_distillation{}, rows_of(student.data(), 2, n),
                         rows_of(teacher.data(), 2, n), std::vector{3, 3}, loss, rows_of(gradient.data(), 2, n));
            CHECK(std::isnan(loss[0]));
            CHECK(std::all_of(gradient.begin(), gradient.begin() + std::ptrdiff_t(n),
                              [](auto g) { return std::isnan(g); }));
            CHECK(std::isfinite(loss[1]));
            CHECK(all_finite(reals(gradient.begin() + std::ptrdiff_t(n), gradient.end())));
        };
        check(execution::sequential{});
        check(execution::in_lanes{});
        check(execution::along{});
    }
}

TEST_CASE("pld: what cannot be used is refused, by name") {
    auto const good = problem{{1, 2, 3}, {3, 2, 1}, 0};
    auto const with = [&](auto change) {
        auto bad = good;
        change(bad);
        return message_of([&] { distil(bad); });
    };
    CHECK(with([](auto& p) { p.label = 3; }) ==
          "plackett_luce_distillation: argument 'label': expected a class from 0 to 2, got 3");
    for (auto value : {inf, -inf, not_a_number})
        CHECK(with([=](auto& p) {
                  p.teacher[1] = value;
              }).starts_with("plackett_luce_distillation: argument 'teacher': expected finite logits, got "));
    for (auto temperature : {0.0, -1.0, not_a_number, inf})
        CHECK(message_of([&] {
                  distil(good, ranking::teacher_softmax{.temperature = temperature});
              }).starts_with("teacher_softmax: argument 'temperature': expected a positive finite number, got "));

    auto const x = reals{1, 2, 3};
    auto loss = reals(1), gradient = reals(3);
    auto const of_length = [](auto& values, std::size_t n) { return rows_of(values.data(), 1, n); };
    auto const kernel = objective::plackett_luce_distillation{};
    auto const run = [&](auto const& label, std::size_t teacher, std::size_t out) {
        return message_of([&] {
            for_each_row(execution::sequential{}, kernel, of_length(x, 3), of_length(x, teacher), label, loss,
                         of_length(gradient, out));
        });
    };
    CHECK(run(std::vector{-1}, 3, 3) ==
          "plackett_luce_distillation: argument 'label': expected a class from 0 to 2, got -1");
    CHECK(run(reals{0.5}, 3, 3) ==
          "plackett_luce_distillation: argument 'label': expected a class from 0 to 2, got 0.5");
    CHECK(run(reals{not_a_number}, 3, 3) ==
          "plackett_luce_distillation: argument 'label': expected a class from 0 to 2, got nan");
    CHECK(run(std::vector{1}, 2, 3) == "plackett_luce_distillation: argument 'teacher': expected 3, got 2");
    CHECK(run(std::vector{1}, 3, 2) == "plackett_luce_distillation: argument 'gradient': expected 3, got 2");
    CHECK(run(std::vector{1, 2}, 3, 3) == "for_each_row: argument 'label': expected 1 rows, got 2");

    auto const weighted = [&](reals const& permutation, reals const& weights) {
        return message_of([&] {
            for_each_row(execution::sequential{}, objective::plackett_luce{}, of_length(x, 3),
                         of_length(permutation, permutation.size()), of_length(weights, weights.size()), loss,
                         of_length(gradient, 3));
        });
    };
    CHECK(gradient == reals(3)); // nothing has been written
    CHECK(weighted({2, 0, 1}, {1, 0, 0.5}) == "nothing was thrown");
    CHECK(weighted({2, 0, 1}, {1, -0.25, 0}) ==
          "plackett_luce: argument 'weights': expected numbers not below 0, got -0.25");
    CHECK(weighted({2, 0, 1}, {1, not_a_number, 0}) ==
          "plackett_luce: argument 'weights': expected numbers not below 0, got nan");
    CHECK(weighted({2, 0}, {1, 0, 0}) == "plackett_luce: argument 'permutation': expected 3, got 2");
    CHECK(weighted({2, 0, 2}, {1, 0, 0}) ==
          "plackett_luce: argument 'permutation': expected every index below its length exactly once, got 2");
    CHECK(weighted({0, 1, 3}, {1, 0, 0}) ==
          "plackett_luce: argument 'permutation': expected every index below its length exactly once, got 3");

    // Every row is looked at, also where the scores are shared.
    auto const labels = std::vector{0, 3};
    auto losses = reals(2), gradients = reals(6);
    CHECK(message_of([&] {
              for_each_row(execution::sequential{}, kernel, shared_row(x), shared_row(x), labels, losses,
                           rows_of(gradients.data(), 2, 3));
          }) == "plackett_luce_distillation: argument 'label': expected a class from 0 to 2, got 3");
    auto const order = reals{0, 1, 2, 2, 1, 0}, weights = reals{1, 1, 1, 1, -0.5, 1};
    CHECK(message_of([&] {
              for_each_row(execution::sequential{}, objective::plackett_luce{}, shared_row(x),
                           rows_of(order.data(), 2, 3), rows_of(weights.data(), 2, 3), losses,
                           rows_of(gradients.data(), 2, 3));
          }) == "plackett_luce: argument 'weights': expected numbers not below 0, got -0.5");

    auto const kd = [&](double alpha, double temperature) {
        return message_of([&] {
            for_each_row(execution::sequential{}, objective::knowledge_distillation{alpha, temperature},
                         of_length(x, 3), of_length(x, 3), std::vector{1}, loss, of_length(gradient, 3));
        });
    };
    CHECK(kd(1.5, 2) == "knowledge_distillation: argument 'alpha': expected a weight in [0, 1], got 1.5");
    CHECK(kd(0.1, 0) == "knowledge_distillation: argument 'temperature': expected a positive finite number, got 0");
}
