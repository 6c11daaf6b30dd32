#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/core/verbs.hpp"

#include <string_view>

/// Weights for samples that came from another policy than the one that the importance ratio knows: an engine that
/// samples with other arithmetic than the one that trains, or one that is some updates behind (slug
/// catalogue-policy-losses, section 4). They multiply the surrogate, not the penalties.
namespace poise::weighting {

/// What becomes of a weight outside of [least, most].
namespace bound {

struct truncated {
    static constexpr auto apply(auto x, auto least, auto most) { return math::clamp(x, least, most); }
};
struct masked {
    template <class V>
    static constexpr V apply(V x, V least, V most) {
        return math::select(x < least, V(0), math::select(x > most, V(0), x));
    }
};

} // namespace bound

namespace detail {

template <class Bound>
struct bounded_weight {
    template <class V>
    static constexpr V of(V log_weight, double least, double most) {
        using R = real_of<V>;
        return Bound::apply(math::exp(log_weight), V(R(least)), V(R(most)));
    }
    static constexpr void check(std::string_view name, double least, double most) {
        require_domain(least >= 0, name, "least", "a number not below 0", least);
        require_domain(most > least, name, "most", "a number above least", most);
        if constexpr (std::is_same_v<Bound, bound::truncated>)
            require_domain(least > 0 || most < math::infinity<double>, name, "most", "a bound: truncation has none",
                           most);
    }
};

} // namespace detail

/// Of each token: w = pi_old / pi_sampling, truncated to [least, most] or 0 outside. Behind the mask the ratio is 1.
template <class Bound = bound::masked>
struct token_sampling_correction {
    double least = 0;
    double most = 3; ///< infinity: no bound

    using reads = fields<field::old_log_probability, field::sampling_log_probability>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<field::surrogate_weight>;

    constexpr void operator()(row_of_reals auto old_log_probability, row_of_reals auto sampling_log_probability,
                              writable_row auto weight, row_of_reals auto... mask) const {
        map(
            weight,
            [=, *this](auto old, auto sampling, auto... m) {
                auto const d = old - sampling;
                if constexpr (sizeof...(m) == 0)
                    return detail::bounded_weight<Bound>::of(d, least, most);
                else
                    return detail::bounded_weight<Bound>::of(counted(m..., d), least, most);
            },
            old_log_probability, sampling_log_probability, mask...);
    }
    constexpr void check_hyperparameters() const {
        detail::bounded_weight<Bound>::check("token_sampling_correction", least, most);
    }
};

/// Of each sequence: w = prod_t pi_old,t / pi_sampling,t, truncated to [least, most] or 0 outside.
template <class Bound = bound::masked>
struct sequence_sampling_correction {
    double least = 0;
    double most = 3; ///< infinity: no bound

    using reads = fields<field::old_log_probability, field::sampling_log_probability>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<>;
    using writes_per_sequence = fields<field::surrogate_weight>;
    using scope = per_sequence;

    constexpr void operator()(row_of_reals auto old_log_probability, row_of_reals auto sampling_log_probability,
                              writable_row auto weight, row_of_reals auto... mask) const {
        using T = value_of<decltype(weight)>;
        auto const total = sum(
            [](auto old, auto sampling, auto... m) {
                auto const d = old - sampling;
                if constexpr (sizeof...(m) == 0)
                    return d;
                else
                    return counted(m..., d);
            },
            old_log_probability, sampling_log_probability, mask...);
        weight[0] = detail::bounded_weight<Bound>::of(T(total), least, most);
    }
    constexpr void check_hyperparameters() const {
        detail::bounded_weight<Bound>::check("sequence_sampling_correction", least, most);
    }
    constexpr void check(auto const& old, auto const& sampling, auto const& weight, auto const&... mask) const {
        check_hyperparameters();
        require_length_of("sequence_sampling_correction", "sampling_log_probability", sampling, old);
        require_length("sequence_sampling_correction", "weight", weight, 1);
        (require_length_of("sequence_sampling_correction", "mask", mask, old), ...);
    }
};

} // namespace poise::weighting
