#include "pld_problem.hpp"

#include "poise/execution/parallel.hpp"

#include <map>

/// Draws of the Plackett-Luce distribution.
using namespace pld_test;

namespace {

template <class T, class Execution>
std::vector<T> rankings(std::vector<T> const& scores, std::size_t draws, std::uint32_t step) {
    auto all = std::vector<T>(draws * scores.size());
    policy::draw_plackett_luce(Execution{}, 42, step, shared_row(scores), rows_of(all.data(), draws, scores.size()));
    return all;
}

} // namespace

TEST_CASE("pld theorem 10: orders by scores plus Gumbel noise are as frequent as their probability") {
    auto const scores = reals{0.3, -1.1, 0.8, 0};
    auto const draws = std::size_t{40000};
    auto const all = rankings<double, execution::in_lanes>(scores, draws, 3);
    auto counts = std::map<reals, double>{};
    for (std::size_t i = 0; i < draws; ++i)
        counts[reals(all.begin() + std::ptrdiff_t(4 * i), all.begin() + std::ptrdiff_t(4 * i + 4))] += 1;
    CHECK(counts.size() == 24);
    auto chi_squared = 0.0;
    for (auto const& [order, count] : counts) {
        auto const expected = static_cast<double>(draws) * std::exp(log_probability(scores, order));
        chi_squared += (count - expected) * (count - expected) / expected;
    }
    CHECK(chi_squared < 49.7); // the 0.1 % point of chi-squared with 23 degrees of freedom
    CHECK(chi_squared > 5);    // draws that fit too well are not random
}

TEST_CASE("pld: the same draws in every execution, others at another step") {
    auto const scores = reals{0.3, -1.1, 0.8, 0, 2, -0.4, 0.31};
    auto const expected = rankings<double, execution::sequential>(scores, 50, 0);
    CHECK(rankings<double, execution::in_lanes>(scores, 50, 0) == expected);
    CHECK(rankings<double, execution::along>(scores, 50, 0) == expected);
    CHECK(rankings<double, execution::parallel<>>(scores, 50, 0) == expected);
    CHECK(rankings<double, execution::sequential>(scores, 50, 1) != expected);
    auto const narrow = rankings<float, execution::along>({scores.begin(), scores.end()}, 50, 0);
    CHECK(reals(narrow.begin(), narrow.end()) == expected);
}
