#include "archetypes.hpp"

#include "poise/core/dual.hpp"
#include "poise/distributed/communicator.hpp"
#include "poise/environment/bandit.hpp"
#include "poise/environment/cart_pole.hpp"
#include "poise/environment/chain.hpp"
#include "poise/environment/grid_world.hpp"
#include "poise/execution/simd.hpp"
#include "poise/metric/expected_reward.hpp"
#include "poise/objective/nash_md_policy_gradient.hpp"
#include "poise/objective/plackett_luce_distillation.hpp"
#include "poise/policy/averaged.hpp"
#include "poise/policy/epsilon_uniform.hpp"
#include "poise/policy/log_linear.hpp"
#include "poise/policy/mixture.hpp"
#include "poise/policy/neural_softmax.hpp"
#include "poise/policy/simplex.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/policy/tanh_gaussian.hpp"
#include "poise/policy/token_policy.hpp"
#include "poise/policy/with_temperature.hpp"
#include "poise/reward/composite.hpp"
#include "poise/reward/table.hpp"
#include "poise/reward/verifiable.hpp"
#include "poise/solver/nash_md.hpp"
#include "poise/solver/optimizer.hpp"
#include "poise/weighting/ranking_weights.hpp"

#include <type_traits>

namespace {

namespace concepts = poise::concepts;
using in = poise::row<double const>;
using out = poise::row<double>;

// Archetypes.
static_assert(concepts::policy<archetype::policy>);
static_assert(!concepts::finite_policy<archetype::policy>);
static_assert(concepts::policy<archetype::finite_policy> && concepts::finite_policy<archetype::finite_policy>);
static_assert(concepts::batched_policy<archetype::batched_policy> && !concepts::batched_policy<archetype::policy>);
static_assert(concepts::has_kl_divergence<archetype::regularized_policy> &&
              concepts::pulls_back_entropy<archetype::regularized_policy> &&
              concepts::pulls_back_kl_divergence<archetype::regularized_policy>);
static_assert(!concepts::has_kl_divergence<archetype::policy> && !concepts::pulls_back_entropy<archetype::policy> &&
              !concepts::pulls_back_kl_divergence<archetype::policy>);
static_assert(concepts::reward<archetype::scoring_reward> && concepts::reward<archetype::comparing_reward>);
static_assert(concepts::scores_actions<archetype::scoring_reward> &&
              !concepts::compares_actions<archetype::scoring_reward>);
static_assert(concepts::compares_actions<archetype::comparing_reward> &&
              !concepts::scores_actions<archetype::comparing_reward>);
static_assert(concepts::environment<archetype::environment>);
static_assert(!concepts::finite_action_environment<archetype::environment>);
static_assert(concepts::estimator<archetype::estimator, in>);
static_assert(concepts::weighting<archetype::weighting, in>);
static_assert(concepts::objective<archetype::objective, in>);
static_assert(concepts::solver<archetype::solver>);
static_assert(concepts::execution_policy<archetype::execution>);
static_assert(concepts::communicator<archetype::communicator>);

// What is written against a concept needs no more than its archetype.
static_assert(
    std::is_same_v<decltype(poise::metric::expected_reward(archetype::finite_policy{}, archetype::scoring_reward{},
                                                           archetype::context{}, std::declval<out>())),
                   double>);
static_assert(requires(double const* from, double* to) {
    poise::for_each_row(archetype::execution{}, archetype::estimator{}, poise::rows_of(from, 1, 1),
                        poise::rows_of(to, 1, 1));
});

static_assert(concepts::environment<poise::environment::time_limit<archetype::environment>>);
static_assert(std::is_same_v<decltype(poise::environment::step_or_reset(archetype::environment{}, {}, {}, {}, {}).next),
                             archetype::environment::state_type>);

// One is not the other.
template <class T>
inline constexpr int roles =
    concepts::policy<T> + concepts::reward<T> + concepts::environment<T> + concepts::estimator<T, in> +
    concepts::objective<T, in> + concepts::solver<T> + concepts::execution_policy<T> + concepts::communicator<T>;
static_assert(roles<archetype::policy> == 1 && roles<archetype::finite_policy> == 1);
static_assert(roles<archetype::scoring_reward> == 1 && roles<archetype::comparing_reward> == 1);
static_assert(roles<archetype::environment> == 1);
static_assert(roles<archetype::estimator> == 1 && roles<archetype::objective> == 1);
static_assert(roles<archetype::solver> == 1 && roles<archetype::execution> == 1 && roles<archetype::communicator> == 1);
static_assert(roles<int> == 0 && roles<std::vector<double>> == 0);
static_assert(!concepts::estimator<archetype::estimator, in, in>, "one input too many");
static_assert(!poise::row_kernel<archetype::estimator, in, in>, "an output that cannot be written");

// A policy without one of its parts is none.
struct without_entropy : archetype::finite_policy {
    void entropy(archetype::context) const = delete;
};
struct without_sampling : archetype::finite_policy {
    void sample(archetype::context, poise::random::address) const = delete;
};
struct with_frozen_parameters : archetype::finite_policy {
    poise::row<double const> parameters() const { return {nullptr, 0}; }
};
static_assert(!concepts::policy<without_entropy> && !concepts::policy<without_sampling> &&
              !concepts::policy<with_frozen_parameters>);

// The library's own.
template <class P>
inline constexpr bool whole_policy = concepts::batched_policy<P> && concepts::has_kl_divergence<P> &&
                                     concepts::pulls_back_entropy<P> && concepts::pulls_back_kl_divergence<P>;
template <class P>
inline constexpr bool whole_finite_policy = whole_policy<P> && concepts::finite_policy<P>;
template <class T>
inline constexpr bool tabular_policies =
    whole_finite_policy<poise::policy::tabular_softmax<T>> && whole_finite_policy<poise::policy::simplex<T>>;
static_assert(tabular_policies<double> && tabular_policies<float> && tabular_policies<poise::lanes<double>>);
namespace policy = poise::policy;
template <class T>
inline constexpr bool other_finite_policies =
    whole_finite_policy<policy::log_linear<T>> && whole_finite_policy<policy::neural_softmax<T, policy::dense<2, 3>>> &&
    whole_finite_policy<policy::with_temperature<policy::log_linear<T>>> &&
    whole_finite_policy<policy::epsilon_uniform<policy::simplex<T>>> &&
    whole_finite_policy<policy::mixture<policy::mixing::linear, policy::tabular_softmax<T>, policy::simplex<T>>> &&
    whole_finite_policy<policy::frozen<policy::tabular_softmax<T>>> &&
    whole_finite_policy<policy::averaged<policy::tabular_softmax<T>>>;
static_assert(other_finite_policies<double> && other_finite_policies<float> &&
              other_finite_policies<poise::lanes<double>>);
template <class T>
inline constexpr bool policies_of_other_actions =
    whole_policy<policy::diagonal_gaussian<T, policy::dense<2, 3>>> &&
    whole_policy<policy::tanh_gaussian<T, policy::dense<2, 3>>> && whole_policy<policy::token_policy<T, 4>>;
static_assert(policies_of_other_actions<double> && policies_of_other_actions<float>);
static_assert(!concepts::finite_policy<policy::token_policy<double, 4>>);
static_assert(concepts::scores_actions<poise::reward::table<double>>);
static_assert(concepts::compares_actions<poise::reward::bradley_terry<poise::reward::table<float>>>);
static_assert(
    concepts::scores_actions<poise::reward::composite<double, poise::reward::table<float>, archetype::scoring_reward>>);
static_assert(concepts::scores_actions<poise::reward::verifiable<double, archetype::context, archetype::action,
                                                                 bool (*)(archetype::context, archetype::action)>>);
static_assert(!concepts::policy<poise::reward::table<double>>);
static_assert(!concepts::reward<poise::policy::tabular_softmax<double>>);

template <class T>
inline constexpr bool finite_environments = concepts::finite_environment<poise::environment::contextual_bandit<T>> &&
                                            concepts::finite_environment<poise::environment::chain<T>> &&
                                            concepts::finite_environment<poise::environment::grid_world<T>>;
static_assert(finite_environments<double> && finite_environments<float> && finite_environments<poise::lanes<float>>);
static_assert(concepts::finite_environment<poise::environment::finite_mdp<float>>);
static_assert(concepts::finite_action_environment<poise::environment::cart_pole<poise::lanes<float>>>);
static_assert(!concepts::environment<poise::policy::tabular_softmax<double>>);

static_assert(concepts::objective<poise::objective::plackett_luce_distillation<>, in, in, poise::row<double const, 1>>);
static_assert(concepts::objective<poise::objective::nash_md_surrogate<>, in, in, in, poise::row<double const, 1>>);
static_assert(concepts::weighting<poise::weighting::ranking::teacher_softmax, in>);
static_assert(concepts::solver<poise::solver::mirror_descent_solver<double, 3>>);
static_assert(concepts::solver<poise::solver::mirror_descent_solver<poise::lanes<float>, 3>>);

static_assert(concepts::execution_policy<poise::execution::sequential>);
static_assert(concepts::execution_policy<poise::execution::in_lanes>);
static_assert(concepts::execution_policy<poise::execution::along>);
static_assert(concepts::execution_policy<poise::execution::simd>);
static_assert(concepts::execution_policy<poise::execution::unchecked<poise::execution::simd>>);
static_assert(concepts::communicator<poise::distributed::single_process>);

template <class T>
inline constexpr bool update_rules =
    poise::solver::update_rule<poise::solver::sgd<>, T> && poise::solver::update_rule<poise::solver::momentum<>, T> &&
    poise::solver::update_rule<poise::solver::adam<>, T> && poise::solver::update_rule<poise::solver::amsgrad<>, T>;
static_assert(update_rules<double> && update_rules<float> && update_rules<poise::lanes<float>> &&
              update_rules<poise::dual<double>>);

// Scalars, and rows of them.
static_assert(poise::scalar<double> && poise::scalar<poise::lanes<float>> && poise::scalar<poise::dual<double>>);
static_assert(!poise::scalar<int> && !poise::scalar<bool>);
static_assert(poise::row_of_reals<in> && !poise::writable_row<in> && poise::writable_row<out>);
static_assert(poise::writable_row<poise::lane_row<float>> && !poise::writable_row<poise::lane_row<float const>>);
static_assert(!poise::row_of_reals<std::vector<double>>);

} // namespace
