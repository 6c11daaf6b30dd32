#pragma once

#include "poise/core/fields.hpp"
#include "poise/objective/aggregation.hpp"

#include <tuple>

/// Pipelines: stages that work on named fields, composed in the type; execution/evaluate.hpp runs them.
///     auto loss = estimator::group_relative{} | objective::clipped_surrogate{.high = 0.28} | penalty::kl_k3{0.04};
///     evaluate(execution::simd{}, loss,
///              inputs(field::reward = rewards, field::log_probability = log_p, field::old_log_probability = old,
///                     field::reference_log_probability = reference),
///              outputs(field::objective = values, field::gradient<field::log_probability> = gradient));
namespace poise {

/// Stages in the order in which they run. All stages run on one row before the next row is touched.
template <pipeline_stage... Stages>
struct pipeline {
    std::tuple<Stages...> stages;
};

// Errors of composition: the compiler names the stage and the field where it says that one of these is deleted.
template <class Fault>
void stage_writes_a_field_that_an_earlier_stage_has_already_read() = delete;
template <class NoStage>
void only_a_pipeline_stage_can_be_composed() = delete;

namespace detail {

template <class Stage>
consteval auto writes_per_sequence() {
    if constexpr (requires { typename Stage::writes_per_sequence; })
        return typename Stage::writes_per_sequence{};
    else
        return fields<>{};
}
template <class Stage>
consteval auto writes_per_row() {
    if constexpr (requires { typename Stage::writes_per_row; })
        return typename Stage::writes_per_row{};
    else
        return fields<>{};
}
template <class Stage>
consteval auto reads_if_given() {
    if constexpr (requires { typename Stage::reads_if_given; })
        return typename Stage::reads_if_given{};
    else
        return fields<>{};
}
template <class Stage>
inline constexpr bool works_per_sequence = false;
template <class Stage>
    requires std::is_same_v<typename Stage::scope, per_sequence>
inline constexpr bool works_per_sequence<Stage> = true;
template <class Stage>
concept aggregates = requires(Stage const& stage) { stage.factor(aggregation::counts<double>{}); };

template <auto... Fields>
consteval auto joined(fields<Fields...> all) {
    return all;
}
template <auto... A, auto... B>
consteval auto joined(fields<A...>, fields<B...>, auto... more) {
    return joined(fields<A..., B...>{}, more...);
}
template <class Stage>
using all_writes =
    decltype(joined(typename Stage::writes{}, writes_per_sequence<Stage>(), writes_per_row<Stage>()));
template <class Stage>
using all_reads = decltype(joined(typename Stage::reads{}, reads_if_given<Stage>()));

template <class Stage, auto Field>
inline constexpr bool writes_field = all_writes<Stage>::template contains<Field>;

/// What is wrong with a composition: a stage and a field, for a message.
template <class Stage, auto Field>
struct fault {};
struct no_fault {};

// The first field that a stage writes though an earlier stage has read it and none before that wrote it: the order is
// wrong.
template <class Later, class Earlier, class Writes>
struct late_write {
    using type = no_fault;
};
template <class Later, class... Earlier, auto First, auto... More>
struct late_write<Later, pipeline<Earlier...>, fields<First, More...>> {
    static constexpr bool late = !std::is_same_v<typename type_of_field<First>::combination, added> &&
                                 (all_reads<Earlier>::template contains<First> || ...) &&
                                 !(writes_field<Earlier, First> || ...);
    using type = typename std::conditional_t<late, std::type_identity<fault<Later, First>>,
                                             late_write<Later, pipeline<Earlier...>, fields<More...>>>::type;
};
template <class First, class Second>
struct first_late_write {
    using type = no_fault;
};
template <class First, class Stage, class... Stages>
struct first_late_write<First, pipeline<Stage, Stages...>> {
    using here = typename late_write<Stage, First, all_writes<Stage>>::type;
    using type =
        typename std::conditional_t<std::is_same_v<here, no_fault>, first_late_write<First, pipeline<Stages...>>,
                                    std::type_identity<here>>::type;
};

template <pipeline_stage Stage>
constexpr pipeline<Stage> as_pipeline(Stage const& stage) {
    return {std::tuple{stage}};
}
template <class... Stages>
constexpr pipeline<Stages...> as_pipeline(pipeline<Stages...> const& stages) {
    return stages;
}

template <class P>
inline constexpr bool is_pipeline = false;
template <class... Stages>
inline constexpr bool is_pipeline<pipeline<Stages...>> = true;

template <class A, class B>
using fault_of_order = typename first_late_write<decltype(as_pipeline(std::declval<A const&>())),
                                                 decltype(as_pipeline(std::declval<B const&>()))>::type;

template <class A, class B>
constexpr auto compose(A const& a, B const& b) {
    auto const first = as_pipeline(a);
    auto const second = as_pipeline(b);
    return [&]<class... All>(std::tuple<All...> stages) {
        return pipeline<All...>{stages};
    }(std::tuple_cat(first.stages, second.stages));
}

} // namespace detail

template <class P>
concept composable = pipeline_stage<P> || detail::is_pipeline<P>;

/// a | b: a, then b. Does not compile where b writes what a has already read.
template <class A, class B>
    requires(composable<A> || composable<B>)
constexpr auto operator|(A const& a, B const& b) {
    if constexpr (!composable<A> || !composable<B>) {
        only_a_pipeline_stage_can_be_composed<std::conditional_t<composable<A>, B, A>>();
    } else if constexpr (!std::is_same_v<detail::fault_of_order<A, B>, detail::no_fault>) {
        stage_writes_a_field_that_an_earlier_stage_has_already_read<detail::fault_of_order<A, B>>();
    } else {
        return detail::compose(a, b);
    }
}

// For argument-dependent look-up of `|` on stages. A user's namespace of stages says the same.
namespace aggregation {
using poise::operator|;
}
namespace environment {
using poise::operator|;
}
namespace estimator {
using poise::operator|;
}
namespace metric {
using poise::operator|;
}
namespace objective {
using poise::operator|;
}
namespace penalty {
using poise::operator|;
}
namespace weighting {
using poise::operator|;
}

/// A stage under other names: with_fields<Stage, fields<reads...>, fields<writes...>>{stage}, in the stage's own order.
template <pipeline_stage Stage, class Reads, class Writes>
    requires(Reads::size == Stage::reads::size && Writes::size == Stage::writes::size)
struct with_fields : Stage {
    using reads = Reads;
    using writes = Writes;
};

/// The fields that a pipeline is given, or that it is to give back.
template <class... Named>
struct field_batch {
    std::tuple<Named...> all;
};

template <auto... Fields, class... Batches>
constexpr auto inputs(named<Fields, Batches>... given) {
    return field_batch<named<Fields, Batches>...>{std::tuple{given...}};
}
template <auto... Fields, class... Batches>
constexpr auto outputs(named<Fields, Batches>... wanted) {
    return field_batch<named<Fields, Batches>...>{std::tuple{wanted...}};
}

} // namespace poise
