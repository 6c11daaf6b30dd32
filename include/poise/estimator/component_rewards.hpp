#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/lengths.hpp"
#include "poise/estimator/group_relative.hpp"

#include <array>
#include <tuple>

/// Rewards of several functions, of which some score only some of the rollouts: NaN says that one did not (slug
/// catalogue-policy-losses, section 1).
namespace poise::estimator {

namespace detail {

template <class Indices>
struct first_components;
template <std::size_t... I>
struct first_components<std::index_sequence<I...>> {
    using type = fields<field::component<I>...>;
};

} // namespace detail

/// r = sum_i w_i r_i over the components that scored the rollout. One that none has scored has r = NaN and does not
/// count in its group (sample_mask 0).
template <std::size_t Components>
struct weighted_sum {
    std::array<double, Components> weights;

    using reads = typename detail::first_components<std::make_index_sequence<Components>>::type;
    using writes = fields<field::reward, field::sample_mask>;

    template <row_of_reals... Rows>
        requires(sizeof...(Rows) == Components + 2 &&
                 writable_row<std::tuple_element_t<Components, std::tuple<Rows...>>> &&
                 writable_row<std::tuple_element_t<Components + 1, std::tuple<Rows...>>>)
    constexpr void operator()(Rows... rows) const {
        auto const all = std::tie(rows...);
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            map_pair(
                std::get<Components>(all), std::get<Components + 1>(all),
                [w = weights](auto... r) { return scored_sum(std::index_sequence<I...>{}, w, r...); },
                std::get<I>(all)...);
        }(std::make_index_sequence<Components>{});
    }
    constexpr void check_hyperparameters() const {
        for (auto const weight : weights)
            require_domain(math::isfinite(weight), "weighted_sum", "weights", "finite numbers", weight);
    }

private:
    template <std::size_t... I, class V, class... More>
    static constexpr auto scored_sum(std::index_sequence<I...>, std::array<double, Components> const& w, V first,
                                     More... more) {
        auto total = V(0), scored = V(0);
        auto const add = [&](V r, double weight) {
            auto const missing = math::isnan(r);
            total = total + math::select(missing, V(0), V(static_cast<real_of<V>>(weight)) * r);
            scored = math::select(missing, scored, V(1));
        };
        auto const all = std::array<V, Components>{first, more...};
        (add(all[I], w[I]), ...);
        return std::pair{math::select(scored == V(0), V(math::quiet_nan<V>), total), scored};
    }
};
template <class... Weights>
weighted_sum(std::array<double, sizeof...(Weights)>) -> weighted_sum<sizeof...(Weights)>;

/// Component I relative to the rollouts of its group that it scored, (r - mean) / (standard deviation + epsilon), as in
/// GDPO (Liu et al., "GDPO: group reward-decoupled normalization policy optimization", 2026); NaN stays where it is.
template <std::size_t I, class Deviation = deviation::sample>
struct normalized_component {
    double epsilon = 1e-4;

    using reads = fields<field::component<I>>;
    using writes = fields<field::component<I>>;
    static constexpr std::size_t scratch_rows = 1;
    static constexpr std::array argument_names{"component", "normalized"};

    constexpr void operator()(row_of_reals auto component, writable_row auto normalized, auto const& scratch) const {
        auto const mask = segment(scratch[0], 0, component.size());
        map(mask, [](auto r) { return math::select(math::isnan(r), decltype(r)(0), decltype(r)(1)); }, component);
        group_relative<Deviation>{epsilon}(component, normalized, mask);
        map(
            normalized, [](auto z, auto m) { return counted(m, z, decltype(z)(math::quiet_nan<decltype(z)>)); },
            normalized, mask);
    }
    constexpr void check_hyperparameters() const { group_relative<Deviation>{epsilon}.check_hyperparameters(); }
    constexpr void check(auto const& component, auto const& normalized) const {
        check_hyperparameters();
        require_equal_lengths("normalized_component", argument_names, component, normalized);
    }
};

/// Rewards held within [least, most]; NaN stays.
struct clipped_reward {
    double least = -math::infinity<double>;
    double most = math::infinity<double>;

    using reads = fields<field::reward>;
    using writes = fields<field::reward>;

    constexpr void operator()(row_of_reals auto reward, writable_row auto clipped) const {
        map(
            clipped,
            [low = least, high = most](auto r) {
                using R = real_of<decltype(r)>;
                return math::clamp(r, decltype(r)(R(low)), decltype(r)(R(high)));
            },
            reward);
    }
    constexpr void check_hyperparameters() const {
        require_domain(least <= most, "clipped_reward", "least", "a number not above most", least);
    }
};

/// A rollout that no other can be compared with does not count: the mask is 0 where fewer than two of its group do.
struct comparable {
    using reads = fields<field::sample_mask>;
    using writes = fields<field::sample_mask>;

    constexpr void operator()(row_of_reals auto given, writable_row auto mask) const {
        using T = value_of<decltype(mask)>;
        auto const enough = math::select(T(sum(given)) >= T(2), T(1), T(0));
        map(mask, [=](auto m) { return m * decltype(m)(enough); }, given);
    }
};

} // namespace poise::estimator
