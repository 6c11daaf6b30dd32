#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/verbs.hpp"

/// The importance ratio rho of a surrogate, pi to the policy that sampled, as its logarithm. An uncoupled ratio is of
/// one element: `log_ratio(log pi, old log pi)`. A coupled one is of a whole sequence, from the rows of its tokens;
/// `pull_back` turns the slopes that the surrogate wrote, in log rho at each token, into those in log pi. Padding
/// behind the mask enters neither.
namespace poise::ratio {

/// pi / pi_old of each token: PPO, GRPO.
struct token {
    using reads = fields<field::log_probability, field::old_log_probability, field::advantage>;
    static constexpr bool couples_tokens = false;

    constexpr auto log_ratio(auto log_p, auto old) const { return log_p - old; }
};

/// 1, with the gradient of log pi: the policy that sampled is this one, whose log-probabilities nobody kept.
struct none {
    using reads = fields<field::log_probability, field::log_probability, field::advantage>;
    static constexpr bool couples_tokens = false;

    constexpr auto log_ratio(auto log_p, auto) const { return decltype(log_p)(0); }
};

/// Of a response of which only the sums of its tokens' log-probabilities are known, and its length n: (pi /
/// pi_old)^{1/n}.
struct per_length {
    using reads = fields<field::log_probability, field::old_log_probability, field::advantage, field::length>;
    static constexpr bool couples_tokens = false;

    constexpr auto log_ratio(auto log_p, auto old) const { return log_p - old; }
};

namespace detail {

using reads_of_coupled = fields<field::log_probability, field::old_log_probability, field::advantage, field::mask,
                                field::surrogate_weight>;

/// sum_t m_t (log pi_t - log pi_old,t)
constexpr auto sum_of_log_ratios(auto log_p, auto old, auto mask) {
    return sum([](auto l, auto o, auto m) { return counted(m, l - o); }, log_p, old, mask);
}

template <class Row>
constexpr auto count_of(Row mask) {
    using T = value_of<Row>;
    return math::max(T(sum(mask)), T(1));
}

} // namespace detail

/// The geometric mean of a sequence's n tokens, log rho = (1/n) sum_t (log pi_t - log pi_old,t): GSPO (Zheng et al.,
/// "Group sequence policy optimization", 2025, arXiv 2507.18071).
struct sequence {
    using reads = detail::reads_of_coupled;
    static constexpr bool couples_tokens = true;
    static constexpr bool couples_gradients = true;

    constexpr auto log_ratio(auto log_p, auto old, auto, auto mask, auto) const {
        return detail::sum_of_log_ratios(log_p, old, mask) / detail::count_of(mask);
    }
    constexpr void pull_back(auto slope, auto, auto, auto, auto mask, auto) const {
        fill(slope, sum(slope) / detail::count_of(mask));
    }
};

/// The value of `sequence`, the gradient of `token`: GSPO-token, for advantages that differ from token to token (the
/// same paper).
struct sequence_token {
    using reads = detail::reads_of_coupled;
    static constexpr bool couples_tokens = true;
    static constexpr bool couples_gradients = false;

    constexpr auto log_ratio(auto log_p, auto old, auto advantage, auto mask, auto weight) const {
        return sequence{}.log_ratio(log_p, old, advantage, mask, weight);
    }
    constexpr void pull_back(auto, auto, auto, auto, auto, auto) const {}
};

/// The whole sequence's pi / pi_old, log rho = sum_t (log pi_t - log pi_old,t): RLOO, VESPO. `bound` holds the
/// logarithm of each token within [-bound, bound]: for losses that keep the score, as the gradient leaves it out.
struct sequence_sum {
    double bound = math::infinity<double>;

    using reads = detail::reads_of_coupled;
    static constexpr bool couples_tokens = true;
    static constexpr bool couples_gradients = true;

    constexpr auto log_ratio(auto log_p, auto old, auto, auto mask, auto) const {
        using R = real_of<value_of<decltype(log_p)>>;
        return sum(
            [most = R(bound)](auto l, auto o, auto m) {
                using V = decltype(l);
                return counted(m, math::clamp(l - o, V(-most), V(most)));
            },
            log_p, old, mask);
    }
    constexpr void pull_back(auto slope, auto, auto, auto, auto, auto) const { fill(slope, sum(slope)); }
    constexpr void check_hyperparameters() const {
        require_domain(bound > 0, "sequence_sum", "bound", "a number above 0", bound);
    }
};

/// `sequence_sum` times the ratio of the old policy to the one that sampled (`field::sampling_ratio`, one factor per
/// token, whose logarithm is held within [log 1e-8, 20]): VESPO's, where an engine samples with other arithmetic.
struct sampled_sequence_sum {
    double bound = 20;

    using reads = fields<field::log_probability, field::old_log_probability, field::advantage, field::mask,
                         field::surrogate_weight, field::sampling_ratio>;
    static constexpr bool couples_tokens = true;
    static constexpr bool couples_gradients = true;

    constexpr auto log_ratio(auto log_p, auto old, auto advantage, auto mask, auto weight, auto sampling_ratio) const {
        using R = real_of<value_of<decltype(log_p)>>;
        auto const of_sampling = sum(
            [](auto r) {
                using V = decltype(r);
                return math::clamp(math::log(r), V(R(-18.420680743952367)), V(R(20)));
            },
            sampling_ratio);
        return sequence_sum{bound}.log_ratio(log_p, old, advantage, mask, weight) + of_sampling;
    }
    constexpr void pull_back(auto slope, auto, auto, auto, auto, auto) const { fill(slope, sum(slope)); }
    constexpr void check_hyperparameters() const { sequence_sum{bound}.check_hyperparameters(); }
};

/// The geometric mean of GMPO (Zhao et al., "Geometric-mean policy optimization", 2025, arXiv 2507.20673): each token's
/// d = log pi - log pi_old is clipped before the mean, from above by `high` where A > 0, from below by -low elsewhere.
/// The surrogate weight says here which tokens enter the mean. For advantages of whole sequences.
struct clipped_geometric_mean {
    double low = 0.4;
    double high = 0.4;

    using reads = detail::reads_of_coupled;
    static constexpr bool couples_tokens = true;
    static constexpr bool couples_gradients = true;
    static constexpr bool weighs_tokens = true;

    constexpr auto log_ratio(auto log_p, auto old, auto advantage, auto mask, auto weight) const {
        auto const clip = bounds(advantage);
        auto const total = sum(
            [=](auto l, auto o, auto a, auto m, auto w) {
                auto const d = l - o;
                return counted(m, w * math::clamp(d, clip.least(a, d), clip.most(a, d)));
            },
            log_p, old, advantage, mask, weight);
        return total / count_of_weights(mask, weight);
    }
    constexpr void pull_back(auto slope, auto log_p, auto old, auto advantage, auto mask, auto weight) const {
        // Every token holds the slope in log rho of its own loss, the same for all.
        auto const share = sum(slope) / count_of_weights(mask, weight);
        auto const clip = bounds(advantage);
        map(
            slope,
            [=](auto l, auto o, auto a, auto w) {
                auto const d = l - o;
                using V = decltype(d);
                auto const in = V(share) * w;
                return math::select(d < clip.least(a, d), V(0), math::select(d > clip.most(a, d), V(0), in));
            },
            log_p, old, advantage, weight);
    }
    constexpr void check_hyperparameters() const {
        require_domain(low >= 0, "clipped_geometric_mean", "low", "a number not below 0", low);
        require_domain(high >= 0, "clipped_geometric_mean", "high", "a number not below 0", high);
    }

private:
    template <class R>
    struct sided_clip {
        R low, high;
        constexpr auto least(auto a, auto d) const {
            using V = decltype(d);
            return V(math::select(V(a) > V(0), V(-math::infinity<R>), V(-low)));
        }
        constexpr auto most(auto a, auto d) const {
            using V = decltype(d);
            return V(math::select(V(a) > V(0), V(high), V(math::infinity<R>)));
        }
    };
    template <class Row>
    constexpr auto bounds(Row const&) const {
        using R = real_of<value_of<Row>>;
        return sided_clip<R>{static_cast<R>(low), static_cast<R>(high)};
    }
    template <class Row>
    static constexpr auto count_of_weights(Row mask, auto weight) {
        using T = value_of<Row>;
        return math::max(T(sum([](auto m, auto w) { return counted(m, w); }, mask, weight)), T(1));
    }
};

} // namespace poise::ratio
