#include "golden.hpp"

#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/trusted_reward.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/execution/simd.hpp"
#include "poise/solver/exponential_decay.hpp"

namespace {

using namespace poise;
using golden::json;

golden::method const method{"trust-grpo"};

/// One case as a batch of equal rows, so that lanes and chunks are filled; the answer is the last row's.
template <class T, class Execution>
struct runner {
    static constexpr std::size_t copies = 9;

    struct group {
        std::vector<T> outcome, thinking, mean_correct, mean_wrong, gamma;
        std::size_t length;
        explicit group(json const& in)
            : mean_correct(copies), mean_wrong(copies), gamma(copies), length(in["outcome"].size()) {
            for (std::size_t i = 0; i < copies; ++i)
                for (std::size_t k = 0; k < length; ++k) {
                    outcome.push_back(static_cast<T>(golden::to_number(in["outcome"][k])));
                    thinking.push_back(static_cast<T>(golden::to_number(in["thinking"][k])));
                }
        }
        auto rows(std::vector<T>& values) const { return rows_of(values.data(), copies, length); }
        auto rows(std::vector<T> const& values) const { return rows_of(values.data(), copies, length); }
        std::vector<T> last(std::vector<T> const& values) const {
            return {values.end() - static_cast<std::ptrdiff_t>(length), values.end()};
        }
        void find_trust(json const& params) {
            for_each_row(Execution{}, weighting::trust{.threshold = params["threshold"]}, rows(std::as_const(outcome)),
                         rows(std::as_const(thinking)), mean_correct, mean_wrong, gamma);
        }
    };

    static json weight(json const& in, json const& params) {
        auto of = group(in);
        of.find_trust(params);
        return {
            {"mean_correct", of.mean_correct.back()}, {"mean_wrong", of.mean_wrong.back()}, {"gamma", of.gamma.back()}};
    }
    static json reward(json const& in, json const& params) {
        auto of = group(in);
        if (!golden::left_out(params, "gate"))
            for_each_row(Execution{}, estimator::gated_thinking{.gate = params["gate"]},
                         of.rows(std::as_const(of.outcome)), of.rows(of.thinking), of.rows(of.thinking));
        of.find_trust(params);
        auto const annealed = solver::exponential_decay{.first = params["alpha"], .time_constant = params["T"]};
        auto mixed = estimator::trusted_reward{.coefficient = annealed(in["step"])};
        if (!golden::left_out(params, "sat_low")) mixed.saturated_low = params["sat_low"];
        if (!golden::left_out(params, "sat_high")) mixed.saturated_high = params["sat_high"];
        auto reward = of.outcome, advantage = of.outcome, factor = of.gamma;
        for_each_row(Execution{}, mixed, of.rows(std::as_const(of.outcome)), of.rows(std::as_const(of.thinking)),
                     std::as_const(of.gamma), of.rows(reward), factor);
        for_each_row(Execution{},
                     estimator::group_relative<estimator::deviation::sample, estimator::singleton::uncentered>{
                         params["adv_eps"]},
                     of.rows(std::as_const(reward)), of.rows(advantage));
        return {{"rewards", of.last(reward)},
                {"gamma", of.gamma.back()},
                {"factor", factor.back()},
                {"advantages", of.last(advantage)}};
    }
    static golden::functions functions() { return {{"trust_weight", weight}, {"trust_grpo_reward", reward}}; }
};

template <class T>
void check_in_every_execution(std::string const& type, double least_tolerance) {
    golden::check(method, type + ", sequential", runner<T, execution::sequential>::functions(), least_tolerance);
    golden::check(method, type + ", in_lanes", runner<T, execution::in_lanes>::functions(), least_tolerance);
    golden::check(method, type + ", along", runner<T, execution::along>::functions(), least_tolerance);
    golden::check(method, type + ", parallel", runner<T, execution::parallel<>>::functions(), least_tolerance);
}

} // namespace

TEST_CASE("trust-grpo: golden vectors in double") { check_in_every_execution<double>("double", 0); }

// Rewards near 1 are 1e-7 off in float, and advantages are their differences over deviations from 0.07 on.
TEST_CASE("trust-grpo: golden vectors in float") { check_in_every_execution<float>("float", 5e-6); }
