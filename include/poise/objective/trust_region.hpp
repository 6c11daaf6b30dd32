#pragma once

#include "poise/core/error.hpp"
#include "poise/core/math.hpp"

#include <string_view>
#include <utility>

/// What a surrogate makes of the importance ratio rho and the advantage A, a constant: how far a policy may move from
/// the one that sampled before its samples stop pulling it. A trust region gives either the loss and its slope in log
/// rho, `region(log rho, A)`, or the factor at the score, a constant too, `region.weight(log rho, A)`:
///     loss = -weight A log pi,   d loss / d log pi = -weight A.
namespace poise::trust_region {

namespace detail {

/// -A rho, rho held within bounds: outside of them, and not on them, nothing pulls. A NaN is not clipped.
constexpr auto clipped_loss(auto ratio, auto advantage, auto least, auto most) {
    using T = decltype(ratio);
    auto const inside = math::select(ratio < least, T(0), math::select(ratio > most, T(0), ratio));
    return std::pair{-advantage * math::clamp(ratio, least, most), -advantage * inside};
}

constexpr void check_clip(std::string_view name, double low, double high) {
    require_domain(low >= 0 && low < 1, name, "low", "a number in [0, 1)", low);
    require_domain(high >= 0, name, "high", "a number not below 0", high);
}

} // namespace detail

/// PPO's clip (Schulman et al., "Proximal policy optimization algorithms", 2017, equation 7):
///     loss = -min(A rho, A clip(rho, 1 - low, 1 + high)),   and for A < 0 at most -dual A
/// (dual clip: Ye et al., "Mastering complex control in MOBA games", AAAI 2020, equation 5). That is -A rho with rho
/// clipped from above by 1 + high where A >= 0, and to [1 - low, dual] where A < 0.
struct clipped {
    double low = 0.2;
    double high = 0.2;
    double dual = math::infinity<double>; ///< greater than 1; infinity: no dual clip

    template <class T>
    constexpr auto operator()(T log_ratio, T advantage) const {
        using R = real_of<T>;
        auto const negative = advantage < R(0);
        return detail::clipped_loss(math::exp(log_ratio), advantage, T(math::select(negative, T(R(1 - low)), T(0))),
                                    T(math::select(negative, T(R(dual)), T(R(1 + high)))));
    }
    constexpr void check_hyperparameters(std::string_view name = "clipped") const {
        detail::check_clip(name, low, high);
        require_domain(dual > 1, name, "dual", "a number above 1", dual);
    }
};

/// The ratio as it is: loss = -A rho.
struct unclipped {
    template <class T>
    constexpr auto operator()(T log_ratio, T advantage) const {
        auto const loss = -advantage * math::exp(log_ratio);
        return std::pair{loss, loss};
    }
};

/// The two-sided clip with a cap of its own for any sign of A:
///     loss = -min(A min(rho, delta), A clip(rho, 1 - low, 1 + high)).
/// With delta > 1 + high it is `clipped` with dual = delta.
struct two_sided {
    double low = 0.2;
    double high = 0.2;
    double delta = 2; ///< greater than 0

    template <class T>
    constexpr auto operator()(T log_ratio, T advantage) const {
        using R = real_of<T>;
        auto const negative = advantage < R(0);
        auto const above = delta < 1 + high ? delta : 1 + high, below = delta < 1 + high ? 1 + high : delta;
        return detail::clipped_loss(math::exp(log_ratio), advantage, T(math::select(negative, T(R(1 - low)), T(0))),
                                    T(math::select(negative, T(R(below)), T(R(above)))));
    }
    constexpr void check_hyperparameters() const {
        detail::check_clip("two_sided", low, high);
        require_domain(delta > 0, "two_sided", "delta", "a number above 0", delta);
    }
};

/// The soft gate of SAPO (Gao et al., "Soft adaptive policy optimization", 2025): with q = sigmoid(tau (rho - 1)), tau
/// by the sign of A,
///     loss = -(4 / tau) q A,   d loss / d rho = -4 q (1 - q) A,
/// which is -A at rho = 1 and fades out on both sides.
struct sigmoid {
    double positive_temperature = 1;    ///< tau where A > 0
    double negative_temperature = 1.05; ///< elsewhere

    template <class T>
    constexpr auto operator()(T log_ratio, T advantage) const {
        using R = real_of<T>;
        auto const ratio = math::exp(log_ratio);
        auto const tau = math::select(advantage > R(0), T(R(positive_temperature)), T(R(negative_temperature)));
        auto const gate = math::sigmoid(tau * (ratio - T(1)));
        auto const fading = gate * (T(1) - gate);
        auto const slope = math::select(fading == T(0), T(0), fading * ratio); // no 0 times infinity
        return std::pair{T(-4) / tau * gate * advantage, T(-4) * slope * advantage};
    }
    constexpr void check_hyperparameters() const {
        constexpr auto expected = "a number above 0";
        require_domain(positive_temperature > 0, "sigmoid", "positive_temperature", expected, positive_temperature);
        require_domain(negative_temperature > 0, "sigmoid", "negative_temperature", expected, negative_temperature);
    }
};

/// The capped weight of CISPO (MiniMax, "MiniMax-M1", 2025, arXiv 2506.13585): min(rho, cap) at the score, so that no
/// token falls silent. The cap is the greatest weight itself, not 1 + something.
struct capped_weight {
    double cap = 5;
    static constexpr bool keeps_score = true;

    template <class T>
    constexpr T weight(T log_ratio, T) const {
        return math::min(math::exp(log_ratio), T(real_of<T>(cap)));
    }
    constexpr void check_hyperparameters() const {
        require_domain(cap > 0, "capped_weight", "cap", "a number above 0", cap);
    }
};

/// The weight of VESPO ("variational sequence-level soft policy optimization", 2026), for ratios of whole sequences: a
/// Gamma density's shape, 1 at rho = 1 and greatest at rho = shape / rate,
///     weight = e^rate rho^shape e^{-rate rho},   log rho held within [log 1e-8, 20];
/// 0 where that is not finite. Shape and rate by the sign of A.
struct gamma_weight {
    double positive_shape = 2; ///< where A >= 0
    double positive_rate = 3;  ///< where A >= 0; at least 1e-4
    double negative_shape = 3;
    double negative_rate = 2; ///< at least 1e-4
    static constexpr bool keeps_score = true;

    template <class T>
    constexpr T weight(T log_ratio, T advantage) const {
        using R = real_of<T>;
        auto const negative = advantage < R(0);
        auto const shape = math::select(negative, T(R(negative_shape)), T(R(positive_shape)));
        auto const rate = math::select(negative, T(R(negative_rate)), T(R(positive_rate)));
        auto const bounded = math::clamp(log_ratio, T(R(-18.420680743952367)), T(20)); // log 1e-8
        auto const weight = math::exp(shape * bounded - rate * math::expm1(bounded));
        return math::select(math::isfinite(weight), weight, T(0));
    }
    constexpr void check_hyperparameters() const {
        constexpr auto name = "gamma_weight";
        require_domain(positive_shape >= 0, name, "positive_shape", "a number not below 0", positive_shape);
        require_domain(negative_shape >= 0, name, "negative_shape", "a number not below 0", negative_shape);
        require_domain(positive_rate >= 1e-4, name, "positive_rate", "a number not below 1e-4", positive_rate);
        require_domain(negative_rate >= 1e-4, name, "negative_rate", "a number not below 1e-4", negative_rate);
    }
};

} // namespace poise::trust_region
