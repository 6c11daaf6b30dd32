#pragma once

#include <concepts>

namespace poise::solver::detail {

/// What `Real` of an update rule is by the hyper-parameters given, for deduction guides: the type of the first that is no integer, else `double`.
template <class... Given>
struct real_of_given {
    using type = double;
};
template <class First, class... Rest>
struct real_of_given<First, Rest...> {
    using type = First;
};
template <std::integral First, class... Rest>
struct real_of_given<First, Rest...> : real_of_given<Rest...> {};

} // namespace poise::solver::detail
