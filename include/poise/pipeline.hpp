#pragma once

#include "poise/core/fields.hpp"

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

// An error of composition: the compiler names the stage and the field where it says that this is deleted.
template <class Stage, auto Field>
void stage_writes_a_field_that_an_earlier_stage_has_already_read() = delete;

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
inline constexpr bool works_per_sequence = requires { typename Stage::scope; };
template <class Stage>
concept aggregates = requires(Stage const& stage) { stage.factor(1.0, std::size_t{1}); };

template <class Stage, auto Field>
inline constexpr bool writes_field =
    Stage::writes::template contains<Field> || decltype(writes_per_sequence<Stage>())::template contains<Field> ||
    decltype(writes_per_row<Stage>())::template contains<Field>;

// A field that a stage writes, though an earlier one has read it and none before that wrote it: the order is wrong.
template <class Later, class... Earlier, auto... Written>
constexpr void check_order(pipeline<Earlier...> const&, fields<Written...>) {
    constexpr auto check = []<auto Field>() {
        constexpr auto sums_up = std::is_same_v<typename decltype(Field)::combination, added>;
        if constexpr (!sums_up && (Earlier::reads::template contains<Field> || ...) &&
                      !(writes_field<Earlier, Field> || ...))
            stage_writes_a_field_that_an_earlier_stage_has_already_read<Later, Field>();
    };
    (check.template operator()<Written>(), ...);
}

template <pipeline_stage Stage>
constexpr auto as_pipeline(Stage const& stage) {
    return pipeline<Stage>{std::tuple{stage}};
}
template <class... Stages>
constexpr auto as_pipeline(pipeline<Stages...> const& stages) {
    return stages;
}

template <class P>
inline constexpr bool is_pipeline = false;
template <class... Stages>
inline constexpr bool is_pipeline<pipeline<Stages...>> = true;

} // namespace detail

template <class P>
concept composable = pipeline_stage<P> || detail::is_pipeline<P>;

/// a | b: a, then b. Does not compile where b writes what a has already read.
template <composable A, composable B>
constexpr auto operator|(A const& a, B const& b) {
    auto const first = detail::as_pipeline(a);
    auto const second = detail::as_pipeline(b);
    [&]<class... Later>(pipeline<Later...> const&) {
        (detail::check_order<Later>(first, typename Later::writes{}), ...);
    }(second);
    return [&]<class... All>(std::tuple<All...> stages) {
        return pipeline<All...>{stages};
    }(std::tuple_cat(first.stages, second.stages));
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
