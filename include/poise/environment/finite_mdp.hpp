#pragma once

#include "poise/core/error.hpp"
#include "poise/core/row.hpp"
#include "poise/environment/discrete.hpp"
#include "poise/environment/transition.hpp"
#include "poise/random/discrete.hpp"

#include <Eigen/LU>

#include <concepts>
#include <cstddef>
#include <utility>
#include <vector>

namespace poise::environment {

/// A finite Markov decision process given by its numbers, so that what others estimate can be computed exactly
/// (Puterman, "Markov decision processes", 1994). With S states and A actions: P(s' | s, a) at (s A + a) S + s',
/// rewards r(s, a) at s A + a, and the distribution of the first state. What P(. | s, a) lacks to 1 is the probability
/// that the episode ends with that step. A policy is a table of S A probabilities, pi(a | s) at s A + a. It is an
/// environment itself.
template <std::floating_point T = double>
class finite_mdp {
public:
    using value_type = T;
    using state_type = std::size_t;
    using action_type = std::size_t;
    using vector = Eigen::Vector<T, Eigen::Dynamic>;
    static constexpr std::uint32_t draws = 1;

    /// Throws unless the lengths fit, all probabilities are not negative, those of P(. | s, a) sum to at most 1 and
    /// those of the first state to 1, and 0 <= discount <= 1.
    finite_mdp(std::size_t actions, std::vector<T> transitions, std::vector<T> rewards, std::vector<T> first_state,
               T discount)
        : actions_(actions),
          discount_(discount),
          transitions_(std::move(transitions)),
          rewards_(std::move(rewards)),
          first_state_(std::move(first_state)) {
        constexpr auto name = "finite_mdp";
        require(actions > 0, name, "actions", "at least one", actions);
        require(!first_state_.empty(), name, "first_state", "a probability for each state", 0);
        require(rewards_.size() == states() * actions, name, "rewards", states() * actions, rewards_.size());
        require(transitions_.size() == rewards_.size() * states(), name, "transitions", rewards_.size() * states(),
                transitions_.size());
        require_domain(discount >= 0 && discount <= 1, name, "discount", "a number in [0, 1]", discount);
        for (std::size_t i = 0; i < rewards_.size(); ++i) {
            auto const total = probability("transitions", transitions_, i * states());
            require_domain(total <= T(1) + tolerance, name, "transitions", "probabilities that sum to at most 1",
                           total);
        }
        auto const total = probability("first_state", first_state_, 0);
        require_domain(math::abs(total - T(1)) <= tolerance, name, "first_state", "probabilities that sum to 1", total);
    }

    std::size_t states() const { return first_state_.size(); }
    std::size_t actions() const { return actions_; }
    T discount() const { return discount_; }
    T transition_probability(std::size_t s, std::size_t a, std::size_t next) const {
        return transitions_[(s * actions_ + a) * states() + next];
    }
    T reward(std::size_t s, std::size_t a) const { return rewards_[s * actions_ + a]; }
    T first_state_probability(std::size_t s) const { return first_state_[s]; }

    // ---- what a policy is worth

    /// V(s) = r_pi(s) + discount sum_s' P_pi(s' | s) V(s'), by a linear solve. With discount 1 every state must lead to
    /// an end.
    vector state_values(row<T const> policy) const {
        auto rewards = vector(signed_states());
        for (Eigen::Index s = 0; s < signed_states(); ++s) {
            rewards[s] = 0;
            for (std::size_t a = 0; a < actions_; ++a) rewards[s] += policy[pair(s, a)] * rewards_[pair(s, a)];
        }
        return discounting_matrix(policy).partialPivLu().solve(rewards);
    }
    /// Q(s, a) = r(s, a) + discount sum_s' P(s' | s, a) V(s'), at s A + a.
    vector action_values(vector const& state_values) const {
        auto const rows = Eigen::Index(rewards_.size());
        auto const transitions = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> const>(
            transitions_.data(), rows, signed_states());
        return Eigen::Map<vector const>(rewards_.data(), rows) + discount_ * (transitions * state_values);
    }
    /// sum_t discount^t P(s_t = s): how often each state is visited, discounted; times 1 - discount a distribution
    /// where no episode ends.
    vector visits(row<T const> policy) const {
        return discounting_matrix(policy).transpose().partialPivLu().solve(first_state());
    }
    /// The expected discounted return from the first state.
    T expected_return(row<T const> policy) const { return first_state().dot(state_values(policy)); }
    /// The gradient of the expected return in the logits of a tabular softmax policy,
    ///     visits(s) pi(a | s) (Q(s, a) - V(s))
    /// (Sutton, McAllester, Singh and Mansour, "Policy gradient methods for reinforcement learning with function
    /// approximation", 2000, theorem 1).
    vector policy_gradient(row<T const> policy) const {
        auto const values = state_values(policy), weights = visits(policy);
        vector gradient = action_values(values);
        for (Eigen::Index s = 0; s < signed_states(); ++s)
            for (std::size_t a = 0; a < actions_; ++a) {
                auto const i = Eigen::Index(pair(s, a));
                gradient[i] = weights[s] * policy[pair(s, a)] * (gradient[i] - values[s]);
            }
        return gradient;
    }

    // ---- the best policy

    /// The policy that takes the first of the best actions by Q.
    std::vector<T> greedy_policy(vector const& action_values) const {
        auto policy = std::vector<T>(rewards_.size(), T(0));
        for (Eigen::Index s = 0; s < signed_states(); ++s) {
            auto best = std::size_t{0};
            for (std::size_t a = 1; a < actions_; ++a)
                if (action_values[Eigen::Index(pair(s, a))] > action_values[Eigen::Index(pair(s, best))]) best = a;
            policy[pair(s, best)] = 1;
        }
        return policy;
    }
    /// The values of the best policy, by value iteration until no value moves by more than `change`, or `most` times.
    vector value_iteration(T change = T(1e-12), std::size_t most = 1'000'000) const {
        vector values = vector::Zero(signed_states());
        for (std::size_t i = 0; i < most; ++i) {
            vector const next = action_values(values)
                                    .reshaped(Eigen::Index(actions_), signed_states())
                                    .colwise()
                                    .maxCoeff()
                                    .transpose();
            auto const moved = (next - values).cwiseAbs().maxCoeff();
            values = next;
            if (!(moved > change)) break;
        }
        return values;
    }
    /// The best policy, by policy iteration from `policy`: exact, and finite. With discount 1 the start must end from
    /// every state.
    std::vector<T> policy_iteration(std::vector<T> policy) const {
        while (true) {
            auto const values = state_values(row<T const>(policy));
            auto const advantages = action_values(values);
            auto better = greedy_policy(advantages);
            // An action as good as the old one is not better: else rounding could swap the two for ever.
            auto improved = T(0);
            for (Eigen::Index s = 0; s < signed_states(); ++s)
                for (std::size_t a = 0; a < actions_; ++a)
                    improved =
                        std::max(improved, better[pair(s, a)] * (advantages[Eigen::Index(pair(s, a))] - values[s]));
            if (improved <= tolerance * (T(1) + values.cwiseAbs().maxCoeff())) return policy;
            policy = std::move(better);
        }
    }
    std::vector<T> policy_iteration() const { return policy_iteration(uniform_policy()); }
    std::vector<T> uniform_policy() const { return std::vector<T>(rewards_.size(), T(1) / T(actions_)); }

    // ---- as an environment

    state_type reset(random::address where) const { return random::categorical(where, first_state_); }
    /// The state after an end is the state before.
    transition<state_type, T> step(state_type state, action_type action, random::address where) const {
        auto const u = random::uniform<T>(where);
        auto cumulative = T(0);
        auto next = state;
        for (std::size_t s = 0; s < states() && !(u < cumulative); ++s) {
            auto const p = transition_probability(state, action, s);
            cumulative += p;
            if (p > 0) next = s;
        }
        auto const terminated = !(u < cumulative) && cumulative < T(1) - tolerance; // not by a rounding
        return {terminated ? state : next, reward(state, action), terminated, false};
    }
    std::size_t observation_size() const { return states(); }
    void observe(state_type state, writable_row auto out) const { one_hot<T>(state, out); }

private:
    static constexpr T tolerance = T(64) * std::numeric_limits<T>::epsilon();

    Eigen::Index signed_states() const { return Eigen::Index(states()); }
    std::size_t pair(Eigen::Index s, std::size_t a) const { return static_cast<std::size_t>(s) * actions_ + a; }
    auto first_state() const { return Eigen::Map<vector const>(first_state_.data(), signed_states()); }

    T probability(char const* argument, std::vector<T> const& values, std::size_t first) const {
        auto total = T(0);
        for (std::size_t k = 0; k < states(); ++k) {
            require_domain(values[first + k] >= 0, "finite_mdp", argument, "probabilities that are not negative",
                           values[first + k]);
            total += values[first + k];
        }
        return total;
    }

    /// I - discount P_pi
    Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> discounting_matrix(row<T const> policy) const {
        require(policy.size() == rewards_.size(), "finite_mdp", "policy", rewards_.size(), policy.size());
        auto matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>(signed_states(), signed_states());
        matrix.setIdentity();
        for (Eigen::Index s = 0; s < signed_states(); ++s)
            for (std::size_t a = 0; a < actions_; ++a)
                for (Eigen::Index next = 0; next < signed_states(); ++next)
                    matrix(s, next) -=
                        discount_ * policy[pair(s, a)] * transition_probability(std::size_t(s), a, std::size_t(next));
        return matrix;
    }

    std::size_t actions_;
    T discount_;
    std::vector<T> transitions_;
    std::vector<T> rewards_;
    std::vector<T> first_state_;
};

} // namespace poise::environment
