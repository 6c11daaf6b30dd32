#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "../../examples/gallery/runner/statistics.hpp"

TEST_CASE("Student's quantiles are those of the tables") {
    struct entry {
        std::size_t degrees;
        double quantile;
    };
    for (auto const [degrees, quantile] : {entry{1, 12.7062},
                                           {2, 4.30265},
                                           {3, 3.18245},
                                           {4, 2.77645},
                                           {5, 2.57058},
                                           {9, 2.26216},
                                           {10, 2.22814},
                                           {30, 2.04227},
                                           {99, 1.98422}})
        CHECK(std::abs(gallery::student_t_quantile(0.95, degrees) / quantile - 1) < 3e-6);
    CHECK(std::abs(gallery::student_t_quantile(0.95, 1) - std::tan(0.475 * std::numbers::pi)) < 1e-10); // Cauchy
    CHECK(std::abs(gallery::student_t_quantile(0.95, 2) - 0.95 * std::sqrt(2 / (1 - 0.95 * 0.95))) < 1e-12);
}

TEST_CASE("a summary holds mean, interval and range") {
    auto const s = gallery::summarize({.name = "m", .values = {1, 2, 3, 4}, .accepted = {2, 3}});
    CHECK(s.mean == 2.5);
    CHECK(std::abs(s.half_width - 3.182446305 * std::sqrt(5.0 / 3 / 4)) < 1e-8);
    CHECK(s.minimum == 1);
    CHECK(s.maximum == 4);
    CHECK(s.in_band);
}

TEST_CASE("the band is for the mean or for each value, and never holds a NaN") {
    constexpr auto nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_FALSE(gallery::summarize({.values = {1, 4}, .accepted = {2, 3}, .every_seed = true}).in_band);
    CHECK(gallery::summarize({.values = {2, 3}, .accepted = {2, 3}, .every_seed = true}).in_band);
    CHECK_FALSE(gallery::summarize({.values = {4}, .accepted = {2, 3}}).in_band);
    CHECK_FALSE(gallery::summarize({.values = {nan}, .accepted = {}}).in_band);
    CHECK_FALSE(gallery::summarize({.values = {1, nan}, .accepted = {}, .every_seed = true}).in_band);
    CHECK_FALSE(gallery::summarize({.values = {1, nan}, .accepted = {}}).in_band);
    CHECK(std::isnan(gallery::summarize({.values = {1, nan}}).minimum));
    CHECK(std::isnan(gallery::summarize({.values = {1}}).half_width));
}

TEST_CASE("equal values have exactly their value as mean") {
    CHECK(gallery::summarize({.values = {0.1, 0.1, 0.1}, .accepted = {0.1, 0.1}}).in_band);
}
