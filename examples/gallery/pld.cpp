#include "pld_method.hpp"

#include "poise/execution/simd.hpp"
#include "poise/interop/eigen.hpp"
#include "poise/objective/plackett_luce_distillation.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/optimizer.hpp"

#include <Eigen/Dense>

#include <array>
#include <cmath>

namespace {

using namespace poise;
namespace ranking = weighting::ranking;

constexpr auto classes = Eigen::Index{12}, features = Eigen::Index{10};

using samples = Eigen::Matrix<double, Eigen::Dynamic, features + 1>; // the last column is 1, for the bias
using logits = Eigen::Matrix<double, Eigen::Dynamic, classes>;
using parameters = Eigen::Matrix<double, features + 1, classes>;

/// Standard normal numbers one after another.
class normals {
public:
    normals(std::size_t seed, std::uint32_t what) : draws_{.seed = seed, .replica = what} {}
    double operator()() { return random::normal<double>(draws_.at(next_++)); }
    Eigen::MatrixXd operator()(Eigen::Index rows, Eigen::Index columns) {
        return Eigen::MatrixXd::NullaryExpr(rows, columns, [this](auto, auto) { return (*this)(); });
    }

private:
    random::generator draws_;
    std::uint32_t next_ = 0;
};

struct labelled {
    samples x;
    std::vector<double> label;
};

/// Twelve Gaussian classes about four super-means, each with a variance of its own.
struct mixture {
    Eigen::Matrix<double, classes, features> mean;
    Eigen::Array<double, 1, classes> variance;

    explicit mixture(std::size_t seed) {
        auto normal = normals(seed, 0);
        auto const centres = (1.6 * normal(4, features)).eval();
        for (Eigen::Index c = 0; c < classes; ++c) mean.row(c) = centres.row(c / 3) + 0.8 * normal(1, features);
        for (auto& v : variance) v = std::exp(0.25 * normal());
    }

    labelled draw(std::size_t seed, std::uint32_t what, Eigen::Index count) const {
        auto normal = normals(seed, what);
        auto const which = random::generator{.seed = seed, .replica = what + 100};
        auto result = labelled{samples::Ones(count, features + 1), {}};
        for (Eigen::Index i = 0; i < count; ++i) {
            auto const c = static_cast<Eigen::Index>(random::uniform_integer(which.at(i), classes));
            result.x.row(i).head<features>() = mean.row(c) + std::sqrt(variance[c]) * normal(1, features);
            result.label.push_back(static_cast<double>(c));
        }
        return result;
    }

    /// Up to a constant per sample.
    logits log_posterior(samples const& x) const {
        auto result = logits(x.rows(), classes);
        for (Eigen::Index c = 0; c < classes; ++c)
            result.col(c) =
                -(x.leftCols<features>().rowwise() - mean.row(c)).rowwise().squaredNorm() / (2 * variance[c]) -
                Eigen::VectorXd::Constant(x.rows(), features / 2.0 * std::log(variance[c]));
        return result;
    }
};

double accuracy(logits const& scores, std::vector<double> const& label) {
    auto right = 0.0;
    for (Eigen::Index i = 0; i < scores.rows(); ++i) {
        auto best = Eigen::Index{0};
        scores.row(i).maxCoeff(&best);
        right += static_cast<double>(best) == label[static_cast<std::size_t>(i)];
    }
    return right / static_cast<double>(scores.rows());
}

/// A linear softmax student, trained by the whole batch on `objective(scores, losses, gradient)`.
template <class Objective>
double train_and_test(Objective const& objective, labelled const& train, labelled const& test) {
    parameters W = parameters::Zero(), mean_gradient = W;
    auto const n = train.x.rows();
    auto scores = logits(n, classes), gradient = scores;
    auto losses = std::vector<double>(static_cast<std::size_t>(n));
    auto const flat = [](auto& matrix) { return row(matrix.data(), static_cast<std::size_t>(matrix.size())); };
    auto descent =
        solver::optimizer(solver::momentum{.learning_rate = 0.1, .decay = 0.9, .weight_decay = 1e-3}, flat(W));
    for (auto step = 0; step < 600; ++step) {
        scores.noalias() = train.x * W;
        objective(scores, losses, gradient);
        mean_gradient.noalias() = train.x.transpose() * gradient / static_cast<double>(n);
        descent.step(flat(W), flat(mean_gradient));
    }
    return accuracy(test.x * W, test.label);
}

struct student {
    std::string name, short_name;
    std::string paper_imperfect, paper_exact;
    std::vector<double> imperfect{}, exact{};
};

/// Test accuracy of a student for each teacher.
template <class Kernel>
std::array<double, 2> distil(Kernel const& kernel, std::array<logits, 2> const& teachers, labelled const& train,
                             labelled const& test) {
    auto result = std::array<double, 2>{};
    for (std::size_t t = 0; t < 2; ++t)
        result[t] = train_and_test(
            [&](auto const& scores, auto& losses, auto& gradient) {
                for_each_row(execution::simd{}, kernel, scores, teachers[t], train.label, losses, gradient);
            },
            train, test);
    return result;
}

gallery::measurement difference(std::string name, std::string paper, std::vector<double> const& a,
                                std::vector<double> const& b, gallery::band accepted) {
    auto result = gallery::measurement{.name = std::move(name), .paper = std::move(paper), .accepted = accepted};
    for (std::size_t i = 0; i < a.size(); ++i) result.values.push_back(a[i] - b[i]);
    return result;
}

double mean_of(std::vector<double> const& x) {
    return Eigen::Map<Eigen::VectorXd const>(x.data(), static_cast<Eigen::Index>(x.size())).mean();
}

gallery::outcome synthetic(gallery::settings const& settings) {
    enum { ce, kd_1, kd_5, pld_half, pld, pld_4, list_mle, p_list_mle, count };
    auto students = std::vector<student>{{"cross-entropy", "CE", ".8274", ".8274"},
                                         {"KD, alpha = 0.1", "KD .1", ".8255", ".8848"},
                                         {"KD, alpha = 0.5", "KD .5", ".8593", ".8776"},
                                         {"PLD, temperature 0.5", "PLD .5", ".8449", ".8549"},
                                         {"PLD", "PLD 1", ".8507", ".8606"},
                                         {"PLD, temperature 4", "PLD 4", ".8319", ".8698"},
                                         {"ListMLE", "ListMLE", ".8062", ".8328"},
                                         {"P-ListMLE", "P-ListMLE", ".8481", ".8594"}};
    auto exact_teacher = std::vector<double>{}, imperfect_teacher = exact_teacher;
    for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
        auto const world = mixture(seed);
        auto const train = world.draw(seed, 1, 240), test = world.draw(seed, 2, 4000);
        auto normal = normals(seed, 3);
        auto const hidden = normal(features, 64), output = (normal(64, classes) / 8).eval();
        auto const imperfect = [&](samples const& x) {
            auto const net = ((x.leftCols<features>() * hidden).array().tanh().matrix() * output).eval();
            return logits(0.3 * (world.log_posterior(x) + 2 * net));
        };
        auto const teachers = std::array{imperfect(train.x), world.log_posterior(train.x)};
        imperfect_teacher.push_back(accuracy(imperfect(test.x), test.label));
        exact_teacher.push_back(accuracy(world.log_posterior(test.x), test.label));

        auto const keep = [&](int which, std::array<double, 2> const& accuracies) {
            students[static_cast<std::size_t>(which)].imperfect.push_back(accuracies[0]);
            students[static_cast<std::size_t>(which)].exact.push_back(accuracies[1]);
        };
        auto const run = [&](int which, auto const& kernel) { keep(which, distil(kernel, teachers, train, test)); };
        auto const no_teacher = train_and_test(
            [&](auto const& scores, auto& losses, auto& gradient) {
                for_each_row(execution::simd{}, objective::cross_entropy{}, scores, train.label, losses, gradient);
            },
            train, test);
        keep(ce, {no_teacher, no_teacher});
        run(kd_1, objective::knowledge_distillation{.alpha = 0.1, .temperature = 2});
        run(kd_5, objective::knowledge_distillation{.alpha = 0.5, .temperature = 2});
        run(pld_half, objective::plackett_luce_distillation{ranking::teacher_softmax{.temperature = 0.5}});
        run(pld, objective::plackett_luce_distillation{});
        run(pld_4, objective::plackett_luce_distillation{ranking::teacher_softmax{.temperature = 4}});
        run(list_mle, objective::plackett_luce_distillation<ranking::uniform>{});
        run(p_list_mle, objective::plackett_luce_distillation<ranking::normalized_exponential>{});
    }

    auto const of_b = [&](int which) { return students[static_cast<std::size_t>(which)].imperfect; };
    auto const of_a = [&](int which) { return students[static_cast<std::size_t>(which)].exact; };
    auto const above_zero = gallery::band{.low = std::numeric_limits<double>::min()};
    auto result = gallery::outcome{
        .measurements =
            {difference("imperfect teacher: PLD - cross-entropy", ".023", of_b(pld), of_b(ce), {.004, .06}),
             difference("imperfect teacher: PLD - ListMLE", ".045", of_b(pld), of_b(list_mle), {.005, .08}),
             difference("imperfect teacher: PLD - KD(alpha = 0.1)", ".025", of_b(pld), of_b(kd_1), {.low = .005}),
             difference("imperfect teacher: PLD - PLD(temperature 0.5)", ".006", of_b(pld), of_b(pld_half),
                        {.low = -.002}),
             difference("imperfect teacher: PLD - PLD(temperature 4)", ".019", of_b(pld), of_b(pld_4), above_zero),
             difference("exact teacher: PLD - cross-entropy", ".033", of_a(pld), of_a(ce), {.004, .06}),
             difference("exact teacher: PLD - ListMLE", ".028", of_a(pld), of_a(list_mle), {.005, .08}),
             difference("exact teacher: KD(alpha = 0.1) - PLD", ".024", of_a(kd_1), of_a(pld), above_zero),
             {.name = "imperfect teacher: accuracy of the teacher", .paper = ".8268", .values = imperfect_teacher},
             {.name = "exact teacher: accuracy of the teacher", .paper = ".9047", .values = exact_teacher}},
        .plots = {{.name = "accuracy",
                   .title = "Twelve Gaussian classes: what a linear student gains by its objective",
                   .x_label = "objective (KD: alpha, PLD: temperature)",
                   .y_label = "test accuracy above cross-entropy",
                   .curves = {{.name = "imperfect teacher"}, {.name = "exact teacher"}}}},
        .reading =
            "With a teacher that knows the posterior exactly, matching its probabilities (KD) beats matching its "
            "ranking. With an imperfect, badly calibrated teacher PLD beats KD's default without a mixing weight "
            "to tune, though a tuned KD (alpha = 0.5) is still slightly ahead. PLD beats cross-entropy and "
            "ListMLE with both."};
    auto& picture = result.plots[0];
    for (auto const& s : students) {
        result.measurements.push_back(
            {.name = "imperfect teacher: accuracy, " + s.name, .paper = s.paper_imperfect, .values = s.imperfect});
        result.measurements.push_back(
            {.name = "exact teacher: accuracy, " + s.name, .paper = s.paper_exact, .values = s.exact});
        if (&s == &students[ce]) continue; // what the others are compared with
        picture.categories.push_back(s.short_name);
        picture.curves[0].y.push_back(mean_of(s.imperfect) - mean_of(of_b(ce)));
        picture.curves[1].y.push_back(mean_of(s.exact) - mean_of(of_a(ce)));
    }
    for (auto& curve : picture.curves) curve.style = gallery::curve::styles::bars;
    return result;
}

gallery::registration const registered{
    pld_gallery::method,
    {.name = "pld-synthetic",
     .title = "A linear student of two teachers, eight objectives",
     .claim =
         "PLD beats cross-entropy, uniform ListMLE and KD at its default without a mixing weight, and temperature 1 is "
         "about best.",
     .default_seeds = 10,
     .run = synthetic}};

} // namespace
