#pragma once

#include "poise/core/sequences.hpp"

#include <type_traits>

/// Named fields: what the numbers of a batch are. The names are part of types, so that the compiler can tell what a
/// stage of a pipeline reads and writes.
namespace poise {

/// What becomes of a field that several stages write: the last one's is kept, or they add up, or multiply.
struct replaced {};
struct added {};
struct multiplied {};

/// A field with the batch of its numbers: `field::reward = rewards`. One number per row of the pipeline (an object of
/// one axis), one row per row (two axes: prompt x rollout, trajectory x step), or sequences per row (three axes, prompt
/// x rollout x token: see `sequences_of` and interop/).
template <auto Field, class Batch>
struct named {
    Batch batch;
};

namespace detail {

template <auto Field, class Object>
constexpr auto name_batch(Object& object) {
    return named<Field, std::remove_cvref_t<decltype(as_batch_of_sequences(object))>>{as_batch_of_sequences(object)};
}

} // namespace detail

/// A field by the name `name`. A user's own: `POISE_FIELD(surprise, poise::replaced)`.
#define POISE_FIELD(field_name, combination_of_writes)                                                                 \
    struct field_name##_field {                                                                                        \
        using combination = combination_of_writes;                                                                     \
        static constexpr char const* name() { return #field_name; }                                                    \
        template <class Object>                                                                                        \
        constexpr auto operator=(Object&& object) const {                                                              \
            return ::poise::detail::name_batch<field_name##_field{}>(object);                                          \
        }                                                                                                              \
    };                                                                                                                 \
    inline constexpr field_name##_field field_name {}

namespace field {

POISE_FIELD(reward, replaced);
POISE_FIELD(step_reward, replaced); ///< of each step, beside the reward of a whole sequence
POISE_FIELD(cost, replaced);
POISE_FIELD(baseline, replaced);
POISE_FIELD(advantage, replaced);
POISE_FIELD(value, replaced); ///< what the value function expects
POISE_FIELD(old_value, replaced);
POISE_FIELD(last_value, replaced); ///< of the state after a trajectory's last step
POISE_FIELD(returns, replaced);
POISE_FIELD(terminal, replaced); ///< 1 at the last step of an episode, else 0
POISE_FIELD(log_probability, replaced);
POISE_FIELD(old_log_probability, replaced);       ///< of the policy that sampled
POISE_FIELD(reference_log_probability, replaced); ///< of the policy to stay close to
POISE_FIELD(sampling_log_probability, replaced);  ///< as the engine that sampled reports it, beside the old policy's
POISE_FIELD(sampling_ratio, replaced); ///< the old policy's probability of a token over that of the one that sampled
POISE_FIELD(length, replaced);                    ///< of a response, in tokens
POISE_FIELD(entropy, replaced);
/// What random selections order by: a random number of each element.
POISE_FIELD(selection_key, replaced);
// Masks and weights: those of several stages multiply, and one that nobody gives or writes is 1.
POISE_FIELD(mask, multiplied);             ///< 1 where an element counts, in sums and in what they are divided by
POISE_FIELD(sample_mask, multiplied);      ///< 1 where a rollout counts in the statistics of its group
POISE_FIELD(weight, multiplied);           ///< of all losses of an element; what sums are divided by stays
POISE_FIELD(surrogate_weight, multiplied); ///< of an element's surrogate alone, not of its penalties
/// One loss per element: those of several objectives and penalties add up.
POISE_FIELD(loss, added);
/// The aggregated loss, one number per row.
POISE_FIELD(objective, replaced);
// diagnostics, one number per row
POISE_FIELD(clip_fraction, replaced);
POISE_FIELD(kl_divergence, replaced);

/// Reward number I of several.
template <std::size_t I>
struct component_field {
    using combination = replaced;
    static constexpr char const* name() { return "component"; }
    template <class Object>
    constexpr auto operator=(Object&& object) const {
        return ::poise::detail::name_batch<component_field{}>(object);
    }
};
template <std::size_t I>
inline constexpr component_field<I> component{};

/// The derivative of the loss with respect to a field: what several objectives write adds up.
template <auto Of>
struct gradient_field {
    using combination = added;
    static constexpr char const* name() { return "gradient"; }
    template <class Object>
    constexpr auto operator=(Object&& object) const {
        return ::poise::detail::name_batch<gradient_field{}>(object);
    }
};
template <auto Of>
inline constexpr gradient_field<Of> gradient{};

} // namespace field

/// The tag type of a field. (For nvcc the type of a template argument is a reference.)
template <auto Field>
using type_of_field = std::remove_cvref_t<decltype(Field)>;

/// A list of fields.
template <auto... Fields>
struct fields {
    static constexpr std::size_t size = sizeof...(Fields);

    template <auto Field>
    static constexpr bool contains = (std::is_same_v<type_of_field<Field>, type_of_field<Fields>> || ...);

    /// The place of a field in the list; `size` if it is not there.
    template <auto Field>
    static constexpr std::size_t index = [] {
        auto place = std::size_t{0}, found = size;
        ((std::is_same_v<type_of_field<Field>, type_of_field<Fields>> ? found = place : ++place), ...);
        return found;
    }();
};

/// A part of a pipeline: a row kernel that names its arguments, `stage(rows it reads..., rows it writes...)`. It sees
/// the rows of one group, with the fields it reads repeated to the length of the longest; with
/// `using scope = per_sequence` it is called for each sequence of the group, on the elements of that sequence, and with
/// `per_batch` once, on those of all groups. It may
/// also state `writes_per_sequence` (one value per sequence) and `writes_per_row` (one value per row), which come after
/// `writes`, and `reads_if_given`, last of all arguments and left out where the pipeline has no such field, or one with
/// more axes than what the stage reads. `check_hyperparameters()` and `check_length(elements)` throw for members and
/// rows that the stage has no result for. `writes_once` says that it writes every element once and reads none of what it
/// wrote, so that losses and gradients can be added up where they are.
template <class S>
concept pipeline_stage = requires {
    S::reads::size;
    S::writes::size;
};

/// The scope of a stage that looks at one sequence at a time (a trajectory, a response's tokens).
struct per_sequence {};
/// The scope of a stage that sees a whole row, as does one that states none.
struct whole_row {};

/// The scope of a stage that looks at the elements of all rows at once, as one long row.
struct per_batch {};

} // namespace poise
