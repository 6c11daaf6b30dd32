#include "surrogate_problem.hpp"

using namespace surrogate_problem;
using objective::surrogate;

namespace {

template <class Region>
void check_region(Region const& region) {
    auto const stage = surrogate<ratio::token, Region>{.trust_region = region};
    check<double, row_contiguous, execution::sequential, execution::along, execution::parallel<execution::along>>(stage);
    check<float, interleaved, execution::in_lanes>(stage);
}

/// Loss and slope in log rho of one element.
template <class Region>
std::pair<double, double> at(Region const& region, double ratio, double advantage) {
    return region(std::log(ratio), advantage);
}

} // namespace

TEST_CASE("losses of the trust regions are the papers', their gradients the derivatives, in every execution") {
    check_region(trust_region::clipped{.low = 0.1, .high = 0.28, .dual = 1.3});
    check_region(trust_region::unclipped{});
    check_region(trust_region::two_sided{.low = 0.1, .high = 0.28, .delta = 1.15});
    check_region(trust_region::sigmoid{});
    check_region(trust_region::capped_weight{.cap = 1.2});
    check_region(trust_region::gamma_weight{});
}

TEST_CASE("the two-sided clip is the dual clip where its cap lies above the other") {
    for (auto const delta : {1.3, 1.5, 4.0})
        for (auto const a : {-2.0, -0.5, 0.0, 1.5})
            for (auto const c : {0.1, 0.8, 1.0, 1.25, 1.4, 5.0})
                CHECK(at(trust_region::two_sided{.high = 0.28, .delta = delta}, c, a) ==
                      at(trust_region::clipped{.high = 0.28, .dual = delta}, c, a));
}

TEST_CASE("at the edges of the trust regions") {
    using everywhere::infinity;
    // A ratio that overflows: the clip comes before the product, the gate is shut.
    CHECK(trust_region::sigmoid{}(800.0, 1.0) == std::pair{-4.0, -0.0});
    CHECK(trust_region::sigmoid{}(800.0, 0.0).second == 0);
    CHECK(trust_region::capped_weight{}.weight(800.0, 1.0) == 5);
    CHECK(trust_region::gamma_weight{}.weight(800.0, 1.0) == 0);
    CHECK(trust_region::gamma_weight{}.weight(-infinity, 1.0) == doctest::Approx(std::exp(3) * 1e-16));
    CHECK(trust_region::gamma_weight{}.weight(everywhere::nan, 1.0) == 0);
    CHECK(trust_region::two_sided{}(800.0, -1.0) == std::pair{2.0, 0.0});
    // NaN stays NaN.
    CHECK(std::isnan(trust_region::sigmoid{}(everywhere::nan, 1.0).second));
    CHECK(std::isnan(trust_region::two_sided{}(everywhere::nan, 1.0).first));
    CHECK(std::isnan(trust_region::capped_weight{}.weight(everywhere::nan, 1.0)));
}

TEST_CASE("what trust regions refuse") {
    CHECK_THROWS_WITH_AS(surrogate<>{.trust_region = {.low = 1}}.check_hyperparameters(),
                         "clipped: argument 'low': expected a number in [0, 1), got 1", domain_violation);
    CHECK_THROWS_AS(trust_region::clipped{.dual = 1}.check_hyperparameters(), domain_violation);
    CHECK_THROWS_WITH_AS(trust_region::two_sided{.delta = -1}.check_hyperparameters(),
                         "two_sided: argument 'delta': expected a number above 0, got -1", domain_violation);
    CHECK_THROWS_AS(trust_region::sigmoid{.positive_temperature = 0}.check_hyperparameters(), domain_violation);
    CHECK_THROWS_WITH_AS(trust_region::sigmoid{.negative_temperature = -1}.check_hyperparameters(),
                         "sigmoid: argument 'negative_temperature': expected a number above 0, got -1", domain_violation);
    CHECK_THROWS_WITH_AS(trust_region::capped_weight{.cap = 0}.check_hyperparameters(),
                         "capped_weight: argument 'cap': expected a number above 0, got 0", domain_violation);
    CHECK_THROWS_AS(trust_region::gamma_weight{.positive_rate = 0}.check_hyperparameters(), domain_violation);
    CHECK_THROWS_AS((surrogate<ratio::clipped_geometric_mean>{.ratio = {.low = -1}}.check_hyperparameters()),
                    domain_violation);
    CHECK_THROWS_AS((surrogate<ratio::sequence_sum>{.ratio = {.bound = 0}}.check_hyperparameters()), domain_violation);
}
