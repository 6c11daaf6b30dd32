#include "bnpo_batch.hpp"
#include "golden.hpp"

#include "poise/execution/parallel.hpp"
#include "poise/metric/beta_normalized_variance.hpp"

namespace {

using namespace poise;
using golden::json;

golden::method const method{"bnpo"};

template <class T, class Execution>
struct runner {
    static std::vector<std::vector<T>> groups(json const& value) {
        auto rows = std::vector<std::vector<T>>{};
        for (auto const& group : value) rows.push_back(golden::flat<T>(group));
        return rows;
    }
    static json advantages(json const& in, json const& params) {
        auto const found = bnpo_test::bnpo<T, Execution>(
            groups(in["rewards"]), {.least = params["min_value"], .greatest = params["max_value"]},
            {.greatest_weight = params["weight_max"]});
        return {{"advantages", found.advantages},
                {"p", found.p},
                {"weights", found.weights},
                {"a", found.a},
                {"b", found.b},
                {"alpha", found.alpha},
                {"beta", found.beta}};
    }
    static json fit(json const& in, json const&) {
        constexpr auto copies = std::size_t{9}; // lanes are filled
        auto const p = golden::flat<T>(in["p"]);
        auto rates = std::vector<T>{};
        for (std::size_t i = 0; i < copies; ++i) rates.insert(rates.end(), p.begin(), p.end());
        auto a = std::vector<T>(copies), b = a, alpha = a, beta = a;
        for_each_row(Execution{}, estimator::beta_fit{}, rows_of(std::as_const(rates).data(), copies, p.size()), a, b,
                     alpha, beta);
        return {{"a", a.back()}, {"b", b.back()}, {"alpha", alpha.back()}, {"beta", beta.back()}};
    }
    static json decomposed(json const& in, json const& params) {
        auto components = std::vector<std::vector<std::vector<T>>>{};
        auto rates = std::vector<estimator::success_rate>{};
        for (std::size_t k = 0; k < in["components"].size(); ++k) {
            components.push_back(groups(in["components"][k]));
            rates.push_back({.least = params["min_value"][k], .greatest = params["max_value"][k]});
        }
        return {{"advantages", bnpo_test::decomposed_bnpo<T, Execution>(components, rates,
                                                                        {.greatest_weight = params["weight_max"]})}};
    }
    static json variance(json const& in, json const&) {
        auto const a = static_cast<T>(in["a"].get<double>()), b = static_cast<T>(in["b"].get<double>());
        auto const of = [&](T alpha, T beta) { return metric::beta_normalized_variance(alpha, beta, a, b); };
        return {{"reinforce", of(1, 1)},
                {"grpo", of(T(1.5), T(1.5))},
                {"bnpo", of(1 + a / 3, 1 + b / 3)},
                {"too_large", of((a + 3) / 2 + T(0.1), 1)}};
    }

    static golden::functions functions() {
        return {{"bnpo_advantages", advantages},
                {"bnpo_fit", fit},
                {"bnpo_variance", variance},
                {"bnpo_decomposed_advantages", decomposed}};
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

TEST_CASE("bnpo: golden vectors in double") { check_in_every_execution<double>("double", 0); }

// a and b are quotients by a variance of a few hundredths, and densities take six logarithms of the gamma function.
TEST_CASE("bnpo: golden vectors in float") { check_in_every_execution<float>("float", 5e-6); }
