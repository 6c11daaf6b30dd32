#include "pld_problem.hpp"

/// The theorems of the sheet, as properties of random problems. The first two are in pld_derivatives_test.cpp, those on
/// draws in pld_draws_test.cpp.
using namespace pld_test;

TEST_CASE("pld theorem 2: shifts of the student or the teacher do not matter, and the gradient sums to 0") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        auto const shift = *rc::gen::inRange(-50, 51) * 0.37;
        for_each_weighting(1.7, [&](auto weights) {
            auto const at = distil(of, weights);
            auto const tolerance = 1e-12 * (1 + std::accumulate(at.weights.begin(), at.weights.end(), 0.0));
            auto moved = of;
            moved.student = transformed(of.student, [=](auto s) { return s + shift; });
            RC_ASSERT(close(loss(moved, weights), at.loss, 10 * tolerance));
            moved = of;
            // Logits are multiples of 1e-4, so a shift by whole numbers may create or break ties only by rounding.
            moved.teacher = transformed(of.teacher, [=](auto t) { return t + 0.125 * std::round(shift); });
            if (distil(moved, weights).permutation == at.permutation)
                RC_ASSERT(close(loss(moved, weights), at.loss, 10 * tolerance));
            RC_ASSERT(std::abs(std::accumulate(at.gradient.begin(), at.gradient.end(), 0.0)) <= tolerance);
        });
    }));
}

TEST_CASE("pld theorem 3: weighted cross-entropy is the first term and gives the label's gradient") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        auto const at = distil(of);
        auto const ce = cross_entropy(of);
        RC_ASSERT(at.loss >= at.weights[0] * ce.loss - 1e-13);
        RC_ASSERT(close(at.gradient[of.label], at.weights[0] * ce.gradient[of.label], 1e-13));
        RC_ASSERT(at.gradient[of.label] <= 0);
    }));
}

TEST_CASE("pld theorem 4: cross-entropy, ListMLE and a certain teacher as special cases") {
    CHECK(rc::check([] {
        auto of = draw_problem();
        auto const n = static_cast<double>(of.classes());
        auto const ce = cross_entropy(of);
        auto const first = distil(of, ranking::first_only{});
        RC_ASSERT(close(first.loss, ce.loss, 1e-13));
        RC_ASSERT(close(first.gradient, ce.gradient, 1e-13));
        auto const uniform = distil(of, ranking::uniform{});
        RC_ASSERT(close(n * uniform.loss, -log_probability(of.student, uniform.permutation), 1e-12));
        of.teacher[of.label] = 800;
        auto const certain = distil(of);
        RC_ASSERT(close(certain.loss, ce.loss, 1e-13));
        RC_ASSERT(close(certain.gradient, ce.gradient, 1e-13));
    }));
}

TEST_CASE("pld theorem 5: probabilities of all rankings sum to 1 and the teacher-optimal one is the likeliest") {
    CHECK(rc::check([] {
        auto const scores = draw_logits(5);
        auto const label = *rc::gen::inRange(std::size_t{0}, std::size_t{5});
        auto const optimal = distil({scores, scores, label}).permutation;
        auto const best = log_probability(scores, optimal);
        auto order = reals{0, 1, 2, 3, 4};
        auto total = 0.0;
        do {
            auto const log_p = log_probability(scores, order);
            total += std::exp(log_p);
            if (order[0] == static_cast<double>(label)) RC_ASSERT(log_p <= best + 1e-12);
        } while (std::ranges::next_permutation(order).found);
        RC_ASSERT(close(total, 1, 1e-12));
    }));
}

TEST_CASE("pld theorem 6: the infimum 0 is approached and not attained") {
    CHECK(rc::check([] {
        auto of = draw_problem(2);
        auto const permutation = distil(of).permutation;
        auto before = std::numeric_limits<double>::infinity();
        for (auto scale : {0.0, 1.0, 4.0, 16.0, 100.0}) {
            for (std::size_t k = 0; k < of.classes(); ++k)
                of.student[static_cast<std::size_t>(permutation[k])] = -scale * static_cast<double>(k);
            auto const here = loss(of);
            if (scale <= 16) RC_ASSERT(here > 0);
            RC_ASSERT(here < before);
            before = here;
        }
        RC_ASSERT(before >= 0);
        RC_ASSERT(before < 1e-40);
    }));
}

TEST_CASE("pld theorem 7: relabelling the classes relabels the gradient") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        auto distinct = of.teacher;
        std::ranges::sort(distinct);
        RC_PRE(std::ranges::adjacent_find(distinct) == distinct.end());
        auto const to = draw_permutation(of.classes());
        auto renamed = of;
        renamed.label = to[of.label];
        for (std::size_t k = 0; k < of.classes(); ++k) {
            renamed.student[to[k]] = of.student[k];
            renamed.teacher[to[k]] = of.teacher[k];
        }
        auto const at = distil(of), there = distil(renamed);
        RC_ASSERT(close(there.loss, at.loss, 1e-13));
        for (std::size_t k = 0; k < of.classes(); ++k) {
            RC_ASSERT(close(there.gradient[to[k]], at.gradient[k], 1e-13));
            RC_ASSERT(there.permutation[k] == static_cast<double>(to[static_cast<std::size_t>(at.permutation[k])]));
        }
    }));
}

TEST_CASE("pld theorem 8: the loss lies between 0 and the bound, which equal scores attain without their range") {
    CHECK(rc::check([] {
        auto of = draw_problem();
        for_each_weighting(0.8, [&](auto weights) {
            auto const at = distil(of, weights);
            auto const entropy = [&](double more) {
                auto total = 0.0;
                for (std::size_t k = 0; k < of.classes(); ++k)
                    total += at.weights[k] * (std::log(static_cast<double>(of.classes() - k)) + more);
                return total;
            };
            RC_ASSERT(at.loss >= 0);
            RC_ASSERT(at.loss <= entropy(range(of.student)) * (1 + 1e-12));
            auto flat = of;
            flat.student.assign(of.classes(), of.student[0]);
            RC_ASSERT(close(loss(flat, weights), entropy(0), 1e-12));
        });
    }));
}

TEST_CASE("pld theorem 11: only the teacher's order matters to weights that do not use it") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        auto mapped = of;
        mapped.teacher = transformed(of.teacher, [](auto t) { return t * t * t + 2 * t; });
        auto const check = [&](auto weights) {
            auto const a = distil(of, weights), b = distil(mapped, weights);
            RC_ASSERT(a.loss == b.loss);
            RC_ASSERT(a.gradient == b.gradient);
        };
        check(ranking::uniform{});
        check(ranking::first_only{});
        check(ranking::exponential{});
        check(ranking::normalized_exponential{});
    }));
}

TEST_CASE("pld theorem 11: a hot teacher weighs all steps alike, a cold one only its own choice") {
    CHECK(rc::check([] {
        auto const of = draw_problem();
        auto const n = static_cast<double>(of.classes());
        auto const hot = distil(of, ranking::teacher_softmax{.temperature = 1e9});
        RC_ASSERT(close(hot.loss, loss(of, ranking::uniform{}), 1e-7));
        for (auto w : hot.weights) RC_ASSERT(close(w, 1 / n, 1e-7));
        auto const cold = distil(of, ranking::teacher_softmax{.temperature = 1e-9});
        auto const top = *std::ranges::max_element(of.teacher);
        auto const ties = static_cast<double>(std::ranges::count(of.teacher, top));
        for (std::size_t k = 0; k < of.classes(); ++k) {
            auto const chosen = of.teacher[static_cast<std::size_t>(cold.permutation[k])];
            RC_ASSERT(close(cold.weights[k], chosen == top ? 1 / ties : 0, 1e-12));
        }
    }));
}

TEST_CASE("pld: exponential weights normalised are the exponential weights over their sum") {
    CHECK(rc::check([] {
        auto const of = draw_problem(2, 30);
        auto const golden_form = distil(of, ranking::exponential{}).weights;
        auto const normalised = distil(of, ranking::normalized_exponential{}).weights;
        auto const total = std::accumulate(golden_form.begin(), golden_form.end(), 0.0);
        for (std::size_t k = 0; k < of.classes(); ++k) RC_ASSERT(close(normalised[k], golden_form[k] / total, 1e-14));
    }));
    for (auto n : {127, 128, 1000, 1024, 5000}) { // where the golden form overflows
        auto weights = std::vector<float>(static_cast<std::size_t>(n)), teacher = weights;
        for_each_row(execution::sequential{}, ranking::normalized_exponential{},
                     rows_of(teacher.data(), 1, teacher.size()), rows_of(weights.data(), 1, weights.size()));
        CHECK(std::accumulate(weights.begin(), weights.end(), 0.0) == doctest::Approx(1).epsilon(1e-6));
        CHECK(weights[0] == doctest::Approx(0.5).epsilon(1e-6));
    }
}

TEST_CASE("pld: a ranking of two items is the Bradley-Terry preference, as in DPO") {
    CHECK(rc::check([] {
        auto const of = draw_problem(2, 2);
        auto const margin = of.student[of.label] - of.student[1 - of.label];
        RC_ASSERT(close(loss(of, ranking::first_only{}), -math::log_sigmoid(margin), 1e-13));
    }));
}
