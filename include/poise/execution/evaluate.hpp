#pragma once

#include "poise/execution/batch_counts.hpp"
#include "poise/execution/batch_passes.hpp"

namespace poise {

// Errors of composition: the compiler names the stage and the field where it says that one of these is deleted.
template <class Fault>
void stage_reads_a_field_that_is_neither_given_nor_written_before() = delete;
template <class Fault>
void output_is_a_field_that_no_stage_writes() = delete;
template <class Fault>
void a_ratio_of_whole_sequences_needs_a_field_with_tokens() = delete;
template <class Fault>
void with_a_ratio_of_whole_sequences_tokens_are_weighted_by_surrogate_weight() = delete;

namespace detail {

template <class Kernel>
struct composition;
template <class... Stages, auto... Given, class... GivenBatches, auto... Wanted, class... WantedBatches>
struct composition<pipeline_kernel<pipeline<Stages...>, field_batch<named<Given, GivenBatches>...>,
                                   field_batch<named<Wanted, WantedBatches>...>>> {
    using unknown = typename first_unknown_read<fields<Given...>, Stages...>::type;
    using unwritten = typename unwritten_output<pipeline<Stages...>, typename written_by_all<fields<>, Stages...>::type,
                                                fields<Wanted...>>::type;
    using kernel = pipeline_kernel<pipeline<Stages...>, field_batch<named<Given, GivenBatches>...>,
                                   field_batch<named<Wanted, WantedBatches>...>>;
    using without_tokens = typename coupling_without_tokens<kernel, 0, Stages...>::type;
    using weighted = typename weighted_coupling<kernel, Stages...>::type;
};

/// As many sequences to a row as the batches of sequences say.
template <class... Named>
constexpr std::size_t sequences_in(Named const&... named) {
    auto sequences = std::size_t{0};
    auto const look = [&]<auto Field, class Batch>(poise::named<Field, Batch> const& one) {
        if constexpr (batch_of_sequences<Batch>) {
            if (sequences == 0) sequences = one.batch.sequences();
            require(one.batch.sequences() == sequences, "evaluate", Field.name(),
                    std::to_string(sequences) + " sequences per row", one.batch.sequences());
        }
    };
    (look(named), ...);
    return sequences;
}

/// Where the sequences of each row begin, by the first batch that says so.
template <class First, class... Named>
constexpr auto starts_of(First const& first, Named const&... named) {
    if constexpr (requires { first.batch.starts(); })
        return first.batch.starts();
    else
        return starts_of(named...);
}

} // namespace detail

/// Runs a pipeline over the rows of a batch of fields. An output is a field that a stage writes, or `objective`: the
/// aggregated loss of each row (by the pipeline's `aggregation`, the mean without one). Gradients are those of the mean
/// of `objective` over all rows. Fields of the same number of axes must have the same lengths, else `argument_error`
/// that names the field.
template <class Execution, composable Pipeline, class... Given, class... Wanted>
constexpr void evaluate(Execution const& execution, Pipeline const& stages, field_batch<Given...> const& given,
                        field_batch<Wanted...> const& wanted) {
    auto const all = detail::as_pipeline(stages);
    constexpr auto batch_wide = []<class... Stages>(pipeline<Stages...> const*) {
        return detail::first_batch_wide<Stages...>;
    }(static_cast<std::remove_const_t<decltype(all)> const*>(nullptr));
    using kernel =
        detail::pipeline_kernel<std::remove_const_t<decltype(all)>, field_batch<Given...>, field_batch<Wanted...>>;
    using composition = detail::composition<kernel>;
    if constexpr (!std::is_same_v<typename composition::unknown, detail::no_fault>)
        stage_reads_a_field_that_is_neither_given_nor_written_before<typename composition::unknown>();
    else if constexpr (!std::is_same_v<typename composition::unwritten, detail::no_fault>)
        output_is_a_field_that_no_stage_writes<typename composition::unwritten>();
    else if constexpr (!std::is_same_v<typename composition::without_tokens, detail::no_fault>)
        a_ratio_of_whole_sequences_needs_a_field_with_tokens<typename composition::without_tokens>();
    else if constexpr (!std::is_same_v<typename composition::weighted, detail::no_fault>)
        with_a_ratio_of_whole_sequences_tokens_are_weighted_by_surrogate_weight<typename composition::weighted>();
    else if constexpr (batch_wide < std::tuple_size_v<decltype(all.stages)>)
        detail::evaluate_in_passes<batch_wide>(execution, all, given, wanted,
                                               [](auto const&... arguments) { evaluate(arguments...); });
    else
        std::apply(
            [&](auto const& first, auto const&... named) {
                auto const sequences = detail::sequences_in(first, named...);
                auto const run = [&](auto const&... starts) {
                    for_each_row(execution,
                                 kernel{all, sequences,
                                        detail::counts_of_batch<kernel>(execution, first.batch.rows(), given)},
                                 detail::plain_batch(first.batch), detail::plain_batch(named.batch)..., starts...);
                };
                if constexpr (kernel::ragged)
                    run(detail::starts_of(first, named...));
                else
                    run();
            },
            std::tuple_cat(given.all, wanted.all));
}

} // namespace poise
