#pragma once

#include <utility>

namespace poise::reward {

/// A reward whose scores are a field of the pipeline other than `field::reward`: one of several that a learner pays.
template <auto Field, class Reward>
struct named : Reward {};

/// A reward for a learner to give as a field of that name:
///     learner(policy, std::tuple{reward::as<field::reward>(correct), reward::as<field::cost>(unsafe)}, ...)
template <auto Field, class Reward>
constexpr named<Field, Reward> as(Reward reward) {
    return {std::move(reward)};
}

} // namespace poise::reward
