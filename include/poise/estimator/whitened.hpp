#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/estimator/center.hpp"
#include "poise/estimator/deviation.hpp"

#include <array>

namespace poise::estimator {

/// (A_k - mean(A)) / sqrt(s^2 + epsilon), s^2 the unbiased variance of the row, or of what the mask lets count of it;
/// behind the mask 0. With `keep_mean` the mean is put back: only the scale changes. Throws for fewer than two elements
/// that count. PPO's advantages over a batch with `over_batch(whitened{})` (slug catalogue-policy-losses, section 8).
struct whitened {
    double epsilon = 1e-8;
    bool keep_mean = false;

    using reads = fields<field::advantage>;
    using reads_if_given = fields<field::mask>;
    using writes = fields<field::advantage>;
    static constexpr std::array argument_names{"advantage", "whitened", "mask"};

    constexpr void operator()(row_of_reals auto advantage, writable_row auto out, row_of_reals auto... mask) const {
        using T = value_of<decltype(out)>;
        auto const count = counted_elements<T>(advantage.size(), mask...);
        auto const mean = T(sum(
                              [](auto a, auto... m) {
                                  if constexpr (sizeof...(m) == 0)
                                      return a;
                                  else
                                      return counted(m..., a);
                              },
                              advantage, mask...)) /
                          math::max(count, T(1));
        center(out, advantage, mask...);
        auto const deviation = standard_deviation_of_centered<deviation::sample>(out, mask...);
        auto const scale = math::sqrt(deviation * deviation + T(static_cast<real_of<T>>(epsilon)));
        auto const divisor = math::select(scale == T(0), T(1), scale);
        auto const shift = keep_mean ? mean : T(0);
        map(
            out,
            [=](auto a, auto... m) {
                using V = decltype(a);
                auto const result = a / V(divisor) + V(shift);
                if constexpr (sizeof...(m) == 0)
                    return result;
                else
                    return counted(m..., result);
            },
            out, mask...);
    }
    constexpr void check_hyperparameters() const {
        require_domain(epsilon >= 0, "whitened", "epsilon", "a number not below 0", epsilon);
    }
    constexpr void check_length(std::size_t elements) const {
        require(elements > 1, "whitened", "advantage", "at least 2 elements", elements);
    }
    constexpr void check(auto const& advantage, auto const& whitened_advantage, auto const&... mask) const {
        check_hyperparameters();
        require_equal_lengths("whitened", argument_names, advantage, whitened_advantage, mask...);
        for (std::size_t i = 0; i < advantage.rows(); ++i) check_length(advantage.length(i));
        [[maybe_unused]] auto const check_mask = [](auto const& counts) {
            for (std::size_t i = 0; i < counts.rows(); ++i) {
                auto total = std::remove_cvref_t<decltype(counts(0, 0))>(0);
                for (std::size_t k = 0; k < counts.length(i); ++k) total = total + counts(i, k);
                require(!(total < decltype(total)(2)), "whitened", "mask", "at least 2 elements that count", total);
            }
        };
        (check_mask(mask), ...);
    }
};

} // namespace poise::estimator
