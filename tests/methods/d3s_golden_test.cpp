#include "golden.hpp"

#include "poise/execution/evaluate.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/solver/coefficient_schedule.hpp"
#include "poise/weighting/max_variance_subset.hpp"
#include "poise/weighting/top_tokens.hpp"

namespace {

using namespace poise;
using golden::json;

golden::method const method{"d3s"};

struct entropy_of_logits {
    constexpr void operator()(row_of_reals auto logits, writable_row auto probabilities,
                              writable_row auto result) const {
        softmax(probabilities, logits);
        result[0] = entropy(probabilities);
    }
    constexpr void check(auto const&...) const {}
};

/// One case as a batch of equal rows, so that lanes are filled; the answer is the last row's.
template <class T, class Execution>
struct runner {
    static constexpr std::size_t copies = 9;

    static std::vector<T> copied(std::vector<T> const& row) {
        auto all = std::vector<T>{};
        for (std::size_t i = 0; i < copies; ++i) all.insert(all.end(), row.begin(), row.end());
        return all;
    }
    static std::vector<T> copied(json const& value) { return copied(golden::flat<T>(value)); }
    static auto rows(auto& all) { return rows_of(all.data(), copies, all.size() / copies); }
    static auto last(std::vector<T> const& all) {
        return std::vector<T>(all.end() - static_cast<std::ptrdiff_t>(all.size() / copies), all.end());
    }
    static json chosen(std::vector<T> const& all) {
        auto found = json::array();
        auto const selection = last(all);
        for (std::size_t k = 0; k < selection.size(); ++k)
            if (selection[k] == T(1)) found.push_back(k);
        return found;
    }

    static json max_variance_subset(json const& in, json const& params) {
        auto const values = copied(in["values"]);
        auto selection = values;
        auto top = std::vector<T>(copies), variance = top;
        for_each_row(Execution{}, weighting::max_variance_subset{params["n"].get<std::size_t>()}, rows(values),
                     rows(selection), top, variance);
        return {{"indices", chosen(selection)}, {"num_top", top.back()}, {"variance", variance.back()}};
    }

    static json top_tokens(json const& in, json const& params) {
        auto const length = in["entropy"][0].size();
        auto repeated = std::vector<T>{};
        for (auto const a : golden::flat<T>(in["advantages"])) repeated.insert(repeated.end(), length, a);
        auto const advantages = copied(repeated), entropy = copied(in["entropy"]), mask = copied(in["mask"]);
        auto selected = entropy;
        for_each_row(Execution{}, weighting::top_tokens{params["fraction"]}, rows(advantages), rows(entropy),
                     rows(selected), rows(mask));
        return {{"token_mask", golden::rows(last(selected), length)}};
    }

    static json token_entropy(json const& in, json const&) {
        auto found = json::array();
        for (auto const& logits : in["logits"]) {
            auto const z = copied(logits);
            auto probabilities = z;
            auto entropies = std::vector<T>(copies);
            for_each_row(Execution{}, entropy_of_logits{}, rows(z), rows(probabilities), entropies);
            found.push_back(entropies.back());
        }
        return {{"entropy", found}};
    }

    static json d3s_schedule(json const&, json const& params) {
        auto const step = params["step"].get<std::size_t>(), total = params["total"].get<std::size_t>();
        auto const n = solver::linear_between{params["n_init"], params["n_final"], total};
        auto const k = solver::linear_between{params["k_init"], params["k_final"], total};
        return {{"p", n.progress(step)}, {"n", solver::nearest_count(n(step))}, {"k", k(step)}};
    }

    static json d3s_loss(json const& in, json const& params) {
        auto const rollouts = in["logp"].size(), length = in["logp"][0].size();
        auto const advantages = copied(in["advantages"]), log_p = copied(in["logp"]), old = copied(in["old_logp"]),
                   entropy = copied(in["entropy"]), mask = copied(in["mask"]);
        auto gradient = log_p, selected = log_p, samples = advantages;
        auto loss = std::vector<T>(copies);
        auto const tokens = [&](auto& all) { return sequences_of(rows(all), rollouts); };
        evaluate(Execution{},
                 weighting::max_variance_subset{params["n"].get<std::size_t>()} |
                     weighting::top_tokens{params["fraction"]} |
                     objective::clipped_surrogate{.low = params["clip_low"], .high = params["clip_high"]} |
                     aggregation::mean{},
                 inputs(field::advantage = rows(advantages), field::log_probability = tokens(log_p),
                        field::old_log_probability = tokens(old), field::entropy = tokens(entropy),
                        field::mask = tokens(mask)),
                 outputs(field::objective = loss, field::gradient<field::log_probability> = tokens(gradient),
                         field::mask = tokens(selected), field::selection = rows(samples)));
        for (auto& g : gradient) g *= T(copies); // the mean over rows divides by their number
        return {{"loss", loss.back()},
                {"grad_logp", golden::rows(last(gradient), length)},
                {"token_mask", golden::rows(last(selected), length)},
                {"samples", chosen(samples)}};
    }

    static golden::functions functions() {
        return {{"max_variance_subset", max_variance_subset},
                {"top_tokens", top_tokens},
                {"token_entropy", token_entropy},
                {"d3s_schedule", d3s_schedule},
                {"d3s_loss", d3s_loss}};
    }
};

template <class T>
void check_in_every_execution(std::string const& type, double least_tolerance) {
    golden::check(method, type + ", sequential", runner<T, execution::sequential>::functions(), least_tolerance);
    golden::check(method, type + ", in_lanes", runner<T, execution::in_lanes>::functions(), least_tolerance);
    golden::check(method, type + ", along", runner<T, execution::along>::functions(), least_tolerance);
    golden::check(method, type + ", parallel", runner<T, execution::parallel<>>::functions(), least_tolerance);
}

} // namespace

TEST_CASE("d3s: golden vectors in double") { check_in_every_execution<double>("double", 0); }

// Variances are differences of prefix sums, and a gradient has the exponential of one of log-probabilities.
TEST_CASE("d3s: golden vectors in float") { check_in_every_execution<float>("float", 1e-6); }
