#pragma once

#include "poise/core/verbs.hpp"
#include "poise/execution/row_kernel.hpp"

#include <array>

/// Losses of a classifier's logits: cross-entropy with a label, and Hinton's knowledge distillation.
namespace poise::objective {

namespace detail {

constexpr void check_labels(char const* function, auto const& student, auto const& label) {
    auto const rows = poise::detail::checked_rows<void>(student, label); // one may be shared
    for (std::size_t i = 0; i < rows; ++i) {
        auto const n = student.length(i);
        require(n > 0, function, "student", "at least one class", n);
        require(label.length(i) == 1, function, "label", 1, label.length(i));
        auto const value = label(i, 0);
        auto const in_range = value >= 0 && value < static_cast<decltype(value)>(n);
        if (!in_range || static_cast<decltype(value)>(static_cast<std::size_t>(value)) != value) // text is not free
            require_domain(false, function, "label", "a class from 0 to " + std::to_string(n - 1), value);
    }
}

constexpr void check_teacher(char const* function, auto const& student, auto const& teacher) {
    auto const rows = poise::detail::checked_rows<void>(student, teacher);
    for (std::size_t i = 0; i < rows; ++i) {
        require(teacher.length(i) == student.length(i), function, "teacher", student.length(i), teacher.length(i));
        for (std::size_t k = 0; k < teacher.length(i); ++k)
            require_domain(math::isfinite(teacher(i, k)), function, "teacher", "finite logits", teacher(i, k));
    }
}

constexpr void check_outputs(char const* function, auto const& student, auto const& loss, auto const& gradient) {
    for (std::size_t i = 0; i < student.rows(); ++i) {
        require(loss.length(i) == 1, function, "loss", 1, loss.length(i));
        require(gradient.length(i) == student.length(i), function, "gradient", student.length(i), gradient.length(i));
    }
}

} // namespace detail

/// Kernel: cross-entropy, (student, label) -> loss, gradient with
///     loss = log sum_k e^{s_k} - s_y,    g = softmax(s) - e_y.
struct cross_entropy {
    static constexpr std::array<char const*, 4> argument_names = {"student", "label", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto student, row_of_reals auto label, writable_row auto loss,
                              writable_row auto gradient) const {
        using T = value_of<decltype(student)>;
        auto const y = label[0];
        auto const classes = indices_of(student);
        log_softmax(gradient, student);
        loss[0] = -sum([=](auto l, auto k) { return math::select(k == y, l, T(0)); }, gradient, classes);
        map(
            gradient, [=](auto l, auto k) { return math::exp(l) - math::select(k == y, T(1), T(0)); }, gradient,
            classes);
    }

    constexpr void check(auto const& student, auto const& label, auto const& loss, auto const& gradient) const {
        detail::check_labels("cross_entropy", student, label);
        detail::check_outputs("cross_entropy", student, loss, gradient);
    }
};

/// Kernel: knowledge distillation (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015; the
/// baseline of slug pld), (student, teacher, label) -> loss, gradient with
///     loss = alpha CE(s, y) + (1 - alpha) tau^2 KL(softmax(t / tau) || softmax(s / tau)),
///     g    = alpha (softmax(s) - e_y) + (1 - alpha) tau (softmax(s / tau) - softmax(t / tau)).
/// alpha = 1 is `cross_entropy`.
struct knowledge_distillation {
    double alpha = 0.1; ///< of the label's cross-entropy
    double temperature = 2;

    static constexpr std::size_t scratch_rows = 3;
    static constexpr std::array<char const*, 5> argument_names = {"student", "teacher", "label", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto student, row_of_reals auto teacher, row_of_reals auto label,
                              writable_row auto loss, writable_row auto gradient, auto const& scratch) const {
        using T = value_of<decltype(student)>;
        auto const tau = T(real_of<T>(temperature)), a = T(real_of<T>(alpha)), b = T(real_of<T>(1 - alpha)) * tau;
        auto const y = label[0];
        auto const classes = indices_of(student);
        auto const hard = scratch[0], log_p = scratch[1], log_q = scratch[2];
        auto const soften = [=](auto out, auto logits) {
            map(out, [=](auto l) { return l / tau; }, logits);
            log_softmax(out, out);
        };
        log_softmax(hard, student);
        soften(log_p, teacher);
        soften(log_q, student);
        auto const label_term = -sum([=](auto l, auto k) { return math::select(k == y, l, T(0)); }, hard, classes);
        auto const divergence = sum([](auto p, auto q) { return math::exp(p) * (p - q); }, log_p, log_q);
        loss[0] = a * label_term + b * tau * divergence;
        map(
            gradient,
            [=](auto h, auto p, auto q, auto k) {
                return a * (math::exp(h) - math::select(k == y, T(1), T(0))) + b * (math::exp(q) - math::exp(p));
            },
            hard, log_p, log_q, classes);
    }

    constexpr void check(auto const& student, auto const& teacher, auto const& label, auto const& loss,
                         auto const& gradient) const {
        require_domain(alpha >= 0 && alpha <= 1, "knowledge_distillation", "alpha", "a weight in [0, 1]", alpha);
        require_domain(temperature > 0 && math::isfinite(temperature), "knowledge_distillation", "temperature",
                       "a positive finite number", temperature);
        detail::check_labels("knowledge_distillation", student, label);
        detail::check_teacher("knowledge_distillation", student, teacher);
        detail::check_outputs("knowledge_distillation", student, loss, gradient);
    }
};

} // namespace poise::objective
