#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/estimator/order_statistic.hpp"

namespace poise::weighting {

/// Only the tokens of greatest entropy pull (Wang et al., "Beyond the 80/20 rule", 2025, arXiv 2506.01939; slug
/// catalogue-policy-losses, section 4): w = 1 where H is at least its (1 - fraction)-quantile over the n tokens that
/// count, linear between order statistics at position (1 - fraction)(n - 1), else 0. Behind the mask w = 0. Of all
/// tokens of a batch with `over_batch(top_entropy{})`.
struct top_entropy {
    double fraction = 0.2; ///< in (0, 1]

    using reads = fields<field::entropy>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<field::surrogate_weight>;
    static constexpr std::size_t scratch_rows = estimator::order_statistic_scratch + 1;

    constexpr void operator()(row_of_reals auto entropy, writable_row auto weight, auto const& scratch) const {
        using T = value_of<decltype(weight)>;
        auto const bound = quantile<T>(entropy, T(real_of<T>(entropy.size())), scratch);
        map(
            weight, [=](auto h) { return math::select(h >= decltype(h)(bound), decltype(h)(1), decltype(h)(0)); },
            entropy);
    }
    constexpr void operator()(row_of_reals auto entropy, writable_row auto weight, row_of_reals auto mask,
                              auto const& scratch) const {
        using T = value_of<decltype(weight)>;
        auto const keys = segment(scratch[estimator::order_statistic_scratch], 0, entropy.size());
        // What does not count comes last.
        map(keys, [](auto h, auto m) { return counted(m, h, decltype(h)(math::infinity<real_of<T>>)); }, entropy, mask);
        auto const bound = quantile<T>(keys, T(sum(mask)), scratch);
        map(
            weight,
            [=](auto h, auto m) {
                using V = decltype(h);
                return counted(m, math::select(h >= V(bound), V(1), V(0)));
            },
            entropy, mask);
    }
    constexpr void check_hyperparameters() const {
        require_domain(fraction > 0 && fraction <= 1, "top_entropy", "fraction", "a number in (0, 1]", fraction);
    }
    constexpr void check(auto const& entropy, auto const&... others) const {
        check_hyperparameters();
        (require_length_of("top_entropy", "what belongs to entropy", others, entropy), ...);
    }

private:
    template <class T>
    constexpr T quantile(auto keys, T count, auto const& scratch) const {
        using R = real_of<T>;
        if (keys.size() == 0) return T(0);
        auto const sorted = estimator::detail::in_order(keys, scratch);
        auto const place = segment<1>(scratch[0], 0), found = segment<1>(scratch[1], 0);
        auto const at = [&](T k) {
            place[0] = math::clamp(k, T(0), T(R(keys.size() - 1)));
            gather(found, sorted, place);
            return T(found[0]);
        };
        auto const last = math::max(count - T(1), T(0));
        auto const position = T(R(1 - fraction)) * last, below = math::floor(position);
        auto const low = at(below), high = at(math::min(below + T(1), last));
        // No infinity times 0, and exactly an order statistic where the position is one.
        return math::select(position == below, low, low + (position - below) * (high - low));
    }
};

} // namespace poise::weighting
