#pragma once

#include "poise/execution/pipeline_kernel.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>
#include <vector>

namespace poise {

/// A stage that looks at all rows of a batch at once, as one long row: over_batch(estimator::centered{}) subtracts the
/// mean of all rewards. The stages before it run on all rows first. It comes before every stage that writes a loss.
/// Fields are dense, with masks over what is padding, and lie in the host's memory.
template <pipeline_stage Stage>
struct batch_wide : Stage {
    using scope = per_batch;
};
template <pipeline_stage Stage>
constexpr batch_wide<Stage> over_batch(Stage const& stage) {
    return {stage};
}

namespace detail {

template <class Stage>
concept works_per_batch = std::is_same_v<typename Stage::scope, per_batch>;

/// The place of the first batch-wide stage; the number of stages if there is none.
template <class... Stages>
inline constexpr std::size_t first_batch_wide = [] {
    auto place = std::size_t{0}, found = sizeof...(Stages);
    ((found = works_per_batch<Stages> && found == sizeof...(Stages) ? place : found, ++place), ...);
    return found;
}();

/// Stages First … First + count - 1 of a tuple.
template <std::size_t First, class Stages, std::size_t... I>
constexpr auto some_stages(Stages const& stages, std::index_sequence<I...>) {
    return pipeline<std::tuple_element_t<First + I, Stages>...>{std::tuple{std::get<First + I>(stages)...}};
}

/// Those of a list's fields for which it is said.
template <class List, bool... Keep>
struct kept_fields;
template <auto... Fields, bool... Keep>
struct kept_fields<fields<Fields...>, Keep...> {
    using type = decltype(joined(fields<>{}, std::conditional_t<Keep, fields<Fields>, fields<>>{}...));
};

/// A field as a batch-wide stage reads it: consecutive, of the rank of the finest that the stage reads.
template <auto Of>
struct gathered_field {
    using combination = replaced;
    static constexpr char const* name() { return type_of_field<Of>::name(); }
};
template <auto Of>
inline constexpr gathered_field<Of> gathered{};

template <class Fields>
struct gather;
template <auto... Fields>
struct gather<fields<Fields...>> {
    using reads = fields<Fields...>;
    using writes = fields<gathered<Fields>...>;

    template <class... Rows>
    constexpr void operator()(Rows... rows) const {
        auto const all = std::tie(rows...);
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (copy(std::get<sizeof...(Fields) + I>(all), std::get<I>(all)), ...);
        }(std::make_index_sequence<sizeof...(Fields)>{});
    }
};

struct copy_row {
    constexpr void operator()(row_of_reals auto from, writable_row auto to) const { copy(to, from); }
};
struct multiply_rows {
    constexpr void operator()(row_of_reals auto a, row_of_reals auto b, writable_row auto product) const {
        map(product, [](auto x, auto y) { return x * y; }, a, b);
    }
};

/// How long the rows of a batch's fields are, by rank.
struct batch_shape {
    std::size_t rows = 1;
    std::array<std::size_t, 3> lengths{1, 1, 1};
    std::size_t sequences = 1;
};
template <auto... Fields, class... Batches>
batch_shape shape_of_fields(field_batch<named<Fields, Batches>...> const& given) {
    auto shape = batch_shape{};
    auto const look = [&]<auto Field, class Batch>(named<Field, Batch> const& one) {
        static_assert(
            requires { one.batch.length(); } && !has_starts<Batch>,
            "a batch-wide stage needs dense fields: rows of one length, with a mask over what is padding");
        shape.lengths[static_cast<std::size_t>(rank_of_batch<Batch>)] = one.batch.length();
        if constexpr (!Batch::is_shared) shape.rows = one.batch.rows();
        if constexpr (batch_of_sequences<Batch>) shape.sequences = shape.lengths[1] = one.batch.sequences();
    };
    std::apply([&](auto const&... one) { (look(one), ...); }, given.all);
    return shape;
}

/// The numbers of some fields in all rows, each field of the rank beside it.
template <class T, class Fields, int... Ranks>
class field_memory;
template <class T, auto... Fields, int... Ranks>
class field_memory<T, fields<Fields...>, Ranks...> {
    using list = fields<Fields...>;

public:
    explicit field_memory(batch_shape const& shape)
        : shape_(shape), numbers_{std::vector<T>(shape.rows * shape.lengths[static_cast<std::size_t>(Ranks)])...} {}

    auto outputs() {
        return std::apply([&](auto&... memory) { return named_batches(memory.data()...); }, numbers_);
    }
    auto inputs() const {
        return std::apply([&](auto const&... memory) { return named_batches(memory.data()...); }, numbers_);
    }
    template <auto Field>
    std::vector<T>& numbers() {
        return numbers_[list::template index<Field>];
    }

private:
    template <class... E>
    auto named_batches(E*... data) const {
        return std::tuple{named<Fields, decltype(view<Ranks>(data))>{view<Ranks>(data)}...};
    }
    template <int Rank, class E>
    auto view(E* data) const {
        if constexpr (Rank == per_row_rank)
            return rows_of<1>(data, shape_.rows, 1);
        else if constexpr (Rank == per_element_rank)
            return rows_of(data, shape_.rows, shape_.lengths[1]);
        else
            return sequences_of(rows_of(data, shape_.rows, shape_.lengths[2]), shape_.sequences);
    }

    batch_shape shape_;
    std::array<std::vector<T>, sizeof...(Fields)> numbers_;
};
template <class T, int Rank, auto... Fields>
auto memory_of_rank(fields<Fields...>, batch_shape const& shape) {
    return field_memory<T, fields<Fields...>, (static_cast<void>(Fields), Rank)...>(shape);
}

/// The named fields of a tuple that are in a list, or that are not.
template <bool InList, class List, class... Named>
auto selected(List, std::tuple<Named...> const& all) {
    auto const keep = []<auto Field, class Batch>(named<Field, Batch> const& one) {
        if constexpr (List::template contains<Field> == InList)
            return std::tuple{one};
        else
            return std::tuple<>{};
    };
    return std::apply([&](auto const&... one) { return std::tuple_cat(keep(one)...); }, all);
}
template <class... Named>
auto as_field_batch(std::tuple<Named...> const& all) {
    return field_batch<Named...>{all};
}

/// Copies fields that are in memory to the wanted ones of the same names.
template <class Execution, class... From, class... To>
void deliver(Execution const& execution, std::tuple<From...> const& memories, std::tuple<To...> const& wanted) {
    auto const one = [&]<auto Field, class Batch>(named<Field, Batch> const& to) {
        auto const from = [&]<auto Of, class Memory>(named<Of, Memory> const& memory) {
            if constexpr (std::is_same_v<type_of_field<Of>, type_of_field<Field>>)
                for_each_row(execution, copy_row{}, plain_batch(memory.batch), plain_batch(to.batch));
        };
        std::apply([&](auto const&... memory) { (from(memory), ...); }, memories);
    };
    std::apply([&](auto const&... to) { (one(to), ...); }, wanted);
}

/// What stage K of a kernel's pipeline reads if it is given: what is known there, with at most the axes of its reads.
template <class Kernel, std::size_t K, auto... Fields>
auto read_if_known(fields<Fields...>) ->
    typename kept_fields<fields<Fields...>,
                         (Kernel::template rank_before<Fields, K>() >= 0 &&
                          Kernel::template rank_before<Fields, K>() <= Kernel::template read_rank<K>())...>::type;
/// The fields of a list that its results multiply.
template <class Kernel, std::size_t K, auto... Fields>
auto multiplied_if_known(fields<Fields...>) ->
    typename kept_fields<fields<Fields...>, (is_combination<Fields, multiplied> &&
                                             Kernel::template rank_before<Fields, K>() >= 0)...>::type;
template <class Kernel, std::size_t K, class T, auto... Fields>
auto memory_before(fields<Fields...>, batch_shape const& shape) {
    return field_memory<T, fields<Fields...>, Kernel::template rank_before<Fields, K>()...>(shape);
}
template <class List, auto... More>
auto united(List, fields<More...>) -> typename list_with<List, More...>::type;
template <class... Stages>
auto written_by(pipeline<Stages...> const&) -> typename written_by_all<fields<>, Stages...>::type;

/// The batch-wide stage on one long row of what was gathered; per-row results are one number for all rows.
template <class Execution, class Stage, auto... Reads, auto... Writes, auto... PerRow, auto... IfGiven>
void run_on_whole_batch(Execution const& execution, Stage const& stage, auto& gathered_memory, auto& written,
                        auto& of_rows, fields<Reads...>, fields<Writes...>, fields<PerRow...>, fields<IfGiven...>) {
    auto const all = [](auto& numbers) { return one_row(numbers); };
    [[maybe_unused]] auto const first = [](auto& numbers) { return rows_of<1>(numbers.data(), 1, 1); };
    for_each_row(execution, stage, all(std::as_const(gathered_memory.template numbers<gathered<Reads>>()))...,
                 all(written.template numbers<Writes>())..., first(of_rows.template numbers<PerRow>())...,
                 all(std::as_const(gathered_memory.template numbers<gathered<IfGiven>>()))...);
    [[maybe_unused]] auto const repeat = [](auto& numbers) { std::fill(numbers.begin(), numbers.end(), numbers[0]); };
    (repeat(of_rows.template numbers<PerRow>()), ...);
}

/// A pipeline whose first batch-wide stage is number K, in three passes over all rows: the stages before it; that
/// stage, on one long row; the stages after it. What they hand on is in memory between them. `evaluate_stages` is
/// `evaluate`, for the first and the last pass.
template <std::size_t K, class Execution, class... Stages, class... Given, class... Wanted>
void evaluate_in_passes(Execution const& execution, pipeline<Stages...> const& all, field_batch<Given...> const& given,
                        field_batch<Wanted...> const& wanted, auto const& evaluate_stages) {
    static_assert(!requires { Execution::on_device; }, "batch-wide stages run on the host");
    using kernel = pipeline_kernel<pipeline<Stages...>, field_batch<Given...>, field_batch<Wanted...>>;
    using stage = std::tuple_element_t<K, std::tuple<Stages...>>;
    using T = scalar_of_batches<decltype(Given::batch)...>;
    auto const before = some_stages<0>(all.stages, std::make_index_sequence<K>{});
    auto const after = some_stages<K + 1>(all.stages, std::make_index_sequence<sizeof...(Stages) - K - 1>{});
    using written_before = decltype(written_by(before));
    using written_after = decltype(joined(written_by(after), fields<field::objective>{}));
    using if_given = decltype(read_if_known<kernel, K>(reads_if_given<stage>()));
    using factors = decltype(multiplied_if_known<kernel, K>(typename stage::writes{}));
    using gathering = decltype(united(joined(typename stage::reads{}, if_given{}), factors{}));
    static_assert(decltype(writes_per_sequence<stage>())::size == 0, "a batch-wide stage writes no value per sequence");
    static_assert(!written_before::template contains<field::loss>,
                  "a batch-wide stage comes before the stages that write losses");

    auto const shape = shape_of_fields(given);
    constexpr auto rank = kernel::template read_rank<K>();
    auto carried = memory_before<kernel, K, T>(written_before{}, shape);
    auto gathered_memory = memory_of_rank<T, rank>(typename gather<gathering>::writes{}, shape);
    auto written = memory_of_rank<T, rank>(typename stage::writes{}, shape);
    auto of_rows = memory_of_rank<T, per_row_rank>(writes_per_row<stage>(), shape);

    evaluate_stages(execution, compose(before, gather<gathering>{}), given,
                    as_field_batch(std::tuple_cat(carried.outputs(), gathered_memory.outputs())));
    run_on_whole_batch(execution, std::get<K>(all.stages), gathered_memory, written, of_rows, typename stage::reads{},
                       typename stage::writes{}, writes_per_row<stage>(), if_given{});
    [&]<auto... Factor>(fields<Factor...>) {
        [[maybe_unused]] auto const multiply = [&](auto& result, auto const& factor) {
            for_each_row(execution, multiply_rows{}, one_row(std::as_const(result)), one_row(factor), one_row(result));
        };
        (multiply(written.template numbers<Factor>(),
                  std::as_const(gathered_memory.template numbers<gathered<Factor>>())),
         ...);
    }(factors{});

    auto const by_stage = std::tuple_cat(std::as_const(written).inputs(), std::as_const(of_rows).inputs());
    auto const known = std::tuple_cat(selected<false>(all_writes<stage>{}, std::as_const(carried).inputs()), by_stage);
    using computed = decltype(united(written_before{}, all_writes<stage>{}));
    deliver(execution, known, selected<false>(written_after{}, wanted.all));
    if constexpr (sizeof...(Stages) > K + 1)
        evaluate_stages(execution, after, as_field_batch(std::tuple_cat(selected<false>(computed{}, given.all), known)),
                        as_field_batch(selected<true>(written_after{}, wanted.all)));
}

} // namespace detail

} // namespace poise
