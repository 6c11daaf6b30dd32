#pragma once

#include "poise/policy/geometric_mixture.hpp"
#include "poise/reward/preference_matrix.hpp"

/// Nash-MD-PG: policy gradients in the regularised preference game against the frozen geometric mixture nu = mix(pi,
/// mu, beta) (slug nash-md: Munos et al., 2023, arXiv 2312.00886, section 7). beta = 0 is self-play, beta = 1 the best
/// response to mu.
namespace poise::objective {

/// The gradient of P_tau(softmax(z) > nu) in the logits z at a frozen opponent nu:
///     r_i = u_i(nu) - 1/2 - tau log(p_i / mu_i),   dP_tau / dz_i = p_i (r_i - sum_k p_k r_k).
/// 1/2 is a control variate: it changes nothing here. `log_policy` is log p, normalised; an action never played gets 0.
constexpr void preference_policy_gradient(writable_row auto gradient, row_of_reals auto preferences,
                                          row_of_reals auto log_policy, row_of_reals auto opponent,
                                          row_of_reals auto reference, auto regularization) {
    using real = real_of<value_of<decltype(log_policy)>>;
    auto const advantage = [tau = regularization](auto u, auto log_p, auto mu) {
        auto const penalty = math::select(tau == real(0), real(0), tau * (log_p - math::log(mu)));
        return math::select(math::exp(log_p) == real(0), real(0), u - real(0.5) - penalty);
    };
    reward::win_probabilities(gradient, preferences, opponent);
    map(gradient, advantage, gradient, log_policy, reference);
    auto const mean = sum([](auto log_p, auto r) { return math::exp(log_p) * r; }, log_policy, gradient);
    map(gradient, [=](auto log_p, auto r) { return math::exp(log_p) * (r - mean); }, log_policy, gradient);
}

/// Kernel: the exact gradient of Nash-MD-PG on softmax logits, in the direction of ascent, against nu = mix(p, mu,
/// beta), which is written to `opponent`; no gradient flows through it.
struct nash_md_policy_gradient {
    double regularization = 0.008; ///< tau; the paper swept 0.005 to 0.02
    double mixture_weight = 0.125; ///< beta, of the reference; the paper found 0.125 to 0.375 best

    static constexpr std::size_t scratch_rows = 1;
    static constexpr std::array<char const*, 5> argument_names = {"preferences", "logits", "reference", "opponent",
                                                                  "gradient"};

    constexpr void operator()(row_of_reals auto preferences, row_of_reals auto logits, row_of_reals auto reference,
                              writable_row auto opponent, writable_row auto gradient, auto const& scratch) const {
        using T = value_of<decltype(logits)>;
        using real = real_of<T>;
        auto const log_policy = matrix_row(scratch[0], 0, logits);
        log_softmax(log_policy, logits);
        map(opponent, math::log, reference);
        policy::log_geometric_mixture(opponent, log_policy, opponent, T(real(mixture_weight)));
        map(opponent, math::exp, opponent);
        preference_policy_gradient(gradient, preferences, log_policy, opponent, reference, T(real(regularization)));
    }

    constexpr void check(auto const& preferences, auto const& logits, auto const& reference, auto const& opponent,
                         auto const& gradient) const {
        constexpr auto name = "nash_md_policy_gradient";
        require_domain(regularization >= 0, name, "regularization", "tau >= 0", regularization);
        require_domain(mixture_weight >= 0 && mixture_weight <= 1, name, "mixture_weight", "beta in [0, 1]",
                       mixture_weight);
        reward::check_preference_batch(name, preferences);
        reward::check_length_batch(name, "logits", logits, preferences);
        reward::check_distribution_batch(name, "reference", reference, preferences);
        reward::check_length_batch(name, "opponent", opponent, preferences);
        reward::check_length_batch(name, "gradient", gradient, preferences);
    }
};

/// Over what the surrogate's log-ratio log pi / mu is taken.
namespace log_ratio {
struct per_token {};    ///< each token its own, as the common trainer does ("token")
struct per_sequence {}; ///< the whole sequence's: the unbiased REINFORCE estimator ("sequence")
} // namespace log_ratio

/// Kernel: the surrogate loss of one sampled sequence whose gradient is the policy gradient, and its gradient in the
/// token log-probabilities l_t, with reference log-probabilities l^mu_t and the probability w that the sample beats the
/// opponent's (for a scalar reward w = sigmoid(score - opponent's score); or a human's 0 or 1):
///     loss = sum_t (tau ratio_t - (w - 1/2)) l_t,   d loss / d l_t = tau ratio_t - (w - 1/2),
/// where ratio_t, held constant, is l_t - l^mu_t, or its sum over the sequence. Sums are over tokens of mask 1; others
/// count for nothing, whatever they hold. Both results are multiplied by `scale`: 1 / B makes the sum over B samples
/// their mean.
template <class LogRatio = log_ratio::per_token>
struct nash_md_surrogate {
    double regularization = 0.008; ///< tau
    double scale = 1;
    LogRatio log_ratio{};

    static constexpr std::array<char const*, 6> argument_names = {
        "log_probability", "reference_log_probability", "mask", "win_probability", "loss", "gradient"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto reference_log_probability,
                              row_of_reals auto mask, row_of_reals auto win_probability, writable_row auto loss,
                              writable_row auto gradient) const {
        using T = value_of<decltype(log_probability)>;
        using real = real_of<T>;
        auto const tau = T(real(regularization)), weight = T(real(scale));
        auto const gain = T(win_probability[0]) - T(real(0.5));
        auto const ratio = [](auto l, auto reference, auto m) {
            return math::select(m == real(0), real(0), l - reference);
        };
        // At tau = 0 nothing, whatever the ratio: a token that the reference excludes has an infinite one.
        auto const penalty = [=](auto of) { return math::select(tau == real(0), real(0), tau * of); };
        if constexpr (std::is_same_v<LogRatio, log_ratio::per_sequence>) {
            auto const whole = sum(ratio, log_probability, reference_log_probability, mask);
            map(
                gradient, [=](auto m) { return math::select(m == real(0), real(0), weight * (penalty(whole) - gain)); },
                mask);
        } else {
            map(
                gradient,
                [=](auto l, auto reference, auto m) {
                    return math::select(m == real(0), real(0), weight * (penalty(ratio(l, reference, m)) - gain));
                },
                log_probability, reference_log_probability, mask);
        }
        loss[0] = sum([](auto g, auto l, auto m) { return math::select(m == real(0), real(0), g * l); }, gradient,
                      log_probability, mask);
    }

    constexpr void check(auto const& log_probability, auto const& reference_log_probability, auto const& mask,
                         auto const& win_probability, auto const& loss, auto const& gradient) const {
        constexpr auto name = "nash_md_surrogate";
        require_domain(regularization >= 0, name, "regularization", "tau >= 0", regularization);
        reward::check_number_batch(name, "win_probability", win_probability);
        reward::check_number_batch(name, "loss", loss);
        for (std::size_t i = 0; i < log_probability.rows(); ++i) {
            auto const n = log_probability.length(i);
            require(reference_log_probability.length(i) == n, name, "reference_log_probability", n,
                    reference_log_probability.length(i));
            require(mask.length(i) == n, name, "mask", n, mask.length(i));
            require(gradient.length(i) == n, name, "gradient", n, gradient.length(i));
            for (std::size_t k = 0; k < n; ++k)
                require_domain(mask(i, k) == 0 || mask(i, k) == 1, name, "mask", "0 or 1", mask(i, k));
            auto const w = win_probability(i, 0);
            require_domain(w >= 0 && w <= 1, name, "win_probability", "a probability in [0, 1]", w);
        }
    }
};

} // namespace poise::objective
