#pragma once

#include "poise/core/batch.hpp"
#include "poise/core/row.hpp"
#include "poise/environment/transition.hpp"
#include "poise/execution/row_kernel.hpp"
#include "poise/random/address.hpp"

#include <concepts>
#include <cstddef>
#include <span>
#include <tuple>

/// What the parts of a program must provide: policies, rewards, environments, estimators, weightings, objectives,
/// solvers, executions and communicators. Each concept is made of named smaller ones, so that a compiler that refuses a
/// type says which part is missing. A type models a concept only if it also means what the comment says.
/// tests/static/archetypes.hpp has the least type that satisfies each.
namespace poise::concepts {

// ---- policy

/// All parameters are one flat row, readable and writable in place.
template <class P>
concept has_flat_parameters = requires(P& p, P const& constant) {
    requires scalar<typename P::value_type>;
    { p.parameters() } -> writable_row;
    { constant.parameters() } -> row_of_reals;
};

/// `log_probability(context, action)`, the logarithm of a probability or of a density.
template <class P>
concept gives_log_probability =
    requires(P const& p, typename P::context_type const& context, typename P::action_type const& action) {
        { p.log_probability(context, action) } -> std::convertible_to<typename P::value_type>;
    };

/// `sample(context, address)`: the action drawn at a random address, the same wherever it runs.
template <class P>
concept samples_actions =
    requires(P const& p, typename P::context_type const& context, random::address where) { p.sample(context, where); };

/// `entropy(context)` in nats.
template <class P>
concept has_entropy = requires(P const& p, typename P::context_type const& context) {
    { p.entropy(context) } -> std::convertible_to<typename P::value_type>;
};

/// `pullback(context, action, cotangent, gradient)` adds to the flat gradient cotangent d log_probability / d
/// parameters.
template <class P>
concept pulls_back_log_probability =
    requires(P const& p, typename P::context_type const& context, typename P::action_type const& action,
             typename P::value_type cotangent,
             row<typename P::value_type> gradient) { p.pullback(context, action, cotangent, gradient); };

/// A distribution over actions for each context, with parameters that can be learned.
template <class P>
concept policy = has_flat_parameters<P> && gives_log_probability<P> && samples_actions<P> && has_entropy<P> &&
                 pulls_back_log_probability<P>;

/// `actions()` many actions, and all their log-probabilities at once: `log_probabilities(context, out)`.
template <class P>
concept enumerates_actions =
    requires(P const& p, typename P::context_type const& context, row<typename P::value_type> out) {
        { p.actions() } -> std::convertible_to<std::size_t>;
        p.log_probabilities(context, out);
    };

/// `pullback(context, cotangent, gradient)` adds J^T cotangent, J the Jacobian of the context's log-probabilities in
/// the parameters: from a loss's gradient in log-probabilities to its gradient in parameters.
template <class P>
concept pulls_back_all_log_probabilities =
    requires(P const& p, typename P::context_type const& context, row<typename P::value_type const> cotangent,
             row<typename P::value_type> gradient) { p.pullback(context, cotangent, gradient); };

/// A policy over finitely many actions 0, 1, ….
template <class P>
concept finite_policy = policy<P> && enumerates_actions<P> && pulls_back_all_log_probabilities<P>;

/// `kl_divergence(context, other)` = KL(pi || other) in nats, to another policy of its kind.
template <class P>
concept has_kl_divergence = requires(P const& p, typename P::context_type const& context) {
    { p.kl_divergence(context, p) } -> std::convertible_to<typename P::value_type>;
};

/// `entropy_pullback(context, cotangent, gradient)` adds to the flat gradient cotangent d entropy / d parameters.
template <class P>
concept pulls_back_entropy =
    requires(P const& p, typename P::context_type const& context, typename P::value_type cotangent,
             row<typename P::value_type> gradient) { p.entropy_pullback(context, cotangent, gradient); };

/// `kl_divergence_pullback(context, other, cotangent, gradient)` adds cotangent d KL(pi || other) / d parameters of pi.
template <class P>
concept pulls_back_kl_divergence =
    requires(P const& p, typename P::context_type const& context, typename P::value_type cotangent,
             row<typename P::value_type> gradient) { p.kl_divergence_pullback(context, p, cotangent, gradient); };

/// Whole batches of samples, by a `tape(capacity)` that holds their working memory from call to call. An empty row
/// means: not wanted, or no cotangent.
///  - `sample(contexts, where, tape, actions)`: action i is drawn in context i at address index + i;
///  - `evaluate(contexts, actions, tape, log_probabilities, entropies)`: a value per sample;
///  - `pullback(tape, log_probability_cotangents, entropy_cotangents, gradient)` of what was evaluated last adds
///    sum_i c_i d log_probability_i + e_i d entropy_i to the flat gradient.
template <class P>
concept batched_policy =
    policy<P> && std::constructible_from<typename P::tape, std::size_t> &&
    requires(P const& p, typename P::tape& tape, std::span<typename P::context_type const> contexts,
             std::span<typename P::action_type const> actions, std::span<typename P::action_type> drawn,
             row<typename P::value_type> values, row<typename P::value_type const> cotangents, random::address where) {
        p.sample(contexts, where, tape, drawn);
        p.evaluate(contexts, actions, tape, values, values);
        p.pullback(tape, cotangents, cotangents, values);
    };

/// Compiles for a `policy`, or with `Finite` a `finite_policy`; otherwise the error says what P lacks.
template <class P, bool Finite = false>
constexpr void require_policy() {
    static_assert(satisfied<has_flat_parameters<P>>,
                  "not a policy: no has_flat_parameters: parameters() must give one writable_row");
    static_assert(satisfied<gives_log_probability<P>>,
                  "not a policy: no gives_log_probability: log_probability(context, action)");
    static_assert(satisfied<samples_actions<P>>, "not a policy: no samples_actions: sample(context, random::address)");
    static_assert(satisfied<has_entropy<P>>, "not a policy: no has_entropy: entropy(context)");
    static_assert(satisfied<pulls_back_log_probability<P>>,
                  "not a policy: no pulls_back_log_probability: pullback(context, action, cotangent, gradient)");
    static_assert(satisfied < !Finite || enumerates_actions < P >>,
                  "not a finite_policy: no enumerates_actions: actions() and log_probabilities(context, out)");
    static_assert(satisfied < !Finite || pulls_back_all_log_probabilities < P >>,
                  "not a finite_policy: no pulls_back_all_log_probabilities: pullback(context, cotangents, gradient)");
}
// ---- reward

/// `score(context, action)`: the higher the better.
template <class R>
concept scores_actions =
    requires(R const& r, typename R::context_type const& context, typename R::action_type const& action) {
        { r.score(context, action) } -> scalar;
    };

/// `preference(context, a, b)`: the probability that action a is preferred to b; with that of b to a it sums to 1.
template <class R>
concept compares_actions =
    requires(R const& r, typename R::context_type const& context, typename R::action_type const& action) {
        { r.preference(context, action, action) } -> scalar;
    };

/// Scores an action, or compares two.
template <class R>
concept reward = scores_actions<R> || compares_actions<R>;

/// Compiles for a reward that `scores_actions`; otherwise the error says so.
template <class R>
constexpr void require_scoring_reward() {
    static_assert(satisfied<scores_actions<R>>, "not a reward that scores_actions: score(context, action)");
}

// ---- environment

/// `reset(where)` gives the first state of an episode.
template <class E>
concept resets = requires(E const& e, random::address where) {
    { e.reset(where) } -> std::same_as<typename E::state_type>;
};

/// `step(state, action, where)` gives the `environment::transition` that the action makes.
template <class E>
concept makes_transitions = requires(E const& e, typename E::state_type const& state,
                                     typename E::action_type const& action, random::address where) {
    {
        e.step(state, action, where)
    } -> std::same_as<environment::transition<typename E::state_type, typename E::value_type>>;
};

/// `observe(state, out)` writes what a policy sees of the state, `observation_size()` numbers.
template <class E>
concept observes = requires(E const& e, typename E::state_type const& state, row<typename E::value_type> out) {
    { e.observation_size() } -> std::convertible_to<std::size_t>;
    e.observe(state, out);
};

/// A Markov decision process that can be sampled. It is a value without hidden state. `reset` and `step` draw at the
/// address they are given and at the next indices, `draws` of them at most, and at none else. With a SIMD pack as
/// value_type there is one episode per lane, and the draws of lane i are those of replica + i.
template <class E>
concept environment = scalar<typename E::value_type> && resets<E> && makes_transitions<E> && observes<E> && requires {
    { E::draws } -> std::convertible_to<std::uint32_t>;
};

/// An environment with finitely many actions, 0 … actions() - 1.
template <class E>
concept finite_action_environment = environment<E> && requires(E const& e) {
    { e.actions() } -> std::convertible_to<std::size_t>;
};

/// One with finitely many states too, 0 … states() - 1.
template <class E>
concept finite_environment = finite_action_environment<E> && requires(E const& e) {
    { e.states() } -> std::convertible_to<std::size_t>;
};

/// Compiles for an `environment`; otherwise the error says what E lacks.
template <class E>
constexpr void require_environment() {
    static_assert(satisfied<resets<E>>, "not an environment: no resets: reset(random::address) must give a state_type");
    static_assert(
        satisfied<makes_transitions<E>>,
        "not an environment: no makes_transitions: step(state, action, random::address) must give a transition");
    static_assert(satisfied<observes<E>>,
                  "not an environment: no observes: observation_size() and observe(state, out)");
    static_assert(satisfied<environment<E>>, "not an environment: it does not state its number of draws");
}

// ---- what is computed from samples: row kernels, asked about the rows that they are to be given

/// The scalar of the first of some rows.
template <class... Rows>
using first_scalar = value_of<std::tuple_element_t<0, std::tuple<Rows...>>>;

/// From the rows of one group or trajectory (rewards, values, …) to a row of advantages, values or gradients:
/// `e(inputs..., out)`.
template <class E, class... Inputs>
concept estimator = row_kernel<E, Inputs..., row<first_scalar<Inputs...>>>;

/// From any rows to a row of weights, none of them negative: `w(inputs..., weights)`. Weights multiply.
template <class W, class... Inputs>
concept weighting = row_kernel<W, Inputs..., row<first_scalar<Inputs...>>>;

/// A value and its closed-form gradient with respect to the first input: `o(inputs..., value, gradient)`; the value is
/// a row of length 1.
template <class O, class... Inputs>
concept objective = row_kernel<O, Inputs..., row<first_scalar<Inputs...>, 1>, row<first_scalar<Inputs...>>>;

// ---- solver

/// Iterates with visible state: `step()` once, `steps()` taken so far, and `gap()`, 0 at the solution and only there,
/// by the measure that the solver states.
template <class S>
concept solver = requires(S& s, S const& constant) {
    s.step();
    { constant.steps() } -> std::convertible_to<std::size_t>;
    { constant.gap() } -> scalar;
};

// ---- where it runs

namespace detail {

struct copying_kernel {
    constexpr void operator()(row_of_reals auto in, writable_row auto out) const { out[0] = in[0]; }
};

} // namespace detail

/// `run(kernel, rows, batches...)` runs a row kernel over the rows of batches; `checked` says whether `for_each_row` is
/// to check shapes and domains first.
template <class E>
concept execution_policy = requires(E const& e, std::size_t rows, batch<double const> in, batch<double> out) {
    { E::checked } -> std::convertible_to<bool>;
    e.run(detail::copying_kernel{}, rows, in, out);
};

/// Processes that compute one thing together: `rank()` of `size()`, the sum of a row over all of them, and the row of
/// one of them for all.
template <class C>
concept communicator = requires(C const& c, row<double> values, std::size_t root) {
    { c.rank() } -> std::convertible_to<std::size_t>;
    { c.size() } -> std::convertible_to<std::size_t>;
    c.all_reduce_sum(values);
    c.broadcast(values, root);
};

} // namespace poise::concepts
