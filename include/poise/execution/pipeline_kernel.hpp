#pragma once

#include "poise/core/adding_row.hpp"
#include "poise/core/lengths.hpp"
#include "poise/core/mask.hpp"
#include "poise/execution/composition.hpp"
#include "poise/execution/field_rows.hpp"
#include "poise/execution/row_kernel.hpp"
#include "poise/objective/aggregation.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <tuple>

namespace poise {

// The compiler names the field where it says that one of these is deleted.
template <auto Field>
void field_has_another_number_of_axes_than_where_it_was_written_first() = delete;
template <auto Field>
void field_has_more_axes_than_the_loss() = delete;

namespace detail {

/// How a field's parts come together.
template <auto Field>
inline constexpr auto combination_of = [](auto a, auto b) {
    if constexpr (is_combination<Field, added>)
        return a + b;
    else
        return a * b;
};

template <class Batch>
inline constexpr bool has_starts = requires(Batch const& batch) { batch.starts(); };

template <class Field>
inline constexpr bool is_gradient = false;
template <auto Of>
inline constexpr bool is_gradient<field::gradient_field<Of>> = true;

template <std::size_t First, class Rows, class Places>
inline constexpr bool can_write_places = false;
template <std::size_t First, class Rows, std::size_t... I>
inline constexpr bool can_write_places<First, Rows, std::index_sequence<I...>> =
    (writable_row<std::tuple_element_t<First + I, Rows>> && ...);

/// Whether `Count` rows from the one in place `First` on can be written.
template <std::size_t First, std::size_t Count, class... Rows>
inline constexpr bool can_write = can_write_places<First, std::tuple<Rows...>, std::make_index_sequence<Count>>;

template <class Pipeline, class Given, class Wanted>
struct pipeline_kernel;

/// A pipeline as a row kernel: its arguments are the rows of what is given, then of what is wanted, then, where
/// sequences differ in length, where each begins.
template <class... Stages, auto... Given, class... GivenBatches, auto... Wanted, class... WantedBatches>
struct pipeline_kernel<pipeline<Stages...>, field_batch<named<Given, GivenBatches>...>,
                       field_batch<named<Wanted, WantedBatches>...>> {
    pipeline<Stages...> composed;
    std::size_t sequences; // per row; 0 where no field has sequences
    std::size_t rows;

    using written = typename written_by_all<fields<>, Stages...>::type;
    static constexpr std::size_t given_count = sizeof...(Given), wanted_count = sizeof...(Wanted);
    static constexpr int finest = std::max({0, rank_of_batch<GivenBatches>...});
    static constexpr bool ragged = (has_starts<GivenBatches> || ...);
    static constexpr std::size_t kept_rows = []<auto... Written>(fields<Written...>) {
        return (std::size_t{0} + ... + (fields<Wanted...>::template contains<Written> ? 0 : 1));
    }(written{});
    // Beyond what is kept: what a stage reads repeated to its length, what it adds to a field and that repeated, its
    // own working rows.
    static constexpr std::size_t scratch_rows =
        kept_rows +
        std::max({std::size_t{2}, (all_reads<Stages>::size + 2 * written_count<Stages> + scratch_rows_of<Stages>())...});
    static constexpr std::array<char const*, given_count + wanted_count + 1> argument_names{
        type_of_field<Given>::name()..., type_of_field<Wanted>::name()..., "sequence starts"};

    template <class... Arguments>
        requires(sizeof...(Arguments) == given_count + wanted_count + ragged + 1 &&
                 can_write<given_count, wanted_count, Arguments...>)
    constexpr void operator()(Arguments const&... arguments) const {
        auto const all = std::tie(arguments...);
        auto const& scratch = std::get<sizeof...(Arguments) - 1>(all);
        auto const shape = shape_of(all);
        using argument_rows = std::tuple<Arguments const&...>;
        auto const nothing = known_fields<no_fields, argument_rows, std::remove_cvref_t<decltype(scratch)>,
                                          std::remove_const_t<decltype(shape)>>{all, scratch, shape};
        auto const known = bind_all<Given...>(std::integer_sequence<int, rank_of_batch<GivenBatches>...>{}, nothing);
        auto const wanted = [&]<std::size_t... I>(std::index_sequence<I...>) {
            return std::tuple{std::get<given_count + I>(all)...};
        }(std::make_index_sequence<wanted_count>{});
        run<0, 0>(known, wanted, scratch, shape);
    }

    /// Fields of one rank must have the same lengths, and those of sequences be as many as the sequences.
    template <class... Batches>
    constexpr void check(Batches const&... batches) const {
        std::apply([](auto const&... stage) { (check_hyperparameters(stage), ...); }, composed.stages);
        auto index = std::size_t{0};
        auto lengths = std::array<std::size_t, 3>{1, dynamic, dynamic};
        for (std::size_t i = 0; i < rows; ++i) {
            lengths = {1, finest == per_token_rank ? sequences : dynamic, dynamic};
            index = 0;
            auto const compare = [&](auto const& batch) {
                if (index >= given_count + wanted_count) return;
                auto& length = lengths[static_cast<std::size_t>(ranks[index])];
                auto const found = length_of_row(batch, i);
                if (length == dynamic) length = found;
                if (found != length)
                    require(false, "evaluate", argument_names[index], std::to_string(length) + " elements in each row",
                            found);
                ++index;
            };
            (compare(batches), ...);
            check_lengths(lengths, std::index_sequence_for<Stages...>{});
            if constexpr (!ragged) break; // the rows of each batch are alike
        }
    }

private:
    template <class Stage>
    static constexpr void check_hyperparameters(Stage const& stage) {
        if constexpr (requires { stage.check_hyperparameters(); }) stage.check_hyperparameters();
    }
    template <std::size_t... I>
    constexpr void check_lengths(std::array<std::size_t, 3> const& lengths, std::index_sequence<I...>) const {
        auto const check = [&]<std::size_t Rank>(auto const& stage, std::integral_constant<std::size_t, Rank>) {
            if constexpr (requires { stage.check_length(lengths[Rank]); })
                stage.check_length(lengths[Rank] == dynamic ? 1 : lengths[Rank]);
        };
        (check(std::get<I>(composed.stages), std::integral_constant<std::size_t, read_rank<I>()>{}), ...);
    }

    template <std::size_t I>
    using stage_at = std::tuple_element_t<I, std::tuple<Stages...>>;
    template <class Stage>
    static constexpr bool runs_by_sequence = works_per_sequence<Stage> && finest == per_token_rank;
    template <class Stage>
    static constexpr int rank_per_sequence =
        runs_by_sequence<Stage> || !works_per_sequence<Stage> ? per_element_rank : per_row_rank;

    /// How many axes a field has where stage I reads it; -1 if it is not known there.
    template <auto Field, std::size_t I>
    static consteval int rank_before() {
        if constexpr (I == 0) {
            return std::max({-1, (fields<Given>::template contains<Field> ? rank_of_batch<GivenBatches> : -1)...});
        } else {
            using stage = stage_at<I - 1>;
            auto const before = rank_before<Field, I - 1>();
            auto const after = [&](int rank) {
                return is_combination<Field, multiplied> ? std::max(rank, before) : rank;
            };
            if constexpr (stage::writes::template contains<Field>)
                return after(runs_by_sequence<stage> ? int(per_token_rank) : read_rank<I - 1>());
            else if constexpr (decltype(writes_per_sequence<stage>())::template contains<Field>)
                return after(rank_per_sequence<stage>);
            else if constexpr (decltype(writes_per_row<stage>())::template contains<Field>)
                return after(per_row_rank);
            else
                return before;
        }
    }
    template <std::size_t I>
    static consteval int read_rank() {
        return []<auto... Reads>(fields<Reads...>) {
            return std::max({0, rank_before<Reads, I>()...});
        }(typename stage_at<I>::reads{});
    }

    static constexpr std::array<int, given_count + wanted_count> ranks{rank_of_batch<GivenBatches>...,
                                                                       rank_of_batch<WantedBatches>...};
    // The first argument of a rank; the number of arguments if there is none.
    static constexpr std::size_t first_of_rank(int rank) {
        return static_cast<std::size_t>(std::find(ranks.begin(), ranks.end(), rank) - ranks.begin());
    }

    template <std::size_t I, class All>
    static constexpr std::size_t extent_of() {
        if constexpr (I < given_count + wanted_count)
            return std::remove_cvref_t<std::tuple_element_t<I, All>>::extent;
        else
            return dynamic;
    }
    template <class All>
    constexpr auto shape_of(All const& all) const {
        constexpr auto element_argument = first_of_rank(per_element_rank),
                       token_argument = first_of_rank(per_token_rank);
        auto const length = [&]<std::size_t I>(std::size_t otherwise) -> std::size_t {
            if constexpr (I < given_count + wanted_count)
                return std::get<I>(all).size();
            else
                return otherwise;
        };
        auto const elements = length.template operator()<element_argument>(finest == per_token_rank ? sequences : 1);
        auto const tokens = length.template operator()<token_argument>(elements);
        auto const starts = [&] {
            if constexpr (ragged)
                return std::get<given_count + wanted_count>(all);
            else
                return 0;
        }();
        return row_shape<extent_of<element_argument, All>(), extent_of<token_argument, All>(),
                         std::remove_const_t<decltype(starts)>>{elements, tokens, starts};
    }

    template <auto First, auto... More, int Rank, int... Ranks>
    static constexpr auto bind_all(std::integer_sequence<int, Rank, Ranks...>, auto const& known) {
        constexpr auto place = given_count - 1 - sizeof...(More);
        if constexpr (sizeof...(More) == 0)
            return bind<First, Rank, false, place>(known);
        else
            return bind_all<More...>(std::integer_sequence<int, Ranks...>{}, bind<First, Rank, false, place>(known));
    }

    // ---- one stage after another; the first `Kept` working rows are taken

    template <std::size_t I, std::size_t Kept>
    constexpr void run(auto const& known, auto const& wanted, auto const& scratch, auto const& shape) const {
        if constexpr (I == sizeof...(Stages)) {
            finish<Kept>(known, wanted, scratch, shape);
        } else {
            using stage = stage_at<I>;
            if constexpr (aggregates<stage>)
                run<I + 1, Kept>(known, wanted, scratch, shape);
            else
                run_stage<I, Kept>(known, wanted, scratch, shape, typename stage::reads{},
                                   given_reads<stage, std::remove_cvref_t<decltype(known)>>{});
        }
    }

    // What a stage reads if given: a field that is known and has no more axes than what the stage always reads.
    template <auto Field, class Known, auto... Reads>
    static consteval bool is_given(fields<Reads...>) {
        constexpr auto rank = found_in<Field, Known>::rank;
        return rank >= 0 && rank <= std::max({0, found_in<Reads, Known>::rank...});
    }
    template <class Known, class Reads, auto... IfGiven>
    static consteval auto given_among(Reads, fields<IfGiven...>) {
        return joined(fields<>{},
                      std::conditional_t<is_given<IfGiven, Known>(Reads{}), fields<IfGiven>, fields<>>{}...);
    }
    template <class Stage, class Known>
    using given_reads = decltype(given_among<Known>(typename Stage::reads{}, reads_if_given<Stage>()));

    template <std::size_t I, std::size_t Kept, class Known, auto... Reads, auto... GivenReads>
    constexpr void run_stage(Known const& known, auto const& wanted, auto const& scratch, auto const& shape,
                             fields<Reads...>, fields<GivenReads...>) const {
        using stage = stage_at<I>;
        constexpr auto by_sequence = runs_by_sequence<stage>;
        constexpr auto read_rank = std::max({0, found_in<Reads, Known>::rank...});
        constexpr auto write_rank = by_sequence ? int(per_token_rank) : read_rank;
        constexpr auto sequence_rank = rank_per_sequence<stage>;
        static_assert(!by_sequence || decltype(writes_per_row<stage>())::size == 0,
                      "a stage that works per sequence writes no value per row");
        auto const bound_writes =
            bind_writes<Kept, write_rank>(known, wanted, scratch, shape, typename stage::writes{});
        auto const bound_sequences = bind_writes<bound_writes.kept, sequence_rank>(bound_writes.known, wanted, scratch,
                                                                                   shape, writes_per_sequence<stage>());
        auto const bound = bind_writes<bound_sequences.kept, per_row_rank>(bound_sequences.known, wanted, scratch,
                                                                           shape, writes_per_row<stage>());
        constexpr auto free_row = bound.kept, after_first_reads = free_row + sizeof...(Reads);
        constexpr auto after_reads = after_first_reads + sizeof...(GivenReads);
        constexpr auto after_writes = after_reads + stage::writes::size;
        constexpr auto after_sequences = after_writes + decltype(writes_per_sequence<stage>())::size;
        constexpr auto after_all = after_reads + written_count<stage>;

        // in the order of the stage's arguments
        auto const rows_to_read = [&]<auto... Read>(fields<Read...>, auto base) {
            return [&]<std::size_t... J>(std::index_sequence<J...>) {
                return std::tuple{read_row<Read, by_sequence ? -1 : read_rank>(known, scratch[base + J], shape)...};
            }(std::make_index_sequence<sizeof...(Read)>{});
        };
        auto const read_rows = rows_to_read(fields<Reads...>{}, free_row);
        auto const given_rows = rows_to_read(fields<GivenReads...>{}, after_first_reads);
        auto const rows_to_write = [&]<int Rank, auto... Writes>(std::integral_constant<int, Rank>, fields<Writes...>,
                                                                 auto base) {
            return [&]<std::size_t... J>(std::index_sequence<J...>) {
                return std::tuple{row_to_write<Writes, Rank, adds_in_place<stage>>(known, bound.known,
                                                                                   scratch[base + J], shape)...};
            }(std::make_index_sequence<sizeof...(Writes)>{});
        };
        auto const per_element =
            rows_to_write(std::integral_constant<int, write_rank>{}, typename stage::writes{}, after_reads);
        auto const of_sequences =
            rows_to_write(std::integral_constant<int, sequence_rank>{}, writes_per_sequence<stage>(), after_writes);
        auto const of_row =
            rows_to_write(std::integral_constant<int, per_row_rank>{}, writes_per_row<stage>(), after_sequences);
        auto const arguments = std::tuple_cat(read_rows, per_element, of_sequences, of_row, given_rows);
        auto const working = [&]<std::size_t... J>(std::index_sequence<J...>) {
            return std::array<std::remove_cvref_t<decltype(scratch[0])>, sizeof...(J)>{
                scratch[after_all + written_count<stage> + J]...};
        }(std::make_index_sequence<scratch_rows_of<stage>()>{});

        auto const& kernel = std::get<I>(composed.stages);
        std::apply(
            [&](auto... argument) {
                if constexpr (by_sequence)
                    for (std::size_t g = 0; g < shape.elements; ++g)
                        call(kernel, working, shape.template of_sequence<argument.rank>(argument.row, g)...);
                else
                    call(kernel, working, argument.row...);
            },
            arguments);
        // Rows from after_all on are free for what must be repeated first.
        combine<after_all>(known, bound.known, per_element, scratch, shape, typename stage::writes{});
        combine<after_all>(known, bound.known, of_sequences, scratch, shape, writes_per_sequence<stage>());
        combine<after_all>(known, bound.known, of_row, scratch, shape, writes_per_row<stage>());
        run<I + 1, bound.kept>(bound.known, wanted, scratch, shape);
    }

    /// A field as a stage reads it: repeated to the rank `To`, or with -1 as it is. A weight that nobody gave is 1.
    template <auto Field, int To, class Known, class Row>
    static constexpr auto read_row(Known const& known, Row working, auto const& shape) {
        using found = found_in<Field, Known>;
        if constexpr (found::rank < 0) {
            auto const ones = shape.template part < To<0 ? finest : To>(working);
            fill(ones, real_of<value_of<Row>>(1));
            return found_field < To<0 ? finest : To, false, std::remove_const_t<decltype(ones)>>{ones};
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

    /// Binds what a stage writes and no stage wrote before to rows of its own: outputs, or working rows.
    template <std::size_t Kept, class Known>
    struct binding {
        static constexpr std::size_t kept = Kept;
        Known known;
    };
    template <std::size_t Kept, int Rank, class Known>
    static constexpr auto bind_writes(Known const& known, auto const&, auto const&, auto const&, fields<>) {
        return binding<Kept, Known>{known};
    }
    template <std::size_t Kept, int Rank, class Known, auto First, auto... More>
    static constexpr auto bind_writes(Known const& known, auto const& wanted, auto const& scratch, auto const& shape,
                                      fields<First, More...>) {
        constexpr auto output = fields<Wanted...>::template index<First>;
        constexpr auto multiplies = is_combination<First, multiplied>;
        using found = found_in<First, Known>;
        if constexpr (found::computed && !is_finer<First, Rank, Known>) {
            if constexpr (found::rank != Rank && !multiplies)
                field_has_another_number_of_axes_than_where_it_was_written_first<First>();
            return bind_writes<Kept, Rank>(known, wanted, scratch, shape, fields<More...>{});
        } else if constexpr (output < wanted_count && !(multiplies && rank_of_output<output> != Rank)) {
            if constexpr (rank_of_output<output> != Rank)
                field_has_another_number_of_axes_than_where_it_was_written_first<First>();
            return bind_writes<Kept, Rank>(bind<First, Rank, true, given_count + output>(known), wanted, scratch, shape,
                                           fields<More...>{});
        } else {
            constexpr auto place = Known::argument_count + Kept;
            return bind_writes<Kept + 1, Rank>(bind<First, Rank, true, place>(known), wanted, scratch, shape,
                                               fields<More...>{});
        }
    }
    template <std::size_t Output>
    static constexpr int rank_of_output = Output < wanted_count ? ranks[given_count + Output] : -1;

    /// Weights of different ranks multiply: a finer one takes a new row.
    template <auto Field, int Rank, class Known>
    static constexpr bool is_finer =
        is_combination<Field, multiplied> && found_in<Field, Known>::computed && (Rank > found_in<Field, Known>::rank);

    template <class Stage>
    static constexpr bool adds_in_place = requires { Stage::writes_once; } && !runs_by_sequence<Stage>;

    /// Where a stage writes a field: if what earlier stages wrote is to stay, it is added to that or written beside it.
    template <auto Field, int Rank, bool InPlace, class Before, class After, class Row>
    static constexpr auto row_to_write(Before const&, After const& after, Row working, auto const& shape) {
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
    static constexpr void combine(Before const& before, After const& after, auto const& just_written,
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

    // ---- at the end

    /// Aggregates the losses, and scales the gradients to those of their mean over all rows.
    template <std::size_t Kept, class Known>
    constexpr void finish(Known const& known, auto const& wanted, auto const& scratch, auto const& shape) const {
        (check_output<Wanted, Known>(), ...);
        constexpr auto loss_rank = found_in<field::loss, Known>::rank;
        if constexpr (loss_rank >= 0) {
            constexpr auto weighted = found_in<field::weight, Known>::rank >= 0;
            constexpr auto masked = found_in<field::mask, Known>::rank >= 0;
            auto const loss = find<field::loss>(known).row;
            auto const weight = given_or_nothing<field::weight, loss_rank>(known, scratch[Kept], shape);
            auto const mask = given_or_nothing<field::mask, loss_rank>(known, scratch[Kept + 1], shape);
            using T = value_of<decltype(loss)>;
            auto const reduce = aggregation_of_stages();
            // A loss without tokens is one of each sequence; where nothing has tokens, the row is the sequence.
            constexpr auto of_sequences = works_per_sequence<decltype(reduce)>;
            constexpr auto by_sequence = of_sequences && loss_rank == per_token_rank;
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
                        return poise::sum(part(mask));
                    else
                        return T(real_of<T>(l.size()));
                }();
                auto const factor = [&] {
                    if constexpr (by_sequence || !of_sequences)
                        return reduce.factor(T(count), std::max(shape.elements, std::size_t{1}));
                    else if constexpr (finest == per_token_rank)
                        return reduce.factor(T(1), l.size());
                    else
                        return reduce.factor(T(count), 1);
                }();
                apply([&](auto const& scaled, auto... scales) { total += factor * poise::sum(scaled, scales..., l); });
                auto const gradient_factor = factor / T(real_of<T>(rows));
                for_each_gradient(known, [&](auto gradient) {
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
            if constexpr (fields<Wanted...>::template contains<field::objective>)
                std::get<fields<Wanted...>::template index<field::objective>>(wanted)[0] = total;
        }
    }

    template <auto Field, class Known>
    static constexpr void check_output() {
        constexpr auto rank = rank_of_output<fields<Wanted...>::template index<Field>>;
        if constexpr (found_in<Field, Known>::computed && found_in<Field, Known>::rank != rank)
            field_has_another_number_of_axes_than_where_it_was_written_first<Field>();
    }

    template <auto Field, int Rank, class Known, class Row>
    static constexpr auto given_or_nothing(Known const& known, Row working, auto const& shape) {
        if constexpr (found_in<Field, Known>::rank < 0)
            return nullptr;
        else
            return read_row<Field, Rank>(known, working, shape).row;
    }

    template <class Known>
    static constexpr void for_each_gradient(Known const& known, auto const& function) {
        [&]<auto... Written>(fields<Written...>) {
            auto const one = [&]<auto Field>() {
                if constexpr (is_gradient<type_of_field<Field>>) function(find<Field>(known).row);
            };
            (one.template operator()<Written>(), ...);
        }(written{});
    }

    constexpr auto aggregation_of_stages() const {
        constexpr auto place = [] {
            auto last = sizeof...(Stages), i = std::size_t{0};
            ((last = aggregates<Stages> ? i : last, ++i), ...);
            return last;
        }();
        if constexpr (place < sizeof...(Stages))
            return std::get<place>(composed.stages);
        else
            return aggregation::mean{};
    }
};

} // namespace detail

} // namespace poise
