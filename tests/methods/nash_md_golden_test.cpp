#include "golden.hpp"

#include "poise/execution/parallel.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/execution/simd.hpp"
#include "poise/objective/nash_md_policy_gradient.hpp"
#include "poise/policy/best_response.hpp"
#include "poise/policy/exponential_moving_average.hpp"
#include "poise/solver/nash_md.hpp"
#include "poise/solver/regularized_nash.hpp"
#include "poise/solver/two_player_mirror_descent.hpp"

using namespace poise;
using golden::json;

namespace {

golden::method const nash_md_method{"nash-md"};

/// Each case is run as a batch of equal rows, more than a pack holds and not a multiple of it, in each layout; every
/// row must give the same.
constexpr auto copies = std::size_t{11};

template <class T>
class rows_of_copies {
public:
    explicit rows_of_copies(std::vector<T> const& values) : length_(values.size()), data_(copies * values.size()) {
        for (std::size_t i = 0; i < copies; ++i)
            for (std::size_t k = 0; k < length_; ++k) data_[k * copies + i] = values[k];
    }
    explicit rows_of_copies(std::size_t length) : length_(length), data_(copies * length) {}
    auto input() const { return interleaved_rows_of(data_.data(), copies, length_); }
    auto output() { return interleaved_rows_of(data_.data(), copies, length_); }
    json result() const {
        auto values = std::vector<T>(length_);
        for (std::size_t k = 0; k < length_; ++k) {
            values[k] = data_[k * copies];
            for (std::size_t i = 1; i < copies; ++i) REQUIRE(data_[k * copies + i] == values[k]);
        }
        return values;
    }
    json number() const { return result()[0]; }

private:
    std::size_t length_;
    std::vector<T> data_;
};

template <class T, class Execution>
golden::functions functions() {
    using rows = rows_of_copies<T>;
    auto const of = [](json const& inputs, char const* name) { return rows(golden::flat<T>(inputs.at(name))); };
    auto const real = [](json const& params, char const* name) { return golden::to_number(params.at(name)); };
    auto const execution = Execution{};

    auto const step = [=](auto opponent) {
        return [=](json const& in, json const& params) -> json {
            auto const n = in.at("pi").size();
            auto mixture = rows(n), policy = rows(n);
            auto const kernel =
                solver::mirror_descent{opponent, solver::constant_step{real(params, "eta")}, real(params, "tau")};
            for_each_row(execution, kernel, of(in, "P").input(), of(in, "pi").input(), of(in, "mu").input(),
                         mixture.output(), policy.output());
            return {{"mixture", mixture.result()}, {"policy", policy.result()}};
        };
    };
    auto const two_player = [=](auto order, json const& in, json const& params) -> json {
        auto const n = in.at("pi0").size();
        auto first = rows(n), second = rows(n), gap = rows(1);
        auto const kernel = solver::two_player_mirror_descent{order, solver::constant_step{real(params, "eta")},
                                                              real(params, "tau"), params.at("T").get<std::size_t>()};
        for_each_row(execution, kernel, of(in, "P").input(), of(in, "pi0").input(), of(in, "nu0").input(),
                     of(in, "mu").input(), first.output(), second.output(), gap.output());
        return {{"pi", first.result()}, {"nu", second.result()}, {"gap", gap.number()}};
    };
    auto const surrogate = [=](auto log_ratio, json const& in, json const& params) -> json {
        auto const samples = in.at("logp").size(), tokens = in.at("logp")[0].size();
        auto const logp = golden::flat<T>(in.at("logp")), reference = golden::flat<T>(in.at("ref_logp")),
                   mask = golden::flat<T>(in.at("mask")), win = golden::flat<T>(in.at("win_prob"));
        auto loss = std::vector<T>(samples), gradient = std::vector<T>(samples * tokens);
        auto const kernel = objective::nash_md_surrogate{real(params, "tau"), 1.0 / double(samples), log_ratio};
        for_each_row(execution, kernel, rows_of(logp.data(), samples, tokens),
                     rows_of(reference.data(), samples, tokens), rows_of(mask.data(), samples, tokens), win, loss,
                     rows_of(gradient.data(), samples, tokens));
        return {{"loss", sum(row(loss))}, {"grad_logp", golden::rows(gradient, tokens)}};
    };

    return {
        {"regularized_preference",
         [=](json const& in, json const& params) -> json {
             auto win = rows(1), value = rows(1);
             for_each_row(execution, metric::regularized_preference{real(params, "tau")}, of(in, "P").input(),
                          of(in, "pi").input(), of(in, "pi_prime").input(), of(in, "mu").input(), win.output(),
                          value.output());
             return {{"win", win.number()}, {"value", value.number()}};
         }},
        {"regularized_best_response",
         [=](json const& in, json const& params) -> json {
             auto policy = rows(in.at("mu").size()), value = rows(1);
             for_each_row(execution, policy::regularized_best_response{real(params, "tau")}, of(in, "P").input(),
                          of(in, "opponent").input(), of(in, "mu").input(), policy.output(), value.output());
             return {{"policy", policy.result()}, {"value", value.number()}};
         }},
        {"duality_gap",
         [=](json const& in, json const& params) -> json {
             auto gap = rows(1);
             for_each_row(execution, metric::duality_gap{real(params, "tau")}, of(in, "P").input(),
                          of(in, "pi").input(), of(in, "mu").input(), gap.output());
             return {{"gap", gap.number()}};
         }},
        {"regularized_nash",
         [=](json const& in, json const& params) -> json {
             auto const n = static_cast<Eigen::Index>(in.at("mu").size());
             auto const P = golden::flat<T>(in.at("P")), mu = golden::flat<T>(in.at("mu"));
             using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
             auto const policy =
                 solver::regularized_nash(Eigen::Map<matrix const>(P.data(), n, n),
                                          Eigen::Map<Eigen::VectorX<T> const>(mu.data(), n), real(params, "tau"));
             return {{"policy", std::vector<T>(policy.begin(), policy.end())}};
         }},
        {"nash_md_step", step(solver::opponent::geometric_mixture{})},
        {"regularized_self_play_step", step(solver::opponent::self{})},
        {"nash_md_run",
         [=](json const& in, json const& params) -> json {
             REQUIRE(params.at("schedule") == "decreasing");
             auto const n = in.at("mu").size();
             auto mixture = rows(n), policy = rows(n);
             auto const kernel = solver::nash_md_run<>{.regularization = real(params, "tau"),
                                                       .steps = params.at("T").get<std::size_t>()};
             for_each_row(execution, kernel, of(in, "P").input(), of(in, "pi0").input(), of(in, "mu").input(),
                          mixture.output(), policy.output());
             return {{"policy", policy.result()}};
         }},
        {"nash_md_two_player",
         [=](json const& in, json const& params) -> json {
             if (params.at("mode") == "alternating") return two_player(solver::move_order::alternating{}, in, params);
             REQUIRE(params.at("mode") == "simultaneous");
             return two_player(solver::move_order::simultaneous{}, in, params);
         }},
        {"nash_md_pg_gradient",
         [=](json const& in, json const& params) -> json {
             auto const n = in.at("mu").size();
             auto opponent = rows(n), gradient = rows(n);
             for_each_row(execution, objective::nash_md_policy_gradient{real(params, "tau"), real(params, "beta")},
                          of(in, "P").input(), of(in, "logits").input(), of(in, "mu").input(), opponent.output(),
                          gradient.output());
             return {{"opponent", opponent.result()}, {"gradient", gradient.result()}};
         }},
        {"nash_md_pg_loss",
         [=](json const& in, json const& params) -> json {
             if (params.at("kl_mode") == "token") return surrogate(objective::log_ratio::per_token{}, in, params);
             REQUIRE(params.at("kl_mode") == "sequence");
             return surrogate(objective::log_ratio::per_sequence{}, in, params);
         }},
        {"tokenwise_mixture",
         [=](json const& in, json const& params) -> json {
             auto const rows_count = in.at("logits").size(), n = in.at("logits")[0].size();
             auto const logits = golden::flat<T>(in.at("logits")), reference = golden::flat<T>(in.at("ref_logits"));
             auto logprobs = std::vector<T>(rows_count * n);
             for_each_row(execution, policy::tokenwise_mixture{real(params, "beta")},
                          rows_of(logits.data(), rows_count, n), rows_of(reference.data(), rows_count, n),
                          rows_of(logprobs.data(), rows_count, n));
             return {{"logprobs", golden::rows(logprobs, n)}};
         }},
        {"ema_parameters",
         [=](json const& in, json const& params) -> json {
             auto average = rows(golden::flat<T>(in.at("thetas")[0]));
             for (auto const& theta : in.at("thetas"))
                 for_each_row(execution, policy::exponential_moving_average{real(params, "decay")}, average.input(),
                              rows(golden::flat<T>(theta)).input(), average.output());
             return {{"theta", average.result()}};
         }},
    };
}

// In float: inputs rounded to 6e-8, logits of size 100, ten to fifteen steps of a run.
constexpr auto float_tolerance = 3e-6;

} // namespace

TEST_CASE("nash-md: golden vectors in double") {
    golden::check(nash_md_method, "double, sequential", functions<double, execution::sequential>());
    golden::check(nash_md_method, "double, in lanes", functions<double, execution::in_lanes>());
    golden::check(nash_md_method, "double, along", functions<double, execution::along>());
    golden::check(nash_md_method, "double, parallel in lanes",
                  functions<double, execution::parallel<execution::in_lanes>>());
}

TEST_CASE("nash-md: golden vectors in float") {
    golden::check(nash_md_method, "float, sequential", functions<float, execution::sequential>(), float_tolerance);
    golden::check(nash_md_method, "float, in lanes", functions<float, execution::in_lanes>(), float_tolerance);
    golden::check(nash_md_method, "float, along", functions<float, execution::along>(), float_tolerance);
    golden::check(nash_md_method, "float, parallel in lanes",
                  functions<float, execution::parallel<execution::in_lanes>>(), float_tolerance);
}
