#pragma once

#include "poise/core/mask.hpp"
#include "poise/execution/field_rows.hpp"
#include "poise/objective/aggregation.hpp"
#include "poise/pipeline.hpp"

#include <algorithm>

/// What becomes of a row's losses and gradients when all stages have run.
namespace poise::detail {

template <class Field>
inline constexpr bool is_gradient = false;
template <auto Of>
inline constexpr bool is_gradient<field::gradient_field<Of>> = true;

/// function(row of the gradient) for every gradient among what the stages wrote.
template <class Known, auto... Written>
constexpr void for_each_gradient(Known const& known, fields<Written...>, auto const& function) {
    auto const one = [&]<auto Field>() {
        if constexpr (is_gradient<type_of_field<Field>>) function(find<Field>(known).row);
    };
    (one.template operator()<Written>(), ...);
}

template <auto Field, int Rank, int Finest, class Known, class Row>
constexpr auto given_or_nothing(Known const& known, Row working, auto const& shape) {
    if constexpr (found_in<Field, Known>::rank < 0)
        return nullptr;
    else
        return read_row<Field, Rank, Finest>(known, working, shape).row;
}

/// The numbers of the whole batch that an aggregation may ask for.
template <class T>
struct batch_counts {
    std::size_t rows;
    T elements = T(0); ///< that count, where the aggregation wants to know
};

template <class Aggregation>
inline constexpr bool counts_batch = requires { requires Aggregation::counts_batch; };

/// Aggregates a row's losses, and scales its gradients to those of their mean over all rows.
template <int Finest, class Known>
constexpr auto aggregate_losses(auto const& aggregation, auto const& batch, Known const& known, auto weight_row,
                                auto mask_row, auto const& shape, auto written) {
    constexpr auto loss_rank = found_in<field::loss, Known>::rank;
    constexpr auto weighted = found_in<field::weight, Known>::rank >= 0;
    constexpr auto masked = found_in<field::mask, Known>::rank >= 0;
    auto const loss = find<field::loss>(known).row;
    auto const weight = given_or_nothing<field::weight, loss_rank, Finest>(known, weight_row, shape);
    auto const mask = given_or_nothing<field::mask, loss_rank, Finest>(known, mask_row, shape);
    using T = value_of<decltype(loss)>;
    // A loss without tokens is one of each sequence; where nothing has tokens, the row is the sequence.
    constexpr auto of_sequences = works_per_sequence<std::remove_cvref_t<decltype(aggregation)>>;
    constexpr auto by_sequence = of_sequences && loss_rank == per_token_rank;
    auto const factor_for = [&](T elements, std::size_t sequences) {
        return aggregation.factor(poise::aggregation::counts<T>{elements, sequences, batch.rows, T(batch.elements)});
    };
    auto total = T(0);
    auto const aggregate = [&](auto const& part) {
        auto const l = part(loss);
        auto const scale = [](auto w, auto m, auto x) { return counted(m, w * m * x); };
        auto const apply = [&](auto const& consume) {
            if constexpr (weighted && masked)
                consume(scale, part(weight), part(mask));
            else if constexpr (weighted)
                consume([](auto w, auto x) { return w * x; }, part(weight));
            else if constexpr (masked)
                consume([=](auto m, auto x) { return scale(real_of<T>(1), m, x); }, part(mask));
            else
                consume([](auto x) { return x; });
        };
        auto const count = [&] {
            if constexpr (masked)
                return T(poise::sum(part(mask)));
            else
                return T(real_of<T>(l.size()));
        }();
        auto const factor = [&] {
            if constexpr (by_sequence || !of_sequences)
                return factor_for(count, std::max(shape.elements, std::size_t{1}));
            else if constexpr (Finest == per_token_rank)
                return factor_for(T(1), l.size());
            else
                return factor_for(count, 1);
        }();
        apply([&](auto const& scaled, auto... scales) { total += factor * poise::sum(scaled, scales..., l); });
        auto const gradient_factor = factor / T(real_of<T>(batch.rows));
        for_each_gradient(known, written, [&](auto gradient) {
            auto const g = part(gradient);
            apply([&](auto const& scaled, auto... scales) {
                map(g, [=](auto... x) { return gradient_factor * scaled(x...); }, scales..., g);
            });
        });
    };
    if constexpr (by_sequence)
        for (std::size_t g = 0; g < shape.elements; ++g)
            aggregate([&](auto row) { return shape.template of_sequence<loss_rank>(row, g); });
    else
        aggregate([](auto row) { return row; });
    return total;
}

} // namespace poise::detail
