#include "pld_problem.hpp"

/// Closed-form gradients and Hessians against dual numbers, and what they say about the loss.
using namespace pld_test;

namespace {

using number = dual<double>;

std::vector<number> as_duals(reals const& x, std::size_t direction) {
    auto result = std::vector<number>(x.begin(), x.end());
    if (direction < x.size()) result[direction].derivative = 1;
    return result;
}

/// d loss / d s_i, and d g_j / d s_i for every j.
struct slope {
    double loss;
    reals gradient;
};

template <class Kernel>
slope derivative(Kernel const& kernel, problem const& of, std::size_t direction) {
    auto const n = of.classes();
    auto const student = as_duals(of.student, direction), teacher = as_duals(of.teacher, n);
    auto loss = std::vector<number>(1), gradient = std::vector<number>(n);
    auto const labels = std::vector{of.label};
    for_each_row(execution::sequential{}, kernel, rows_of(student.data(), 1, n), rows_of(teacher.data(), 1, n), labels,
                 loss, rows_of(gradient.data(), 1, n));
    auto slopes = reals(n);
    std::ranges::transform(gradient, slopes.begin(), &number::derivative);
    return {loss[0].derivative, slopes};
}

reals kd_gradient(problem const& of, objective::knowledge_distillation const& kernel) {
    auto const n = of.classes();
    auto loss = reals(1), gradient = reals(n);
    for_each_row(execution::sequential{}, kernel, rows_of(of.student.data(), 1, n), rows_of(of.teacher.data(), 1, n),
                 std::vector{of.label}, loss, rows_of(gradient.data(), 1, n));
    return gradient;
}

/// Cross-entropy that is given a teacher and does not look at it.
struct cross_entropy_of_student {
    constexpr void operator()(row_of_reals auto student, row_of_reals auto, row_of_reals auto label,
                              writable_row auto loss, writable_row auto gradient) const {
        objective::cross_entropy{}(student, label, loss, gradient);
    }
};

double largest_weight(solution const& at) { return *std::ranges::max_element(at.weights); }

} // namespace

TEST_CASE("pld theorem 9: gradient and Hessian equal the derivatives of dual numbers") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        for_each_weighting(1.3, [&](auto weights) {
            auto const at = distil(of, weights);
            auto const H = hessian(of.student, at);
            auto const tolerance = 1e-11 * (1 + largest_weight(at));
            for (std::size_t i = 0; i < of.classes(); ++i) {
                auto const d = derivative(objective::plackett_luce_distillation<decltype(weights)>{weights}, of, i);
                RC_ASSERT(close(at.gradient[i], d.loss, tolerance));
                for (std::size_t j = 0; j < of.classes(); ++j)
                    RC_ASSERT(close(H(Eigen::Index(j), Eigen::Index(i)), d.gradient[j], tolerance));
            }
        });
    }));
}

TEST_CASE("pld: gradients of the baselines equal the derivatives of dual numbers") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        auto const alpha = *rc::gen::inRange(0, 11) / 10.0, temperature = *rc::gen::inRange(1, 50) / 10.0;
        auto const kd = objective::knowledge_distillation{.alpha = alpha, .temperature = temperature};
        auto const gradient = kd_gradient(of, kd);
        auto const ce = cross_entropy(of);
        for (std::size_t i = 0; i < of.classes(); ++i) {
            RC_ASSERT(close(gradient[i], derivative(kd, of, i).loss, 1e-11));
            RC_ASSERT(close(ce.gradient[i], derivative(cross_entropy_of_student{}, of, i).loss, 1e-12));
        }
        auto const label_only = kd_gradient(of, {.alpha = 1, .temperature = temperature});
        RC_ASSERT(close(label_only, ce.gradient, 1e-13));
    }));
}

TEST_CASE("pld theorem 1: convex, and strictly so up to a constant shift where all weights but the last are positive") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        for_each_weighting(1.0, [&](auto weights) {
            auto const at = distil(of, weights);
            auto const H = hessian(of.student, at);
            auto const scale = 1 + largest_weight(at);
            RC_ASSERT(H.isApprox(H.transpose(), 1e-15));
            RC_ASSERT(H.rowwise().sum().cwiseAbs().maxCoeff() <= 1e-13 * scale);
            auto const eigenvalues = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(H).eigenvalues().eval();
            RC_ASSERT(eigenvalues.minCoeff() >= -1e-13 * scale);
            auto const positive = std::all_of(at.weights.begin(), at.weights.end() - 1, [](auto w) { return w > 0; });
            // The smallest eigenvalue but the one of the shift: e^-8 of the scores times the least weight or so.
            if (positive && of.classes() > 1) RC_ASSERT(eigenvalues[1] > 1e-12);
        });
    }));
}

TEST_CASE("pld theorem 1: the loss between two students is at most the mean of theirs") {
    CHECK(rc::check([] {
        auto const a = draw_problem();
        auto b = a, between = a;
        b.student = draw_logits(a.classes());
        for (std::size_t k = 0; k < a.classes(); ++k) between.student[k] = (a.student[k] + b.student[k]) / 2;
        for_each_weighting(2.0, [&](auto weights) {
            auto const mean = (loss(a, weights) + loss(b, weights)) / 2;
            RC_ASSERT(loss(between, weights) <= mean * (1 + 1e-13) + 1e-13);
        });
    }));
}
