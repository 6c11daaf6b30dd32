#pragma once

#include "poise/execution/field_rows.hpp"
#include "poise/pipeline.hpp"

/// What a pipeline reads and writes as a whole, and what is wrong with it.
namespace poise::detail {

template <auto Field, class Combination>
inline constexpr bool is_combination = std::is_same_v<typename type_of_field<Field>::combination, Combination>;

template <class Found, auto... More>
struct list_with {
    using type = Found;
};
template <auto... Found, auto First, auto... More>
struct list_with<fields<Found...>, First, More...>
    : list_with<
          std::conditional_t<fields<Found...>::template contains<First>, fields<Found...>, fields<Found..., First>>,
          More...> {};

template <class List, class Stage>
constexpr auto with_written(List list, Stage const*) {
    auto const merged = []<class Found, auto... More>(Found, fields<More...>) {
        return typename list_with<Found, More...>::type{};
    };
    return merged(list, all_writes<Stage>{});
}

/// All fields that the stages write, each once.
template <class List, class... Stages>
struct written_by_all {
    using type = List;
};
template <class List, class First, class... More>
struct written_by_all<List, First, More...>
    : written_by_all<decltype(with_written(List{}, static_cast<First const*>(nullptr))), More...> {};

template <class Stage>
inline constexpr std::size_t written_count = all_writes<Stage>::size;

// The first field that a stage reads without its being known, the known ones being a list of fields.
template <class Stage, class Known, class Reads>
struct unknown_read {
    using type = no_fault;
};
template <class Stage, class Known, auto First, auto... More>
struct unknown_read<Stage, Known, fields<First, More...>> {
    static constexpr bool unknown = !Known::template contains<First> && !is_combination<First, multiplied>;
    using type = typename std::conditional_t<unknown, std::type_identity<fault<Stage, First>>,
                                             unknown_read<Stage, Known, fields<More...>>>::type;
};
template <class Known, class... Stages>
struct first_unknown_read {
    using type = no_fault;
};
template <class Known, class Stage, class... Stages>
struct first_unknown_read<Known, Stage, Stages...> {
    using here = typename unknown_read<Stage, Known, typename Stage::reads>::type;
    using then = decltype(with_written(Known{}, static_cast<Stage const*>(nullptr)));
    using type = typename std::conditional_t<std::is_same_v<here, no_fault>, first_unknown_read<then, Stages...>,
                                             std::type_identity<here>>::type;
};

// The first output that no stage writes. What writes losses makes the objective.
template <class Pipeline, class Written, class Wanted>
struct unwritten_output {
    using type = no_fault;
};
template <class Pipeline, class Written, auto First, auto... More>
struct unwritten_output<Pipeline, Written, fields<First, More...>> {
    static constexpr bool is_written =
        Written::template contains<First> ||
        (fields<field::objective>::template contains<First> && Written::template contains<field::loss>);
    using type = typename std::conditional_t<is_written, unwritten_output<Pipeline, Written, fields<More...>>,
                                             std::type_identity<fault<Pipeline, First>>>::type;
};

template <class Stage>
inline constexpr bool couples_tokens = requires { requires Stage::couples_tokens; };
template <class Stage>
inline constexpr bool couples_gradients = requires { requires Stage::couples_gradients; };

// The first stage with a ratio of whole sequences, of log-probabilities that have no tokens: it would take the row, a
// group of responses, for a sequence.
template <class Kernel, std::size_t I, class... Stages>
struct coupling_without_tokens {
    using type = no_fault;
};
template <class Kernel, std::size_t I, class First, class... More>
struct coupling_without_tokens<Kernel, I, First, More...> {
    static constexpr bool here = [] {
        if constexpr (couples_tokens<First>)
            return Kernel::template rank_before<field::log_probability, I>() != per_token_rank;
        else
            return false;
    }();
    using type = typename std::conditional_t<here, std::type_identity<fault<First, field::log_probability>>,
                                             coupling_without_tokens<Kernel, I + 1, More...>>::type;
};

// The first stage whose gradients of tokens depend on each other's losses, where single tokens have weights.
template <class Kernel, class... Stages>
struct weighted_coupling {
    using type = no_fault;
};
template <class Kernel, class First, class... More>
struct weighted_coupling<Kernel, First, More...> {
    static constexpr bool here = [] {
        if constexpr (couples_gradients<First>)
            return Kernel::template rank_before<field::weight, Kernel::stage_count>() == per_token_rank;
        else
            return false;
    }();
    using type = typename std::conditional_t<here, std::type_identity<fault<First, field::weight>>,
                                             weighted_coupling<Kernel, More...>>::type;
};

} // namespace poise::detail
