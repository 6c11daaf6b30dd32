#pragma once

#include "poise/core/lengths.hpp"
#include "poise/weighting/selection.hpp"

namespace poise::weighting {

/// The tokens of largest |A| H, advantage times entropy of the next token's distribution (slug d3s: "Learning More with
/// Less: Dynamic Dual-Level Down-Sampling", 2025, arXiv 2509.22115): mask = 1 for ceil(fraction M) of the M tokens that
/// count, by a given mask and by a `selection` of rollouts, at least one; ties by index. The selection is a constant:
/// what it leaves out has no gradient. `over_batch` of it looks at the tokens of the whole batch. As a kernel throws
/// for a fraction outside (0, 1], rows without a token that counts, and NaN in such tokens, of which a
/// pipeline makes NaN.
struct top_tokens {
    double fraction = 0.2;

    using reads = fields<field::advantage, field::entropy>;
    using reads_if_given = fields<field::mask, field::selection>;
    using writes = fields<field::mask>;
    static constexpr std::array argument_names{"advantage", "entropy", "chosen", "mask", "selection"};
    static constexpr std::size_t scratch_rows = selection_scratch + 2;

    constexpr void operator()(row_of_reals auto advantage, row_of_reals auto entropy, writable_row auto chosen,
                              auto const& scratch) const {
        select(advantage, entropy, chosen, scratch);
    }
    constexpr void operator()(row_of_reals auto advantage, row_of_reals auto entropy, writable_row auto chosen,
                              row_of_reals auto mask, auto const& scratch) const {
        select(advantage, entropy, chosen, scratch, mask);
    }
    constexpr void operator()(row_of_reals auto advantage, row_of_reals auto entropy, writable_row auto chosen,
                              row_of_reals auto mask, row_of_reals auto selection, auto const& scratch) const {
        auto const both = segment(scratch[selection_scratch + 1], 0, chosen.size());
        map(both, [](auto a, auto b) { return a * b; }, mask, selection);
        select(advantage, entropy, chosen, scratch, both);
    }
    constexpr void check_hyperparameters() const {
        require_domain(fraction > 0 && fraction <= 1, "top_tokens", "fraction", "a number in (0, 1]", fraction);
    }
    constexpr void check(auto const& advantage, auto const& entropy, auto const& chosen, auto const&... masks) const {
        check_hyperparameters();
        require_equal_lengths("top_tokens", argument_names, advantage, entropy, chosen, masks...);
        for (std::size_t i = 0; i < chosen.rows(); ++i) {
            auto tokens = std::size_t{0};
            for (std::size_t t = 0; t < chosen.length(i); ++t) {
                if (((masks(i, t) == 0) || ...)) continue;
                ++tokens;
                auto const check_number = [&](char const* argument, auto x) {
                    require_domain(x == x, "top_tokens", argument, "numbers other than NaN", x);
                };
                check_number("advantage", advantage(i, t));
                check_number("entropy", entropy(i, t));
            }
            require(tokens > 0, "top_tokens", "mask", "at least one token that counts", tokens);
        }
    }

private:
    template <class Chosen>
    constexpr void select(auto advantage, auto entropy, Chosen chosen, auto const& scratch, auto... mask) const {
        using T = value_of<Chosen>;
        using R = real_of<T>;
        auto const work = scratch_of_length<selection_scratch + 1>(scratch, chosen.size());
        auto const keys = work[selection_scratch];
        map(keys, [](auto a, auto h) { return math::abs(a) * h; }, advantage, entropy);
        auto const tokens = [&] {
            if constexpr (sizeof...(mask) == 0)
                return T(static_cast<R>(chosen.size()));
            else
                return T(sum(mask...));
        }();
        auto const wanted = T(static_cast<R>(fraction)) * tokens;
        auto const rounding = math::max(T(R(1e-9)), T(R(2) * math::epsilon<R>) * wanted);
        auto const count = math::min(tokens, math::max(T(1), T(-math::floor(rounding - wanted))));
        select_largest(chosen, keys, count, work, mask...);
        auto const in_keys = T(sum(
            [](auto key, auto... counts) {
                if constexpr (sizeof...(counts) == 0)
                    return key;
                else
                    return counted(counts..., key);
            },
            keys, mask...));
        auto const nothing = in_keys - in_keys; // NaN where a key was
        map(chosen, [=](auto c) { return c + decltype(c)(nothing); }, chosen);
    }
};

} // namespace poise::weighting
