// expect: rows_of_equal_length
// expect: static lengths differ
#include "poise/core/verbs.hpp"

#include <array>

int main() {
    auto const three = std::array{1.0, 2.0, 3.0};
    auto four = std::array<double, 4>{};
    poise::map(poise::row(four), poise::math::exp, poise::row(three));
}
