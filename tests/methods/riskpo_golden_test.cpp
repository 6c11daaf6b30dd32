#include "golden.hpp"

#include "poise/estimator/bundle_advantage.hpp"
#include "poise/estimator/quantile_tracker.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/clipped_surrogate.hpp"

#include <numeric>

/// The golden functions of riskpo, once for every scalar and execution.
namespace {

using namespace poise;
using golden::json;

golden::method const riskpo{"riskpo"};

[[noreturn]] void unknown(std::string const& what, std::string const& name) {
    throw std::runtime_error("unknown " + what + " '" + name + "'");
}
template <class Visit>
json with_risk(json const& params, Visit const& visit) {
    auto const name = params.at("mode").get<std::string>();
    if (name == "averse") return visit(estimator::risk::averse{});
    if (name == "seeking") return visit(estimator::risk::seeking{});
    if (name == "range") return visit(estimator::risk::range{});
    unknown("mode", name);
}

/// One case as a batch of equal rows, so that lanes and chunks are filled; the answer is the last row's.
template <class T, class Execution>
struct runner {
    static constexpr std::size_t copies = 9;

    struct rows {
        std::vector<T> all;
        explicit rows(std::vector<T> const& row) {
            for (std::size_t i = 0; i < copies; ++i) all.insert(all.end(), row.begin(), row.end());
        }
        explicit rows(json const& value) : rows(golden::flat<T>(value)) {}
        explicit rows(std::size_t length) : all(copies * length) {}
        std::size_t length() const { return all.size() / copies; }
        std::vector<T> last() const { return {all.end() - static_cast<std::ptrdiff_t>(length()), all.end()}; }
        auto in() const { return rows_of(all.data(), copies, length()); }
        auto out() { return rows_of(all.data(), copies, length()); }
    };
    static rows number(json const& value) { return rows(std::vector<T>{static_cast<T>(golden::to_number(value))}); }

    static json risk_values(json const& in, json const& params) {
        auto const samples = rows(in["samples"]);
        auto cvar = rows(1), rvar = rows(1), mvar = rows(1);
        for_each_row(Execution{}, metric::risk_values{params["alpha"], params["beta"], params["omega"]}, samples.in(),
                     cvar.out(), rvar.out(), mvar.out());
        return {{"cvar", cvar.all.back()}, {"rvar", rvar.all.back()}, {"mvar", mvar.all.back()}};
    }

    static json mvar_advantage(json const& in, json const& params) {
        auto const scores = rows(in["scores"]), low = number(params["q_low"]), high = number(params["q_high"]);
        auto advantages = scores, g = scores;
        for_each_row(Execution{}, estimator::mixed_value_at_risk{params["omega"]}, scores.in(), low.in(), high.in(),
                     advantages.out());
        for_each_row(Execution{}, estimator::range_value_at_risk{}, scores.in(), low.in(), high.in(), g.out());
        return {{"advantages", advantages.last()}, {"g", g.last()}};
    }

    static json mvar_advantage_normalised(json const& in, json const& params) {
        auto const scores = rows(in["scores"]), low = number(params["q_low"]), high = number(params["q_high"]);
        auto advantages = scores;
        return with_risk(params, [&]<class Risk>(Risk) -> json {
            for_each_row(Execution{},
                         estimator::normalized_value_at_risk<Risk>{params["alpha"], params["beta"], params["w_mix"],
                                                                   params["epsilon"]},
                         scores.in(), low.in(), high.in(), advantages.out());
            return {{"advantages", advantages.last()}};
        });
    }

    static json quantile_track(json const& in, json const& params) {
        auto const q = rows(in["q"]), levels = rows(in["levels"]), scores = rows(in["scores"]);
        auto tracked = q;
        for_each_row(Execution{}, estimator::quantile_tracker{params["lr"]}, q.in(), levels.in(), scores.in(),
                     tracked.out());
        return {{"q", tracked.last()}};
    }

    template <class Quantiles, class Credit, class Risk>
    static json bundles(json const& in, json const& params) {
        auto const scores = rows(in["scores"]);
        auto const questions = in["scores"].size(), responses = scores.length() / questions;
        auto identity = std::vector<T>(scores.length());
        for (std::size_t k = 0; k < identity.size(); ++k) identity[k] = T(k % responses);
        auto const permutation = golden::left_out(in, "perm") ? rows(identity) : rows(in["perm"]);
        auto const given = golden::left_out(in, "q_track") ? rows(2) : rows(in["q_track"]);
        auto advantages = scores;
        auto bundle_scores = rows(responses), quantiles = rows(2), bundle_advantages = rows(responses);
        for_each_row(Execution{},
                     estimator::bundle_advantage<Quantiles, Credit, Risk>{
                         .alpha = params["alpha"],
                         .beta = params["beta"],
                         .mixing_weight = params["w_mix"],
                         .epsilon = params["epsilon"],
                         .divide_by_deviation = golden::to_number(params["normalise_by_std"]) != 0},
                     scores.in(), permutation.in(), given.in(), advantages.out(), bundle_scores.out(), quantiles.out(),
                     bundle_advantages.out());
        return {{"advantages", golden::rows(advantages.last(), responses)},
                {"bundle_scores", bundle_scores.last()},
                {"q_low", quantiles.last()[0]},
                {"q_high", quantiles.last()[1]},
                {"bundle_advantages", bundle_advantages.last()}};
    }
    /// The compositions in the file; the others are in riskpo_theorems_test.cpp.
    static json bundle_advantages(json const& in, json const& params) {
        auto const track = golden::left_out(in, "q_track") ? "batch" : params.at("track_mode").get<std::string>();
        auto const credit = params.at("credit").get<std::string>();
        if (params.at("mode") != "averse") unknown("mode", params.at("mode"));
        if (track == "track" && credit == "std")
            return bundles<estimator::bundle_quantiles::tracked, estimator::credit::standardized,
                           estimator::risk::averse>(in, params);
        if (track == "batch" && credit == "uniform")
            return bundles<estimator::bundle_quantiles::batch, estimator::credit::uniform, estimator::risk::averse>(
                in, params);
        unknown("track_mode and credit", track + ", " + credit);
    }

    /// PPO's clipped surrogate of log-probabilities per token; the mean's gradient is theirs over length and number.
    static json sequence_clip_loss(json const& in, json const& params) {
        auto const length = golden::flat<T>(in["length"]);
        auto log_p = golden::flat<T>(in["logp_sum"]), old = golden::flat<T>(in["old_logp_sum"]);
        auto ratio = log_p;
        for (std::size_t k = 0; k < length.size(); ++k) {
            log_p[k] /= length[k];
            old[k] /= length[k];
            ratio[k] = std::exp(log_p[k] - old[k]);
        }
        auto const log_rows = rows(log_p), old_rows = rows(old), advantages = rows(in["advantages"]);
        auto losses = log_rows, gradient = log_rows;
        for_each_row(Execution{}, objective::clipped_surrogate{.low = params["clip"], .high = params["clip"]},
                     log_rows.in(), old_rows.in(), advantages.in(), losses.out(), gradient.out());
        auto const each = losses.last();
        auto slope = gradient.last();
        for (std::size_t k = 0; k < length.size(); ++k) slope[k] /= length[k] * T(length.size());
        auto const columns = in["length"][0].size();
        return {{"loss", mean(row<T const>(each))},
                {"grad", golden::rows(slope, columns)},
                {"ratio", golden::rows(ratio, columns)}};
    }

    static golden::functions functions() {
        return {{"risk_values", risk_values},
                {"mvar_advantage", mvar_advantage},
                {"mvar_advantage_normalised", mvar_advantage_normalised},
                {"quantile_track", quantile_track},
                {"bundle_advantages", bundle_advantages},
                {"sequence_clip_loss", sequence_clip_loss}};
    }
};

/// In float, 1e-7 of relative error in each of some ten operations on numbers up to 10.
template <class Execution>
void check_golden(std::string const& label) {
    golden::check(riskpo, "double, " + label, runner<double, Execution>::functions());
    golden::check(riskpo, "float, " + label, runner<float, Execution>::functions(), 5e-6);
}

} // namespace

TEST_CASE("riskpo: golden vectors, sequential") { check_golden<execution::sequential>("sequential"); }
TEST_CASE("riskpo: golden vectors, in_lanes") { check_golden<execution::in_lanes>("in_lanes"); }
TEST_CASE("riskpo: golden vectors, along") { check_golden<execution::along>("along"); }
TEST_CASE("riskpo: golden vectors, parallel") { check_golden<execution::parallel<>>("parallel"); }
