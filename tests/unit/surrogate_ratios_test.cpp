#include "surrogate_problem.hpp"

#include "poise/execution/evaluate.hpp"

using namespace surrogate_problem;
using objective::surrogate;

namespace {

template <class Ratio, class Region = trust_region::clipped>
void check_ratio(Ratio const& of, Region const& region = {}) {
    auto const stage = surrogate<Ratio, Region>{.ratio = of, .trust_region = region};
    check<double, row_contiguous, execution::sequential, execution::along, execution::parallel<execution::along>>(stage);
    check<float, interleaved, execution::in_lanes>(stage);
}

} // namespace

TEST_CASE("ratios of tokens and of whole sequences are the papers', their gradients the derivatives, everywhere") {
    check_ratio(ratio::none{});
    check_ratio(ratio::sequence{}, trust_region::clipped{.low = 0.05, .high = 0.05});
    check_ratio(ratio::sequence_token{}, trust_region::clipped{.low = 0.05, .high = 0.05});
    check_ratio(ratio::sequence_sum{});
    check_ratio(ratio::sequence_sum{}, trust_region::gamma_weight{});
    check_ratio(ratio::clipped_geometric_mean{.low = 0.3, .high = 0.2}, trust_region::unclipped{});
}

TEST_CASE("the ratio per length is the geometric mean of a response known by its sums") {
    auto const log_p = std::vector{-3.0, -8.0, -2.0}, old = std::vector{-3.3, -7.0, -2.5}, a = std::vector{1.0, -1.0, 2.0},
               length = std::vector{3.0, 5.0, 1.0};
    auto loss = std::vector<double>(3), gradient = loss;
    auto const stage = surrogate<ratio::per_length, trust_region::sigmoid>{};
    for_each_row(execution::along{}, stage, one_row(log_p), one_row(old), one_row(a), one_row(length), one_row(loss),
                 one_row(gradient));
    for (std::size_t k = 0; k < 3; ++k) {
        auto const c = math::exp((number{log_p[k], 1} - number{old[k]}) / number{length[k]});
        auto const expected = loss_of(stage.trust_region, c, number{log_p[k], 1}, a[k]);
        CHECK(loss[k] == doctest::Approx(expected.value));
        CHECK(gradient[k] == doctest::Approx(expected.derivative));
    }
}

TEST_CASE("the bound of a sequence's ratio holds each token") {
    auto const log_p = std::vector{-1.0, -50.0, -1.0}, old = std::vector{-1.5, -1.0, -80.0}, mask = std::vector(3, 1.0);
    CHECK(ratio::sequence_sum{.bound = 20}.log_ratio(row(log_p), row(old), row(mask), row(mask), row(mask)) == 0.5);
}

TEST_CASE("in a pipeline a sequence's ratio has its responses' advantages, and gradients of any aggregation") {
    constexpr auto rows = std::size_t{3}, responses = std::size_t{4}, tokens = std::size_t{5}, all = responses * tokens;
    auto const p = problem(rows * responses, tokens, true, true);
    auto const advantage = [&] {
        auto per_response = std::vector<double>{};
        for (std::size_t i = 0; i < rows * responses; ++i) per_response.push_back(p.advantage(i, 0));
        return per_response;
    }();
    auto const stage = surrogate<ratio::sequence>{.trust_region = {.low = 0.05, .high = 0.05}};
    auto const check = [&](auto const& aggregation, auto const& factor) {
        everywhere::in_every_execution([&](auto execution, std::string const& name) {
            CAPTURE(name);
            auto objective = std::vector<double>(rows), gradient = std::vector<double>(rows * all);
            auto const of_tokens = [&](auto& values) { return sequences_of(rows_of(values.data(), rows, all), responses); };
            evaluate(execution, stage | aggregation,
                     inputs(field::log_probability = of_tokens(p.log_p.values),
                            field::old_log_probability = of_tokens(p.old.values), field::mask = of_tokens(p.mask.values),
                            field::advantage = rows_of(advantage.data(), rows, responses)),
                     outputs(field::objective = objective, field::gradient<field::log_probability> = of_tokens(gradient)));
            auto wrong = 0;
            for (std::size_t i = 0; i < rows; ++i) {
                auto total = 0.0;
                for (std::size_t g = i * responses; g < (i + 1) * responses; ++g) {
                    auto const at = [&](std::size_t moved) {
                        auto x = p.sequence(g, moved);
                        x.weight.assign(tokens, 1.0);
                        return number{factor(x.count())} * total_loss(stage, x);
                    };
                    total += at(0).value;
                    for (std::size_t t = 0; t < tokens; ++t) {
                        auto const expected = p.mask(g, t) == 0 ? 0 : at(t).derivative / rows;
                        wrong += !everywhere::close(gradient[g * tokens + t], expected, 1e-13);
                    }
                }
                wrong += !everywhere::close(objective[i], total, 1e-13);
            }
            CHECK(wrong == 0);
        });
    };
    check(aggregation::mean_of_sequences{}, [](double count) { return 1 / count / responses; });
    check(aggregation::sum_of_sequences{}, [](double) { return 1.0 / responses; });
}
