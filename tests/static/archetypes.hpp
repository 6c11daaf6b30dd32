#pragma once

#include "poise/concepts.hpp"

/// The least type that satisfies each concept. What is written against a concept must compile with its archetype.
namespace archetype {

struct context {};
struct action {};

struct policy {
    using value_type = double;
    using context_type = context;
    using action_type = action;

    poise::row<double> parameters() { return {nullptr, 0}; }
    poise::row<double const> parameters() const { return {nullptr, 0}; }
    double log_probability(context, action) const { return 0; }
    action sample(context, poise::random::address) const { return {}; }
    double entropy(context) const { return 0; }
    void pullback(context, action, double, poise::row<double>) const {}
};

struct finite_policy {
    using value_type = double;
    using context_type = context;
    using action_type = std::size_t;

    poise::row<double> parameters() { return {nullptr, 0}; }
    poise::row<double const> parameters() const { return {nullptr, 0}; }
    std::size_t actions() const { return 1; }
    double log_probability(context, std::size_t) const { return 0; }
    void log_probabilities(context, poise::row<double>) const {}
    std::size_t sample(context, poise::random::address) const { return 0; }
    double entropy(context) const { return 0; }
    void pullback(context, std::size_t, double, poise::row<double>) const {}
    void pullback(context, poise::row<double const>, poise::row<double>) const {}
};

struct batched_policy : policy {
    struct tape {
        explicit tape(std::size_t) {}
    };
    using policy::pullback;
    using policy::sample;
    void sample(std::span<context const>, poise::random::address, tape&, std::span<action>) const {}
    void evaluate(std::span<context const>, std::span<action const>, tape&, poise::row<double>,
                  poise::row<double>) const {}
    void pullback(tape&, poise::row<double const>, poise::row<double const>, poise::row<double>) const {}
};

/// With what regularisers differentiate.
struct regularized_policy : policy {
    double kl_divergence(context, policy const&) const { return 0; }
    void entropy_pullback(context, double, poise::row<double>) const {}
    void kl_divergence_pullback(context, policy const&, double, poise::row<double>) const {}
};

struct scoring_reward {
    using context_type = context;
    using action_type = std::size_t;
    double score(context, std::size_t) const { return 0; }
};

struct comparing_reward {
    using context_type = context;
    using action_type = std::size_t;
    double preference(context, std::size_t, std::size_t) const { return 0.5; }
};

struct environment {
    using value_type = double;
    struct state_type {};
    using action_type = action;
    static constexpr std::uint32_t draws = 0;

    state_type reset(poise::random::address) const { return {}; }
    poise::environment::transition<state_type, double> step(state_type, action, poise::random::address) const {
        return {};
    }
    std::size_t observation_size() const { return 0; }
    void observe(state_type, poise::row<double>) const {}
};

/// An estimator of one row, and a weighting by one row.
struct estimator {
    void operator()(poise::row_of_reals auto, poise::writable_row auto) const {}
};
struct weighting {
    void operator()(poise::row_of_reals auto, poise::writable_row auto) const {}
};

/// Of one row.
struct objective {
    void operator()(poise::row_of_reals auto, poise::writable_row auto, poise::writable_row auto) const {}
};

struct solver {
    void step() {}
    std::size_t steps() const { return 0; }
    double gap() const { return 0; }
};

struct execution {
    static constexpr bool checked = true;
    void run(auto const&, std::size_t, auto const&...) const {}
};

struct communicator {
    std::size_t rank() const { return 0; }
    std::size_t size() const { return 1; }
    void all_reduce_sum(poise::row<double>) const {}
    void broadcast(poise::row<double>, std::size_t) const {}
};

} // namespace archetype
