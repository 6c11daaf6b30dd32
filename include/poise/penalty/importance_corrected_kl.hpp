#pragma once

#include "poise/penalty/kl.hpp"

namespace poise::penalty {

/// An estimate of the divergence from a reference, corrected for samples that an older policy drew (slug
/// catalogue-policy-losses, section 5): with rho = pi / pi_old and d = log pi - log ref,
///     loss = coefficient rho k(d),   d loss / d log pi = coefficient rho (k'(d) + k(d)),
/// the gradient through both factors.
template <class Estimate = k3>
struct importance_corrected_kl {
    double coefficient = 0.1;
    Estimate estimate{};

    using reads = fields<field::log_probability, field::old_log_probability, field::reference_log_probability>;
    using writes = fields<field::loss, field::gradient<field::log_probability>>;
    static constexpr bool writes_once = true;
    static constexpr std::array argument_names{"log_probability", "old_log_probability", "reference_log_probability",
                                               "loss", "gradient"};

    constexpr void operator()(row_of_reals auto log_probability, row_of_reals auto old_log_probability,
                              row_of_reals auto reference_log_probability, writable_row auto loss,
                              writable_row auto gradient) const {
        auto const c = real_of<value_of<decltype(loss)>>(coefficient);
        map_pair(
            loss, gradient,
            [c, k = estimate](auto log_p, auto old, auto log_q) {
                auto const [value, slope] = k(log_p - log_q);
                auto const ratio = c * math::exp(log_p - old);
                return std::pair{ratio * value, ratio * (slope + value)};
            },
            log_probability, old_log_probability, reference_log_probability);
    }
    constexpr void check_hyperparameters() const {
        require_domain(coefficient >= 0 && math::isfinite(coefficient), "importance_corrected_kl", "coefficient",
                       "a finite number not below 0", coefficient);
        if constexpr (requires { estimate.check_hyperparameters(); }) estimate.check_hyperparameters();
    }
    constexpr void check(auto const& log_probability, auto const&... others) const {
        check_hyperparameters();
        require_equal_lengths("importance_corrected_kl", argument_names, log_probability, others...);
    }
};

} // namespace poise::penalty
