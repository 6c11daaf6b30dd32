#include <poise/execution/simd.hpp>
#include <poise/objective/plackett_luce_distillation.hpp>

#include <cstdio>
#include <vector>

/// Two images, four classes: how far the student is from the teacher's ranking, and which way its logits should move.
int main() {
    auto const student = std::vector{0.2F, 1.5F, -0.3F, 0.1F, 2.0F, -1.0F, 0.4F, 0.0F};
    auto const teacher = std::vector{4.0F, 1.0F, 0.5F, -2.0F, 1.0F, 0.0F, 3.0F, 0.5F};
    auto const labels = std::vector{0, 0}; // the second teacher is wrong: the label comes first all the same
    auto losses = std::vector<float>(2), gradient = std::vector<float>(8);

    auto const kernel =
        poise::objective::plackett_luce_distillation{poise::weighting::ranking::teacher_softmax{.temperature = 2}};
    poise::for_each_row(poise::execution::simd{}, kernel, poise::rows_of(student.data(), 2, 4),
                        poise::rows_of(teacher.data(), 2, 4), labels, losses, poise::rows_of(gradient.data(), 2, 4));

    for (std::size_t i = 0; i < 2; ++i)
        std::printf("loss %.4f, gradient %+.4f %+.4f %+.4f %+.4f\n", losses[i], gradient[4 * i], gradient[4 * i + 1],
                    gradient[4 * i + 2], gradient[4 * i + 3]);
}
