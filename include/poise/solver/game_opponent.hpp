#pragma once

#include "poise/core/interpolate.hpp"
#include "poise/core/verbs.hpp"

#include <algorithm>

/// Whom a policy plays against while it learns: the one place in which the relatives of Nash-MD differ (slug nash-md).
/// An opponent is called as `opponent(out, log_policy, log_mixture, log_reference)` and writes its probabilities to
/// `out`; the rows of logarithms are unnormalised, the greatest of `log_mixture` is 0.
namespace poise::solver::opponent {

/// An opponent that draws at random, by `draws`: each game needs a replica of its own.
template <class Opponent>
concept draws_actions = requires(Opponent const& opponent) { opponent.draws; };

/// The geometric mixture of the policy and the reference that the step starts from: Nash-MD.
struct geometric_mixture {
    constexpr void operator()(writable_row auto out, row_of_reals auto, row_of_reals auto log_mixture,
                              row_of_reals auto) const {
        map(out, math::exp, log_mixture); // a softmax: nothing to shift
        auto const scale = value_of<decltype(out)>(1) / sum(out);
        map(out, [=](auto p) { return p * scale; }, out);
    }
};

/// The policy itself: regularised self-play ("OMD"), at tau = 0 multiplicative weights.
struct self {
    constexpr void operator()(writable_row auto out, row_of_reals auto log_policy, row_of_reals auto,
                              row_of_reals auto) const {
        softmax(out, log_policy);
    }
};

/// The reference: best-response dynamics, whose limit is BR_tau(mu), the usual RLHF with a preference reward.
struct reference {
    constexpr void operator()(writable_row auto out, row_of_reals auto, row_of_reals auto,
                              row_of_reals auto log_reference) const {
        softmax(out, log_reference);
    }
};

/// An exponential moving average of the policy's logits, theta_bar_t = decay theta_bar_{t-1} + (1 - decay) theta_t from
/// theta_bar_0 = theta_0: Nash-EMA in tabular form. It has a memory, `average`: one logit per action, empty before the
/// start.
template <class Memory>
struct exponential_moving_average {
    typename Memory::value_type decay;
    Memory average{};
    bool started = false;

    constexpr void operator()(writable_row auto out, row_of_reals auto log_policy, row_of_reals auto,
                              row_of_reals auto) {
        auto const kept = decay;
        if (started)
            map(
                row(average), [=](auto a, auto theta) { return math::interpolate(theta, a, kept); }, row(average),
                log_policy);
        else
            copy(row(average), log_policy);
        started = true;
        softmax(out, row(average));
    }
};

} // namespace poise::solver::opponent
