#pragma once

#include "poise/core/adding_row.hpp"
#include "poise/execution/composition.hpp"
#include "poise/execution/field_rows.hpp"

/// How a field that several stages write comes together from its parts.
namespace poise::detail {

/// How a field's parts come together.
template <auto Field>
inline constexpr auto combination_of = [](auto a, auto b) {
    if constexpr (is_combination<Field, added>)
        return a + b;
    else
        return a * b;
};

/// Weights of different ranks multiply: a finer one takes a new row.
template <auto Field, int Rank, class Known>
inline constexpr bool is_finer =
    is_combination<Field, multiplied> && found_in<Field, Known>::computed && (Rank > found_in<Field, Known>::rank);

/// Where a stage writes a field: if what earlier stages wrote is to stay, it is added to that or written beside it.
template <auto Field, int Rank, bool InPlace, class Before, class After, class Row>
constexpr auto row_to_write(Before const&, After const& after, Row working, auto const& shape) {
    constexpr auto stays = found_in<Field, Before>::computed && !is_combination<Field, replaced> &&
                           !is_finer<Field, Rank, Before>;
    if constexpr (stays && is_combination<Field, added> && InPlace) {
        auto const sum = adding_row(find<Field>(after).row);
        return found_field<Rank, true, std::remove_const_t<decltype(sum)>>{sum};
    } else if constexpr (stays) {
        auto const beside = shape.template part<Rank>(working);
        return found_field<Rank, true, std::remove_const_t<decltype(beside)>>{beside};
    } else {
        return find<Field>(after);
    }
}

/// Adds or multiplies what a stage wrote and what was there before, the coarser repeated.
template <std::size_t Free, class Before, class After, auto... Writes>
constexpr void combine(Before const& before, After const& after, auto const& just_written,
                              auto const& scratch, auto const& shape, fields<Writes...>) {
    auto const one = [&]<auto Field, std::size_t J>() {
        using earlier = found_in<Field, Before>;
        constexpr auto rank = found_in<Field, After>::rank;
        constexpr auto is_added = is_adding_row<decltype(std::get<J>(just_written).row)>;
        if constexpr (!is_combination<Field, replaced> && earlier::rank >= 0 && !is_added) {
            auto const repeated = [&]<int Rank, bool Computed, class Row>(
                                      found_field<Rank, Computed, Row> const& coarse) {
                if constexpr (Rank < rank) {
                    auto const fine = shape.template part<rank>(scratch[Free + J]);
                    shape.template repeat<Rank, rank>(coarse.row, fine);
                    return fine;
                } else {
                    static_assert(Rank == rank, "a weight that is given is not finer than those that stages write");
                    return coarse.row;
                }
            };
            auto const written = std::get<J>(just_written);
            auto const all = find<Field>(after).row;
            constexpr auto beside = earlier::computed && !is_finer<Field, decltype(written)::rank, Before>;
            if constexpr (beside)
                map(all, combination_of<Field>, all, repeated(written));
            else
                map(all, combination_of<Field>, all, repeated(find<Field>(before)));
        }
    };
    [&]<std::size_t... J>(std::index_sequence<J...>) {
        (one.template operator()<Writes, J>(), ...);
    }(std::make_index_sequence<sizeof...(Writes)>{});
}

} // namespace poise::detail
