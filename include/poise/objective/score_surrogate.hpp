#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/verbs.hpp"
#include "poise/metric/policy_change.hpp"
#include "poise/objective/quantile_levels.hpp"

#include <array>
#include <utility>

/// The surrogates of REC and RED (slug group-relative-reinforce: Yao et al., "Group-Relative REINFORCE Is Secretly an
/// Off-Policy Algorithm", 2025, arXiv 2509.24203). They keep the score: with rho = pi / pi_old, and weight and region
/// constants as the advantage A is,
///     loss = -w A M log pi,   d loss / d log pi = -w A M,   M = 1 within the region, else 0.
namespace poise::trust_region {

/// Which samples still pull, bounds included. A NaN is never outside.
namespace region {

/// All.
struct everywhere {
    constexpr auto outside(auto ratio, auto) const { return ratio < decltype(ratio)(0); }
    constexpr void check_hyperparameters() const {}
};

/// 1 - low <= rho <= 1 + high
struct two_sided {
    double low = 0.2;
    double high = 0.2;

    constexpr auto outside(auto ratio, auto) const {
        using R = real_of<decltype(ratio)>;
        return (ratio < R(1 - low)) | (ratio > R(1 + high));
    }
    constexpr void check_hyperparameters() const {
        require_domain(low >= 0 && low <= 1, "two_sided", "low", "a number in [0, 1]", low);
        require_domain(high >= 0, "two_sided", "high", "a number not below 0", high);
    }
};

/// PPO's: A >= 0 and rho <= 1 + high, or A <= 0 and rho >= 1 - low.
struct one_sided {
    double low = 0.2;
    double high = 0.2;

    constexpr auto outside(auto ratio, auto advantage) const {
        using R = real_of<decltype(ratio)>;
        return ((advantage > R(0)) & (ratio > R(1 + high))) | ((advantage < R(0)) & (ratio < R(1 - low)));
    }
    constexpr void check_hyperparameters() const { two_sided{low, high}.check_hyperparameters(); }
};

/// two_sided, and beyond a ring what pulls back from afar: A >= 0 and rho <= 1 - far_low, or A <= 0 and
/// rho >= 1 + far_high.
struct ring {
    double low = 0.2;
    double high = 0.2;
    double far_low = 0.6;
    double far_high = 2;

    constexpr auto outside(auto ratio, auto advantage) const {
        using R = real_of<decltype(ratio)>;
        auto const pulled_up = (advantage < R(0)) | (ratio > R(1 - far_low));
        auto const pulled_down = (advantage > R(0)) | (ratio < R(1 + far_high));
        return two_sided{low, high}.outside(ratio, advantage) & pulled_up & pulled_down;
    }
    constexpr void check_hyperparameters() const {
        two_sided{low, high}.check_hyperparameters();
        require_domain(far_low >= low, "ring", "far_low", "a number not below low", far_low);
        require_domain(far_high >= high, "ring", "far_high", "a number not below high", far_high);
    }
};

} // namespace region

/// How much a sample's score weighs.
namespace score_weight {

/// 1
struct none {
    constexpr auto operator()(auto ratio, auto) const { return decltype(ratio)(1); }
    constexpr void check_hyperparameters() const {}
};

/// rho
struct importance_ratio {
    constexpr auto operator()(auto ratio, auto) const { return ratio; }
    constexpr void check_hyperparameters() const {}
};

/// e^{A / temperature}: RED-Weight. The weighted REINFORCE that it makes also imitates what was rewarded.
struct exponential_advantage {
    double temperature = 1;

    constexpr auto operator()(auto, auto advantage) const {
        return math::exp(advantage / real_of<decltype(advantage)>(temperature));
    }
    constexpr void check_hyperparameters() const {
        require_domain(temperature > 0, "exponential_advantage", "temperature", "a number above 0", temperature);
    }
};

} // namespace score_weight

/// The factor w M at the score.
template <class Region = region::one_sided, class Weight = score_weight::none>
struct score {
    Region region{};
    Weight score_weight{};

    template <class T>
    constexpr T weight(T log_ratio, T advantage) const {
        auto const ratio = math::exp(log_ratio);
        return math::select(region.outside(ratio, advantage), T(0), T(score_weight(ratio, advantage)));
    }
    constexpr void check_hyperparameters() const {
        region.check_hyperparameters();
        score_weight.check_hyperparameters();
    }
};

} // namespace poise::trust_region

namespace poise::objective {

/// loss = -w A M log pi, per element, of the region and weight above. GRPO's gradient is that of
/// `score_surrogate<region::one_sided, score_weight::importance_ratio>` on `group_relative` advantages: that of
/// `clipped_surrogate`. As a kernel throws where a weight overflows.
template <class Region = trust_region::region::one_sided, class Weight = trust_region::score_weight::none>
struct score_surrogate {
    Region region{};
    Weight weight{};

    using reads = fields<field::log_probability, field::old_log_probability, field::advantage>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "advantage", "loss",
                                               "gradient"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto advantage, writable_row auto loss, writable_row auto gradient) const {
        map_pair(
            loss, gradient,
            [by = trust_region::score<Region, Weight>{region, weight}](auto log_p, auto old, auto a) {
                using V = decltype(log_p);
                auto const factor = by.weight(V(log_p - old), V(a));
                auto const slope = -factor * a;
                auto const none = factor == V(0); // 0 times the log of an action that has become impossible
                return std::pair{math::select(none, slope, slope * log_p), slope};
            },
            log_probability, old_log_probability, advantage);
    }
    constexpr void check_hyperparameters() const {
        region.check_hyperparameters();
        weight.check_hyperparameters();
    }
    constexpr void check(auto const& log_probability, auto const& old_log_probability, auto const& advantage,
                         auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("score_surrogate", argument_names, log_probability, old_log_probability, advantage,
                              others...);
        if constexpr (std::is_same_v<Weight, trust_region::score_weight::exponential_advantage>)
            poise::detail::for_each_element(advantage, [&](auto a) {
                require_domain(!math::isinf(weight(a, a)), "score_surrogate", "advantage",
                               "numbers whose e^{A / temperature} is finite", a);
            });
    }
};

} // namespace poise::objective

namespace poise::metric {

/// The fraction of elements outside of a region: what does not pull any more. 0 where none counts.
template <class Region = trust_region::region::one_sided>
struct outside_fraction {
    Region region{};

    using reads = fields<field::log_probability, field::old_log_probability, field::advantage>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<>;
    using writes_per_row = fields<field::clip_fraction>;
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "advantage", "clip_fraction",
                                               "mask"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto advantage, writable_row auto fraction,
                              row_of_reals auto... mask) const {
        using T = value_of<decltype(fraction)>;
        auto const out = [by = region](auto log_p, auto old, auto a, auto... m) {
            using V = decltype(log_p);
            auto const one = math::select(by.outside(V(math::exp(log_p - old)), V(a)), V(1), V(0));
            if constexpr (sizeof...(m) == 0)
                return one;
            else
                return counted(m..., one);
        };
        auto const count = [&] {
            if constexpr (sizeof...(mask) == 0)
                return T(real_of<T>(advantage.size()));
            else
                return T(sum(mask...));
        }();
        fraction[0] = T(sum(out, log_probability, old_log_probability, advantage, mask...)) / math::max(count, T(1));
    }
    constexpr void check_hyperparameters() const { region.check_hyperparameters(); }
    constexpr void check(auto const& log_probability, auto const& old_log_probability, auto const& advantage,
                         auto const& fraction, auto const&... mask) const {
        constexpr auto name = "outside_fraction";
        check_hyperparameters();
        require_length_of(name, "old_log_probability", old_log_probability, log_probability);
        require_length_of(name, "advantage", advantage, log_probability);
        require_length(name, "clip_fraction", fraction, 1);
        (require_length_of(name, "mask", mask, log_probability), ...);
    }
};

} // namespace poise::metric
