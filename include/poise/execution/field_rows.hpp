#pragma once

#include "poise/core/fields.hpp"
#include "poise/core/segment.hpp"
#include "poise/core/verbs.hpp"

#include <tuple>

/// The rows of named fields while a pipeline runs over one row of a batch.
namespace poise {

// The compiler names the field where it says that this is deleted.
template <auto Field>
void field_has_more_axes_than_the_loss() = delete;

} // namespace poise

namespace poise::detail {

/// How many axes a field has inside a row: one number per row; one per element of the row (or per sequence of it); one
/// per token of its sequences.
enum rank : int { per_row_rank = 0, per_element_rank = 1, per_token_rank = 2 };

template <class Batch>
inline constexpr int rank_of_batch = batch_of_sequences<Batch> ? per_token_rank
                                     : Batch::extent == 1      ? per_row_rank
                                                               : per_element_rank;

struct no_fields {};

/// A field that is known: its place among the arguments, or behind them among the working rows. `Computed`: a stage
/// wrote it, so that a later one may write it again. All in the type, as rows that were copied from stage to stage
/// would cost more than the stages.
template <auto Field, int Rank, bool Computed, std::size_t Place, class Rest>
struct bound_field {};

struct not_found {
    static constexpr int rank = -1;
    static constexpr bool computed = false;
};

template <int Rank, bool Computed, class Row>
struct found_field {
    static constexpr int rank = Rank;
    static constexpr bool computed = Computed;
    Row row;
};

/// The fields that are known, the latest first, and the rows that they are found in.
template <class Fields, class Arguments, class Scratch, class Shape>
struct known_fields {
    using fields = Fields;
    static constexpr std::size_t argument_count = std::tuple_size_v<Arguments> - 1; // the last is the working rows

    Arguments const& arguments;
    Scratch const& scratch;
    Shape const& shape;

    template <int Rank, bool Computed, std::size_t Place>
    constexpr auto found() const {
        auto const row = [this] {
            if constexpr (Place < argument_count)
                return std::get<Place>(arguments);
            else
                return shape.template part<Rank>(scratch[Place - argument_count]);
        }();
        return found_field<Rank, Computed, std::remove_const_t<decltype(row)>>{row};
    }
};

template <auto Field, class Known>
constexpr not_found find_in(no_fields, Known const&) {
    return {};
}
template <auto Field, auto First, int Rank, bool Computed, std::size_t Place, class Rest, class Known>
constexpr auto find_in(bound_field<First, Rank, Computed, Place, Rest>, Known const& known) {
    if constexpr (std::is_same_v<type_of_field<Field>, type_of_field<First>>)
        return known.template found<Rank, Computed, Place>();
    else
        return find_in<Field>(Rest{}, known);
}
template <auto Field, class Known>
constexpr auto find(Known const& known) {
    return find_in<Field>(typename Known::fields{}, known);
}
template <auto Field, class Known>
using found_in = decltype(find<Field>(std::declval<Known const&>()));

template <auto Field, int Rank, bool Computed, std::size_t Place, class Fields, class Arguments, class Scratch,
          class Shape>
constexpr auto bind(known_fields<Fields, Arguments, Scratch, Shape> const& known) {
    return known_fields<bound_field<Field, Rank, Computed, Place, Fields>, Arguments, Scratch, Shape>{
        known.arguments, known.scratch, known.shape};
}

/// The lengths of a row's fields by rank, static where they are known, and where its sequences begin: at the values of
/// the row `Starts`, or at equal distances.
template <std::size_t Elements, std::size_t Tokens, class Starts>
struct row_shape {
    std::size_t elements;
    std::size_t tokens;
    Starts starts;

    constexpr std::size_t first(std::size_t g) const {
        if constexpr (row_of_reals<Starts>)
            return static_cast<std::size_t>(value_of<Starts>(starts[g]));
        else
            return g * (tokens / elements);
    }
    constexpr std::size_t count(std::size_t g) const { return (g + 1 == elements ? tokens : first(g + 1)) - first(g); }

    /// The part of a working row that a field of this rank takes.
    template <int Rank, class Row>
    constexpr auto part(Row row) const {
        if constexpr (Rank == per_row_rank)
            return segment<1>(row, 0);
        else if constexpr (Rank == per_element_rank)
            return segment<Elements>(row, 0, elements);
        else
            return segment<Tokens>(row, 0, tokens);
    }
    /// What sequence g sees of a field.
    template <int Rank, class Row>
    constexpr auto of_sequence(Row row, std::size_t g) const {
        if constexpr (Rank == per_row_rank)
            return row;
        else if constexpr (Rank == per_element_rank)
            return segment<1>(row, g);
        else
            return segment(row, first(g), count(g));
    }
    /// A field repeated to a finer rank.
    template <int From, int To, class Row, class Out>
    constexpr void repeat(Row row, Out out) const {
        if constexpr (From == per_element_rank && To == per_token_rank)
            for (std::size_t g = 0; g < elements; ++g) fill(of_sequence<To>(out, g), value_of<Row>(row[g]));
        else
            fill(out, value_of<Row>(row[0]));
    }
};

/// A field as a stage reads it: repeated to the rank `To`, or with -1 as it is. A weight that nobody gave is 1, and of
/// the pipeline's finest rank.
template <auto Field, int To, int Finest, class Known, class Row>
constexpr auto read_row(Known const& known, Row working, auto const& shape) {
    using found = found_in<Field, Known>;
    if constexpr (found::rank < 0) {
        auto const ones = shape.template part < To<0 ? Finest : To>(working);
        fill(ones, real_of<value_of<Row>>(1));
        return found_field < To<0 ? Finest : To, false, std::remove_const_t<decltype(ones)>>{ones};
    } else if constexpr (To < 0 || found::rank == To) {
        return find<Field>(known);
    } else if constexpr (found::rank > To) {
        field_has_more_axes_than_the_loss<Field>();
    } else {
        auto const repeated = shape.template part<To>(working);
        shape.template repeat<found::rank, To>(find<Field>(known).row, repeated);
        return found_field<To, false, std::remove_const_t<decltype(repeated)>>{repeated};
    }
}

} // namespace poise::detail
