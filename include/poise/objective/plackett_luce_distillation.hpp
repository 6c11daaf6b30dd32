#pragma once

#include "poise/objective/distillation.hpp"
#include "poise/objective/plackett_luce.hpp"
#include "poise/weighting/ranking_weights.hpp"

namespace poise::objective {

/// Weights of the steps of a ranking, from the teacher's logits in ranking order: see weighting/ranking_weights.hpp.
template <class W>
concept ranking_weighting = row_kernel<W, row<double const>, row<double>>;

/// order = the teacher-optimal permutation: the label first, the other classes by descending teacher logit, ties by
/// index. `scratch` holds argsort_scratch + 1 rows.
constexpr void teacher_optimal_order(writable_row auto order, row_of_reals auto teacher, row_of_reals auto label,
                                     auto const& scratch) {
    using T = value_of<decltype(order)>;
    auto const keys = scratch[argsort_scratch];
    auto const y = label[0];
    map(
        keys, [=](auto t, auto k) { return math::select(k == y, T(math::infinity<T>), t); }, teacher,
        indices_of(teacher));
    argsort(order, keys, descending{}, scratch);
}

/// Kernel: Plackett-Luce distillation (slug pld: "PLD: a choice-theoretic list-wise knowledge distillation", 2025,
/// arXiv 2506.12542, sections 3 to 5), (student, teacher, label) -> loss, gradient [, permutation, weights]. The
/// student's weighted Plackett-Luce negative log-likelihood of one ranking, the teacher-optimal permutation pi,
///     loss = sum_k alpha_k (log sum_{l>=k} e^{s_{pi_l}} - s_{pi_k}),    alpha_k = softmax(teacher /
///     temperature)_{pi_k},
/// or with other weights of the steps. The gradient is with respect to the student's logits, in class order; none flows
/// to the teacher. One sort, so O(C log C). C = 1 gives 0; a NaN student gives NaN.
template <ranking_weighting Weights = weighting::ranking::teacher_softmax>
struct plackett_luce_distillation {
    [[no_unique_address]] Weights weights{};

    static constexpr std::size_t scratch_rows = argsort_scratch + 3;
    static constexpr std::array<char const*, 7> argument_names = {"student",  "teacher",     "label",  "loss",
                                                                  "gradient", "permutation", "weights"};

    constexpr void operator()(row_of_reals auto student, row_of_reals auto teacher, row_of_reals auto label,
                              writable_row auto loss, writable_row auto gradient, auto const& scratch) const {
        (*this)(student, teacher, label, loss, gradient, scratch[argsort_scratch + 1], scratch[argsort_scratch + 2],
                scratch);
    }

    constexpr void operator()(row_of_reals auto student, row_of_reals auto teacher, row_of_reals auto label,
                              writable_row auto loss, writable_row auto gradient, writable_row auto permutation,
                              writable_row auto alpha, auto const& scratch) const {
        teacher_optimal_order(permutation, teacher, label, scratch);
        auto const ranked_student = scratch[2], ranked_gradient = scratch[3], ranked_teacher = scratch[4];
        gather(ranked_student, student, permutation);
        gather(ranked_teacher, teacher, permutation);
        weights(ranked_teacher, alpha);
        loss[0] = ranked_plackett_luce(ranked_student, alpha, ranked_gradient, scratch);
        scatter(gradient, ranked_gradient, permutation);
    }

    constexpr void check(auto const& student, auto const& teacher, auto const& label, auto const& loss,
                         auto const& gradient) const {
        detail::check_labels("plackett_luce_distillation", student, label);
        detail::check_teacher("plackett_luce_distillation", student, teacher);
        detail::check_outputs("plackett_luce_distillation", student, loss, gradient);
        if constexpr (requires { weights.check(teacher, gradient); }) weights.check(teacher, gradient);
    }

    constexpr void check(auto const& student, auto const& teacher, auto const& label, auto const& loss,
                         auto const& gradient, auto const& permutation, auto const& alpha) const {
        check(student, teacher, label, loss, gradient);
        for (std::size_t i = 0; i < student.rows(); ++i) {
            auto const n = student.length(i);
            require(permutation.length(i) == n, "plackett_luce_distillation", "permutation", n, permutation.length(i));
            require(alpha.length(i) == n, "plackett_luce_distillation", "weights", n, alpha.length(i));
        }
    }
};

} // namespace poise::objective
