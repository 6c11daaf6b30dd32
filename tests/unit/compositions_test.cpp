#include "composition_problem.hpp"

#include "poise/estimator/baselines.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"

#include <tuple>
#include <utility>

/// The product of baselines, scales, ratios, trust regions and aggregations: a fixed pseudo-random sample of it, each
/// composition against the plain loop.
namespace {

using namespace composition_problem;

constexpr auto baselines = std::tuple{estimator::uncentered{}, estimator::centered{}, estimator::leave_one_out{},
                                      estimator::shifted_mean{.shift = shift}, over_batch(estimator::centered{})};
using of_deviation = estimator::deviation_scale<estimator::deviation::sample>;
constexpr auto scales = std::tuple{0, of_deviation{1e-4}, over_batch(of_deviation{1e-4})};
constexpr auto ratios = std::tuple{ratio::token{},          ratio::none{},         ratio::sequence{},
                                   ratio::sequence_token{}, ratio::sequence_sum{}, ratio::clipped_geometric_mean{}};
constexpr auto regions = std::tuple{trust_region::clipped{0.1, 0.2, 2}, trust_region::unclipped{},
                                    trust_region::two_sided{},          trust_region::sigmoid{},
                                    trust_region::capped_weight{},      trust_region::gamma_weight{}};
constexpr auto sums = std::tuple{aggregation::mean_of_sequences{},
                                 aggregation::constant_length{greatest_length},
                                 aggregation::mean_over_batch{},
                                 aggregation::sum_of_sequences{},
                                 aggregation::mean{},
                                 aggregation::sum{}};

/// Composition number n of the sample: where the walk by a step that is coprime to all of them stands.
template <auto const& Choices>
constexpr std::size_t choices = std::tuple_size_v<std::remove_cvref_t<decltype(Choices)>>;
constexpr std::size_t all = choices<baselines> * choices<scales> * choices<ratios> * choices<regions> * choices<sums>;
constexpr std::size_t place(std::size_t n) { return (17 + n * 1237) % all; }
static_assert(all == 3240 && std::gcd(all, std::size_t{1237}) == 1);

template <std::size_t N>
bool agrees(problem const& on) {
    constexpr auto b = place(N) % choices<baselines>, rest = place(N) / choices<baselines>;
    constexpr auto s = rest % choices<scales>, rest2 = rest / choices<scales>;
    constexpr auto r = rest2 % choices<ratios>, rest3 = rest2 / choices<ratios>;
    constexpr auto t = rest3 % choices<regions>, a = rest3 / choices<regions>;
    auto const loss = objective::surrogate<std::tuple_element_t<r, std::remove_cv_t<decltype(ratios)>>,
                                           std::tuple_element_t<t, std::remove_cv_t<decltype(regions)>>>{
        std::get<r>(ratios), std::get<t>(regions)};
    auto const advantage = on.advantages(baseline(b), scale(s));
    auto const check = [&](auto const& estimator) {
        return on.agrees(estimator | loss | std::get<a>(sums), advantage, loss, divergence::none, 0, total(a));
    };
    auto const right = [&] {
        if constexpr (s == 0)
            return check(std::get<b>(baselines));
        else
            return check(std::get<b>(baselines) | std::get<s>(scales));
    }();
    INFO("baseline " << b << ", scale " << s << ", ratio " << r << ", trust region " << t << ", aggregation " << a);
    CHECK(right);
    return right;
}

template <std::size_t From, std::size_t... N>
void check_from(std::index_sequence<N...>) {
    auto const on = problem{};
    (agrees<From + N>(on), ...);
}

TEST_CASE("any baseline, scale, ratio, trust region and aggregation make what a plain loop makes") {
    check_from<0>(std::make_index_sequence<32>{});
}

} // namespace
