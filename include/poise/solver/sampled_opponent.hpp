#pragma once

#include "poise/random/discrete.hpp"
#include "poise/solver/game_opponent.hpp"

namespace poise::solver::opponent {

/// One action drawn from another opponent at each step, so that u_i = P[i][y'] with y' ~ nu is an unbiased sample of
/// the payoffs (slug nash-md). The draw of step t is at (seed, replica, t), lane i's replica being `draws.replica` + i.
template <class Base>
struct sampled {
    Base base{};
    random::generator draws{};
    std::uint32_t step = 0;

    constexpr void operator()(writable_row auto out, row_of_reals auto log_policy, row_of_reals auto log_mixture,
                              row_of_reals auto log_reference) {
        using T = value_of<decltype(out)>;
        base(out, log_policy, log_mixture, log_reference);
        auto const action = T(random::categorical(draws.at(step), out));
        ++step;
        map(out, [=](auto k) { return math::select(T(k) == action, T(1), T(0)); }, indices_of(out));
    }
};

} // namespace poise::solver::opponent
