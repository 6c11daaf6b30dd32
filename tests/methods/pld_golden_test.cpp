#include "golden.hpp"

#include "poise/execution/parallel.hpp"
#include "poise/objective/batch_mean.hpp"
#include "poise/objective/plackett_luce_distillation.hpp"
#include "poise/policy/plackett_luce.hpp"

namespace {

using namespace poise;
using golden::json;

golden::method const pld{"pld"};

/// One case as a batch of equal rows, so that lanes and chunks are filled; the answer is that of the last row.
template <class T, class Execution>
struct runner {
    static constexpr std::size_t copies = 13;

    static std::vector<T> repeated(std::vector<T> const& row) {
        auto all = std::vector<T>{};
        for (std::size_t i = 0; i < copies; ++i) all.insert(all.end(), row.begin(), row.end());
        return all;
    }
    static auto input(std::vector<T> const& all) { return rows_of(all.data(), copies, all.size() / copies); }
    static auto output(std::vector<T>& all) { return rows_of(all.data(), copies, all.size() / copies); }
    static std::vector<T> zeros(std::size_t n) { return std::vector<T>(copies * n); }
    static std::vector<T> last(std::vector<T> const& all) {
        return {all.end() - static_cast<std::ptrdiff_t>(all.size() / copies), all.end()};
    }
    static std::vector<T> row(json const& value) { return repeated(golden::flat<T>(value)); }

    template <class Weights>
    static json distil(json const& in, Weights weights) {
        auto const student = row(in["student"]), teacher = row(in["teacher"]);
        auto const n = student.size() / copies;
        auto const labels = std::vector<int>(copies, in["label"].get<int>());
        auto loss = zeros(1), gradient = zeros(n), permutation = zeros(n), alpha = zeros(n), hessian = zeros(n * n);
        for_each_row(Execution{}, objective::plackett_luce_distillation<Weights>{weights}, input(student),
                     input(teacher), labels, loss, output(gradient), output(permutation), output(alpha));
        for_each_row(Execution{}, objective::plackett_luce_hessian{}, input(student), input(permutation), input(alpha),
                     output(hessian));
        // Without permutation and weights the kernel must say the same.
        auto short_loss = zeros(1), short_gradient = zeros(n);
        for_each_row(Execution{}, objective::plackett_luce_distillation<Weights>{weights}, input(student),
                     input(teacher), labels, short_loss, output(short_gradient));
        CHECK(short_loss == loss);
        CHECK(short_gradient == gradient);
        return {{"permutation", last(permutation)},
                {"weights", last(alpha)},
                {"loss", loss.back()},
                {"gradient", last(gradient)},
                {"hessian", golden::rows(last(hessian), n)}};
    }

    /// visit(weights) with the weighting that the parameters name.
    template <class Visit>
    static json with_weights(json const& params, Visit const& visit) {
        auto const name = params.value("weights", "teacher");
        if (name == "uniform") return visit(weighting::ranking::uniform{});
        if (name == "ce") return visit(weighting::ranking::first_only{});
        if (name == "exponential") return visit(weighting::ranking::exponential{});
        if (name != "teacher") throw std::runtime_error("unknown weights '" + name + "'");
        return visit(weighting::ranking::teacher_softmax{.temperature = params.value("temperature", 1.0)});
    }
    static json distil_by_name(json const& in, json const& params) {
        return with_weights(params, [&](auto weights) { return distil(in, weights); });
    }

    static json batch(json const& in, json const& params) {
        auto const student = golden::flat<T>(in["student"]), teacher = golden::flat<T>(in["teacher"]);
        auto const labels = golden::flat<int>(in["labels"]);
        auto const count = labels.size(), n = student.size() / count;
        auto losses = std::vector<T>(count), gradient = std::vector<T>(count * n);
        auto const loss = with_weights(params, [&](auto weights) {
            auto const kernel = objective::plackett_luce_distillation<decltype(weights)>{weights};
            return json(objective::batch_mean(Execution{}, kernel, losses, rows_of(gradient.data(), count, n),
                                              rows_of(student.data(), count, n), rows_of(teacher.data(), count, n),
                                              labels));
        });
        return {{"loss", loss}, {"gradient", golden::rows(gradient, n)}};
    }

    static json weighted(json const& in, json const&) {
        auto const scores = row(in["scores"]), permutation = row(in["permutation"]), weights = row(in["weights"]);
        auto const n = scores.size() / copies;
        auto loss = zeros(1), gradient = zeros(n), hessian = zeros(n * n);
        for_each_row(Execution{}, objective::plackett_luce{}, input(scores), input(permutation), input(weights), loss,
                     output(gradient));
        for_each_row(Execution{}, objective::plackett_luce_hessian{}, input(scores), input(permutation), input(weights),
                     output(hessian));
        return {{"loss", loss.back()}, {"gradient", last(gradient)}, {"hessian", golden::rows(last(hessian), n)}};
    }

    static json log_probability(json const& in, json const&) {
        auto const scores = row(in["scores"]), permutation = row(in["permutation"]);
        auto result = zeros(1);
        for_each_row(Execution{}, policy::plackett_luce_log_probability{}, input(scores), input(permutation), result);
        return {{"logprob", result.back()}};
    }

    static json sample(json const& in, json const&) {
        auto const scores = row(in["scores"]), gumbel = row(in["gumbel"]);
        auto permutation = zeros(scores.size() / copies);
        for_each_row(Execution{}, policy::gumbel_ranking{}, input(scores), input(gumbel), output(permutation));
        return {{"permutation", last(permutation)}};
    }

    static json kd(json const& in, json const& params) {
        auto const student = row(in["student"]), teacher = row(in["teacher"]);
        auto const labels = std::vector<int>(copies, in["label"].get<int>());
        auto loss = zeros(1), gradient = zeros(student.size() / copies);
        auto const kernel = objective::knowledge_distillation{.alpha = params["alpha"].get<double>(),
                                                              .temperature = params["temperature"].get<double>()};
        for_each_row(Execution{}, kernel, input(student), input(teacher), labels, loss, output(gradient));
        return {{"loss", loss.back()}, {"gradient", last(gradient)}};
    }

    static golden::functions functions() {
        return {{"pld_loss", distil_by_name},         {"pld_batch", batch},
                {"weighted_plackett_luce", weighted}, {"plackett_luce_logprob", log_probability},
                {"plackett_luce_sample", sample},     {"kd_loss", kd}};
    }
};

template <class T>
void check_in_every_execution(std::string const& type, double least_tolerance) {
    golden::check(pld, type + ", sequential", runner<T, execution::sequential>::functions(), least_tolerance);
    golden::check(pld, type + ", in_lanes", runner<T, execution::in_lanes>::functions(), least_tolerance);
    golden::check(pld, type + ", along", runner<T, execution::along>::functions(), least_tolerance);
    golden::check(pld, type + ", parallel", runner<T, execution::parallel<>>::functions(), least_tolerance);
}

} // namespace

TEST_CASE("pld: golden vectors in double") { check_in_every_execution<double>("double", 0); }

// Scores of a few units in float carry 1e-7 of relative error into each of up to 12 terms of a loss or a gradient.
TEST_CASE("pld: golden vectors in float") { check_in_every_execution<float>("float", 2e-6); }
