#pragma once

#include "poise/core/lengths.hpp"
#include "poise/execution/field_combination.hpp"
#include "poise/execution/loss_aggregation.hpp"
#include "poise/execution/row_kernel.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <tuple>

namespace poise {

// The compiler names the field where it says that one of these is deleted.
template <auto Field>
void field_has_another_number_of_axes_than_where_it_was_written_first() = delete;

namespace detail {

template <class Batch>
inline constexpr bool has_starts = requires(Batch const& batch) { batch.starts(); };

template <class Batch>
constexpr auto plain_batch(Batch const& batch) {
    if constexpr (batch_of_sequences<Batch>)
        return batch.batch();
    else
        return batch;
}

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
    batch_counts<scalar_of_batches<GivenBatches..., WantedBatches...>> batch;

    using scalar = scalar_of_batches<GivenBatches..., WantedBatches...>;
    static constexpr std::size_t aggregation_place = [] {
        auto last = sizeof...(Stages), i = std::size_t{0};
        ((last = aggregates<Stages> ? i : last, ++i), ...);
        return last;
    }();
    /// The last that the pipeline has; the mean without one.
    using aggregation = std::tuple_element_t<aggregation_place, std::tuple<Stages..., poise::aggregation::mean>>;

    using written = typename written_by_all<fields<>, Stages...>::type;
    static constexpr std::size_t given_count = sizeof...(Given), wanted_count = sizeof...(Wanted);
    static constexpr std::size_t stage_count = sizeof...(Stages);
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
        for (std::size_t i = 0; i < batch.rows; ++i) {
            lengths = {1, finest == per_token_rank ? sequences : dynamic, dynamic};
            index = 0;
            auto const compare = [&](auto const& one) {
                if (index >= given_count + wanted_count) return;
                auto& length = lengths[static_cast<std::size_t>(ranks[index])];
                auto const found = length_of_row(one, i);
                if (length == dynamic) length = found;
                if (found != length)
                    require(false, "evaluate", argument_names[index], std::to_string(length) + " elements in each row",
                            found);
                ++index;
            };
            (compare(batches), ...);
            check_lengths(lengths, std::index_sequence_for<Stages...>{});
            if constexpr ((requires { batches.length(); } && ...)) break; // the rows of each batch are alike
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

public:
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

private:

private:
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
                return std::tuple{read_row<Read, by_sequence ? -1 : read_rank, finest>(known, scratch[base + J], shape)...};
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

    template <class Stage>
    static constexpr bool adds_in_place = requires { requires Stage::writes_once; } && !runs_by_sequence<Stage>;

    // ---- at the end

    template <std::size_t Kept, class Known>
    constexpr void finish(Known const& known, auto const& wanted, auto const& scratch, auto const& shape) const {
        (check_output<Wanted, Known>(), ...);
        if constexpr (found_in<field::loss, Known>::rank >= 0) {
            auto const total = aggregate_losses<finest>(aggregation_of_stages(), batch, known, scratch[Kept],
                                                        scratch[Kept + 1], shape, written{});
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

    constexpr auto aggregation_of_stages() const {
        if constexpr (aggregation_place < sizeof...(Stages))
            return std::get<aggregation_place>(composed.stages);
        else
            return aggregation{};
    }
};

} // namespace detail

} // namespace poise
