#include "poise/core/lanes.hpp"
#include "poise/core/verbs.hpp"
#include "poise/environment/bandit.hpp"
#include "poise/environment/cart_pole.hpp"
#include "poise/environment/chain.hpp"
#include "poise/environment/grid_world.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace {

using namespace poise;
using namespace poise::environment;

bool close(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }

/// Whether `hits` of n draws may have probability p: within 4.5 standard errors (3 in a million by chance).
bool plausible(std::size_t hits, std::size_t n, double p) {
    auto const size = static_cast<double>(n);
    return std::abs(static_cast<double>(hits) - size * p) <= 4.5 * std::sqrt(size * p * (1 - p)) + 1e-9;
}

random::address at(std::uint32_t step, std::uint32_t index = 0, std::uint64_t seed = 7) {
    return {.seed = seed, .replica = 0, .step = step, .index = index};
}

/// A policy with any probabilities.
std::vector<double> some_policy(std::size_t states, std::size_t actions, std::uint64_t seed) {
    auto policy = std::vector<double>(states * actions);
    for (std::size_t s = 0; s < states; ++s) {
        auto const here = row<double>(policy.data() + s * actions, actions);
        random::fill({.seed = seed, .step = static_cast<std::uint32_t>(s)}, here,
                     [](auto where) { return random::normal<double>(where); });
        softmax(here, here);
    }
    return policy;
}

/// Three states, two actions, some of whose steps end the episode.
finite_mdp<double> small_mdp(double discount) {
    return {2,
            {0.1, 0.7, 0.2, /**/ 0.5, 0.0, 0.3, //
             0.0, 0.4, 0.6, /**/ 0.9, 0.1, 0.0, //
             0.2, 0.2, 0.2, /**/ 0.0, 0.0, 0.0},
            {1.0, -0.5, 0.3, 0.0, 2.0, -1.0},
            {0.6, 0.4, 0.0},
            discount};
}

TEST_CASE("a finite MDP's values and visits are the sums over time that they are defined as") {
    for (auto const discount : {0.0, 0.9, 1.0}) {
        auto const mdp = small_mdp(discount);
        auto const policy = some_policy(3, 2, 1);
        auto distribution = std::vector<double>{0.6, 0.4, 0.0}, visits = std::vector<double>(3);
        auto expected_return = 0.0, weight = 1.0;
        for (int t = 0; t < 3000; ++t) {
            auto next = std::vector<double>(3);
            for (std::size_t s = 0; s < 3; ++s) {
                visits[s] += weight * distribution[s];
                for (std::size_t a = 0; a < 2; ++a) {
                    auto const p = distribution[s] * policy[s * 2 + a];
                    expected_return += weight * p * mdp.reward(s, a);
                    for (std::size_t to = 0; to < 3; ++to) next[to] += p * mdp.transition_probability(s, a, to);
                }
            }
            distribution = next;
            weight *= discount;
        }
        CAPTURE(discount);
        CHECK(close(mdp.expected_return(policy), expected_return, 1e-12));
        auto const exact = mdp.visits(policy);
        auto const values = mdp.state_values(policy);
        auto const q = mdp.action_values(values);
        for (Eigen::Index s = 0; s < 3; ++s) {
            auto const i = static_cast<std::size_t>(s);
            CHECK(close(exact[s], visits[i], 1e-12));
            CHECK(close(values[s], policy[2 * i] * q[2 * s] + policy[2 * i + 1] * q[2 * s + 1], 1e-13));
        }
    }
}

TEST_CASE("the exact policy gradient is the derivative of the expected return") {
    auto const mdp = chain<double>{.length = 4}.mdp(0.9);
    auto const states = mdp.states(), actions = mdp.actions();
    auto const policy = some_policy(states, actions, 5);
    auto const gradient = mdp.policy_gradient(policy);
    for (std::size_t i = 0; i < policy.size(); ++i) {
        auto const moved = [&](double by) { // a policy is its own exponentiated logits
            auto perturbed = policy;
            perturbed[i] *= std::exp(by);
            auto const here = row<double>(perturbed.data() + i / actions * actions, actions);
            auto const total = sum(here);
            map(here, [=](auto p) { return p / total; }, here);
            return mdp.expected_return(perturbed);
        };
        auto const h = 1e-5;
        CHECK(close((moved(h) - moved(-h)) / (2 * h), gradient[static_cast<Eigen::Index>(i)], 1e-8));
    }
}

TEST_CASE("value iteration and policy iteration agree, and no policy is better") {
    for (auto const& mdp : {small_mdp(0.9), small_mdp(1.0), chain<double>{}.mdp(0.95),
                            grid_world<double>({"S.#.", "..#G", "...."}).mdp(0.9)}) {
        auto const best = mdp.policy_iteration();
        auto const values = mdp.state_values(best), iterated = mdp.value_iteration(1e-13);
        for (Eigen::Index s = 0; s < values.size(); ++s) CHECK(close(values[s], iterated[s], 1e-10));
        for (std::uint64_t seed = 0; seed < 20; ++seed)
            CHECK(mdp.expected_return(some_policy(mdp.states(), mdp.actions(), seed)) <=
                  mdp.expected_return(best) + 1e-12);
        // Any deterministic policy leads to the same best one.
        auto start = std::vector<double>(best.size());
        for (std::size_t s = 0; s < mdp.states(); ++s) start[s * mdp.actions()] = 1;
        if (mdp.discount() < 1)
            CHECK(close(mdp.expected_return(mdp.policy_iteration(start)), mdp.expected_return(best), 1e-12));
    }
}

TEST_CASE("the best walks through grids, by counting steps") {
    auto const walk = [](grid_world<double> world, double discount) {
        auto const mdp = world.mdp(discount);
        return mdp.expected_return(mdp.policy_iteration());
    };
    auto corridor = grid_world<double>({"S..G"});
    corridor.step_reward = -1;
    corridor.goal_reward = 10;
    CHECK(close(walk(corridor, 1.0), 8, 1e-12)); // two steps, then the goal
    // Six steps down, right and around the wall; the seventh reaches the goal.
    CHECK(close(walk(grid_world<double>({"S#G", ".#.", "..."}), 0.5), std::pow(0.5, 5), 1e-12));
    CHECK(close(walk(grid_world<double>({"S#G"}), 0.9), 0, 1e-12)); // walled in
    // One step from the goal, slipping: V = (1 - e) + e g V, since both sides are edges.
    auto slippery = grid_world<double>({"SG"});
    slippery.slip = 0.4;
    CHECK(close(walk(slippery, 0.9), 0.6 / (1 - 0.4 * 0.9), 1e-12));
}

/// Every state and action of the environment, n times, against its exact form.
template <class Environment>
void check_frequencies(Environment const& environment, finite_mdp<double> const& exact) {
    auto const n = std::size_t{20'000};
    auto const states = exact.states(), actions = exact.actions();
    REQUIRE(environment.states() == states);
    REQUIRE(environment.actions() == actions);
    for (std::size_t s = 0; s < states; ++s)
        for (std::size_t a = 0; a < actions; ++a) {
            auto reached = std::vector<std::size_t>(states);
            auto ended = std::size_t{0};
            auto total = 0.0, squares = 0.0;
            for (std::size_t i = 0; i < n; ++i) {
                auto const t = environment.step(
                    s, a, at(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(s * actions + a)));
                CHECK_FALSE(t.truncated);
                if (t.terminated)
                    ++ended;
                else
                    ++reached[t.next];
                total += t.reward;
                squares += t.reward * t.reward;
            }
            CAPTURE(s);
            CAPTURE(a);
            auto stays = 0.0;
            for (std::size_t to = 0; to < states; ++to) {
                auto const p = exact.transition_probability(s, a, to);
                stays += p;
                CHECK(plausible(reached[to], n, p));
            }
            CHECK(plausible(ended, n, std::max(0.0, 1 - stays)));
            auto const size = static_cast<double>(n);
            auto const mean = total / size;
            auto const error = std::sqrt(std::max(0.0, squares / size - mean * mean) / size);
            CHECK(std::abs(mean - exact.reward(s, a)) <= 4.5 * error + 1e-12);
        }
}

TEST_CASE("environments step as their exact forms say") {
    SUBCASE("chain") {
        auto const environment = chain<double>{.length = 4, .slip = 0.3, .near_reward = 1, .far_reward = 5};
        check_frequencies(environment, environment.mdp(0.9));
        CHECK(environment.reset(at(3)) == 0);
    }
    SUBCASE("finite MDP") { check_frequencies(small_mdp(0.9), small_mdp(0.9)); }
    SUBCASE("bandits") {
        auto const bernoulli = contextual_bandit<double>({0.0, 0.25, 1.0, 0.5, 0.9, 0.1}, 3);
        check_frequencies(bernoulli, bernoulli.mdp());
        auto const gaussian =
            contextual_bandit<double, gaussian_arms>({-1.0, 2.0, 0.5, 0.0}, 2, {.standard_deviation = 3});
        check_frequencies(gaussian, gaussian.mdp());
    }
}

TEST_CASE("a grid world steps as its exact form says, from every cell that is no wall or goal") {
    auto world = grid_world<double>({"S.#", "..G", "#.."});
    world.slip = 0.3;
    world.step_reward = -0.25;
    world.goal_reward = 2;
    auto const exact = world.mdp(0.9);
    CHECK(world.reset(at(0)) == 0);
    auto const n = std::size_t{20'000};
    for (auto const s : {0u, 1u, 3u, 4u, 7u, 8u})
        for (std::size_t a = 0; a < 4; ++a) {
            auto reached = std::vector<std::size_t>(9);
            auto ended = std::size_t{0};
            auto wrong_rewards = std::size_t{0};
            for (std::size_t i = 0; i < n; ++i) {
                auto const t = world.step(s, a, at(static_cast<std::uint32_t>(i), s * 4));
                ended += t.terminated;
                reached[t.next] += !t.terminated;
                wrong_rewards += t.reward != (t.next == 5 ? 2 : -0.25);
                wrong_rewards += t.terminated != (t.next == 5);
            }
            CAPTURE(s);
            CAPTURE(a);
            CHECK(wrong_rewards == 0);
            auto stays = 0.0;
            for (std::size_t to = 0; to < 9; ++to) {
                auto const p = exact.transition_probability(s, a, to);
                stays += p;
                CHECK(plausible(reached[to], n, p));
            }
            CHECK(plausible(ended, n, std::max(0.0, 1 - stays)));
            CHECK(close(exact.reward(s, a), 2 * (1 - stays) - 0.25 * stays, 1e-12));
        }
}

TEST_CASE("sampled episodes earn the exact expected return") {
    auto world = grid_world<double>({"S..", ".#.", "..G"});
    world.slip = 0.2;
    world.step_reward = -0.1;
    auto const exact = world.mdp(0.95);
    auto const policy = some_policy(9, 4, 11);
    auto const n = 4000;
    auto total = 0.0, squares = 0.0;
    for (std::uint32_t episode = 0; episode < n; ++episode) {
        auto state = world.reset({.seed = 1, .replica = episode});
        auto sum = 0.0, weight = 1.0;
        auto done = false;
        for (std::uint32_t t = 0; !done; ++t) {
            auto const where = random::address{.seed = 1, .replica = episode, .step = t};
            auto const action = random::categorical(where, row<double const>(policy.data() + state * 4, 4));
            auto const reached = world.step(state, action, {.seed = 1, .replica = episode, .step = t, .index = 1});
            sum += weight * reached.reward;
            weight *= 0.95;
            done = reached.done();
            state = reached.next;
        }
        total += sum;
        squares += sum * sum;
    }
    auto const mean = total / n, error = std::sqrt((squares / n - mean * mean) / n);
    CHECK(std::abs(mean - exact.expected_return(policy)) < 4 * error);
    CHECK(error < 0.02);
}

TEST_CASE("bandits: arms as their laws, contexts uniform, each episode one step") {
    auto const arms = bandit<double>({0.2, 0.8});
    CHECK(arms.states() == 1);
    CHECK(arms.reset(at(0)) == 0);
    CHECK(arms.step(0, 1, at(0)).terminated);

    auto const n = std::size_t{40'000};
    auto const noisy = bandit<double>({1.0, -2.0}, gaussian_arms{0.5});
    auto within = std::size_t{0}, contexts_2 = std::size_t{0};
    auto const many = contextual_bandit<double>(std::vector<double>(10, 0.5), 2);
    for (std::uint32_t i = 0; i < n; ++i) {
        within += std::abs(noisy.step(0, 1, at(i)).reward + 2.0) < 0.5; // one standard deviation
        contexts_2 += many.reset(at(i)) == 2;
    }
    CHECK(plausible(within, n, std::erf(1 / std::sqrt(2.0))));
    CHECK(plausible(contexts_2, n, 0.2));
    auto seen = std::array<double, 5>{};
    many.observe(3, row(seen));
    CHECK(seen == std::array{0.0, 0.0, 0.0, 1.0, 0.0});
    CHECK(close(many.mdp().expected_return(many.mdp().uniform_policy()), 0.5, 1e-15));
    CHECK_THROWS_WITH_AS(contextual_bandit<double>({1.0, 2.0, 3.0}, 2),
                         "contextual_bandit: argument 'means': expected a multiple of 2 actions, got 3",
                         argument_error);
}

/// CartPole as Gym's source has it, in plain loops.
struct plain_cart_pole {
    double x, x_dot, theta, theta_dot;
    bool step(bool right) {
        double const force = right ? 10.0 : -10.0;
        double const temporary = (force + 0.05 * theta_dot * theta_dot * std::sin(theta)) / 1.1;
        double const theta_acceleration = (9.8 * std::sin(theta) - std::cos(theta) * temporary) /
                                          (0.5 * (4.0 / 3.0 - 0.1 * std::cos(theta) * std::cos(theta) / 1.1));
        double const x_acceleration = temporary - 0.05 * theta_acceleration * std::cos(theta) / 1.1;
        x += 0.02 * x_dot;
        x_dot += 0.02 * x_acceleration;
        theta += 0.02 * theta_dot;
        theta_dot += 0.02 * theta_acceleration;
        return x < -2.4 || x > 2.4 || theta < -12 * 2 * M_PI / 360 || theta > 12 * 2 * M_PI / 360;
    }
};

TEST_CASE("cart-pole is the plain reference loop, step by step to the end of the episode") {
    auto const environment = cart_pole<double>{};
    auto steps = std::size_t{0}, episodes = std::size_t{1000};
    for (std::uint32_t episode = 0; episode < episodes; ++episode) {
        auto state = environment.reset(at(episode, 0, 3));
        for (auto const start : {state.position, state.velocity, state.angle, state.angular_velocity})
            REQUIRE(std::abs(start) < 0.05);
        auto plain = plain_cart_pole{state.position, state.velocity, state.angle, state.angular_velocity};
        auto agree = true;
        for (std::uint32_t t = 0;; ++t) {
            auto const right = random::bernoulli(at(episode, 4 + t, 3), 0.5);
            auto const reached = environment.step(state, right, at(episode));
            auto const ended = plain.step(right);
            state = reached.next;
            agree = agree && close(state.position, plain.x, 1e-12) && close(state.velocity, plain.x_dot, 1e-12) &&
                    close(state.angle, plain.theta, 1e-12) && close(state.angular_velocity, plain.theta_dot, 1e-12) &&
                    ended == reached.terminated && reached.reward == 1 && !reached.truncated;
            ++steps;
            if (ended || !agree) break;
        }
        REQUIRE(agree);
    }
    // A random policy is known to last about 22 steps.
    auto const mean = static_cast<double>(steps) / static_cast<double>(episodes);
    CHECK(mean > 20.5);
    CHECK(mean < 24);
}

TEST_CASE("CartPole-v1 truncates a pole that is kept upright after 500 steps, and no fallen one") {
    auto const environment = cart_pole_v1<double>();
    static_assert(concepts::finite_action_environment<std::remove_const_t<decltype(environment)>>);
    auto state = environment.reset(at(0));
    auto t = 1;
    for (;; ++t) {
        auto const& s = state.state;
        auto const right = s.angle + 0.5 * s.angular_velocity + 0.05 * s.position + 0.1 * s.velocity > 0;
        auto const reached = environment.step(state, right, at(0));
        REQUIRE_FALSE(reached.terminated);
        if (reached.truncated) break;
        state = reached.next;
    }
    CHECK(t == 500);

    auto const short_one = time_limit{cart_pole<double>{}, 2};
    auto const falling = timed_state<cart_pole_state<double>, double>{{0, 0, 0.2094, 5}, 1};
    auto const fallen = short_one.step(falling, 0, at(0));
    CHECK(fallen.terminated);
    CHECK_FALSE(fallen.truncated);
    CHECK(fallen.done());
}

/// Packs of environments, with resets where episodes end, against one after another.
template <class Pack, class Packed, class Alone, class Compare>
void check_lanes(Packed const& packed, Alone const& alone, std::uint32_t steps, Compare const& compare) {
    using real = real_of<Pack>;
    auto ended = std::size_t{0};
    auto const where = [](std::uint32_t lane, std::uint32_t t, std::uint32_t index) {
        return random::address{.seed = 21, .replica = 5 + lane, .step = t, .index = index};
    };
    auto const probabilities = std::vector<double>(alone.actions(), 1.0);
    auto states = packed.reset(where(0, 0, 10));
    using state_type = typename Alone::state_type;
    auto singles = std::vector<state_type>();
    for (std::uint32_t i = 0; i < Pack::size; ++i) singles.push_back(alone.reset(where(i, 0, 10)));
    for (std::uint32_t t = 1; t <= steps; ++t) {
        auto actions = std::vector<std::size_t>();
        auto as_reals = std::array<real, Pack::size>{};
        for (std::uint32_t i = 0; i < Pack::size; ++i) {
            actions.push_back(random::categorical(where(i, t, 0), probabilities));
            as_reals[i] = static_cast<real>(actions[i]);
        }
        auto const [reached, next] =
            step_or_reset(packed, states, Pack::load(as_reals.data()), where(0, t, 1), where(0, t, 10));
        auto const ends = math::select(reached.done(), Pack(1), Pack(0)).to_array();
        for (std::uint32_t i = 0; i < Pack::size; ++i) {
            auto const [single, single_next] =
                step_or_reset(alone, singles[i], actions[i], where(i, t, 1), where(i, t, 10));
            CAPTURE(t);
            CAPTURE(i);
            CHECK((ends[i] == 1) == single.done());
            CHECK(close(reached.reward[i], single.reward, 1e-5));
            CHECK(compare(next, single_next, i));
            singles[i] = single_next;
            ended += single.done();
        }
        states = next;
    }
    CHECK(ended >= Pack::size / 2); // resets are seen
}

template <class Pack>
void check_all_in_lanes() {
    using real = real_of<Pack>;
    auto const whole = [](auto const& next, auto const& single, std::size_t lane) {
        return next.state[lane] == static_cast<double>(single.state) && next.steps[lane] == single.steps;
    };
    check_lanes<Pack>(time_limit{chain<Pack>{}, 9}, time_limit{chain<real>{}, 9}, 40, whole);
    auto const map = {std::string_view("S.#G"), std::string_view("...."), std::string_view("..#.")};
    auto packed_world = grid_world<Pack>(map);
    auto world = grid_world<real>(map);
    packed_world.slip = Pack(real(0.25));
    world.slip = real(0.25);
    check_lanes<Pack>(time_limit{packed_world, 30}, time_limit{world, 30}, 100, whole);
    // Each lane has means of its own.
    auto const means = [](std::size_t lane) {
        auto made = std::vector<real>();
        for (std::size_t k = 0; k < 6; ++k) made.push_back(static_cast<real>((k + 2 * lane) % 7) / 8);
        return made;
    };
    auto packed_means = std::vector<Pack>();
    for (std::size_t k = 0; k < 6; ++k) {
        auto values = std::array<real, Pack::size>{};
        for (std::size_t lane = 0; lane < Pack::size; ++lane) values[lane] = means(lane)[k];
        packed_means.push_back(Pack::load(values.data()));
    }
    auto const bandits = contextual_bandit<Pack, gaussian_arms>(packed_means, 2, {.standard_deviation = 0});
    for (std::size_t lane = 0; lane < Pack::size; ++lane) {
        auto const alone = contextual_bandit<real, gaussian_arms>(means(lane), 2, {.standard_deviation = 0});
        for (std::size_t context = 0; context < 3; ++context)
            CHECK(bandits.step(Pack(context), Pack(1), at(0)).reward[lane] == alone.mean(context, 1));
    }
    auto const same = [](auto const& next, auto const& single, std::size_t lane) {
        auto const tolerance = std::is_same_v<real, float> ? 1e-4 : 1e-12;
        auto const& a = next.state;
        auto const& b = single.state;
        return next.steps[lane] == single.steps && close(a.position[lane], b.position, tolerance) &&
               close(a.velocity[lane], b.velocity, tolerance) && close(a.angle[lane], b.angle, tolerance) &&
               close(a.angular_velocity[lane], b.angular_velocity, tolerance);
    };
    check_lanes<Pack>(cart_pole_v1<Pack>(), cart_pole_v1<real>(), 60, same);
}

TEST_CASE("packs are one episode per lane, the same as alone at the lane's replica") {
    SUBCASE("double") { check_all_in_lanes<lanes<double>>(); }
    SUBCASE("float") { check_all_in_lanes<lanes<float>>(); }
}

TEST_CASE("what is no MDP or grid is refused with its reason") {
    using mdp = finite_mdp<double>;
    CHECK_THROWS_WITH_AS(mdp(1, {0.5, 0.6}, {1.0}, {1.0}, 0.9), "finite_mdp: argument 'transitions': expected 1, got 2",
                         argument_error);
    CHECK_THROWS_WITH_AS(mdp(1, {1.5}, {1.0}, {1.0}, 0.9),
                         "finite_mdp: argument 'transitions': expected probabilities that sum to at most 1, got 1.5",
                         domain_violation);
    CHECK_THROWS_WITH_AS(mdp(1, {-0.5}, {1.0}, {1.0}, 0.9),
                         "finite_mdp: argument 'transitions': expected probabilities that are not negative, got -0.5",
                         domain_violation);
    CHECK_THROWS_WITH_AS(mdp(1, {0.5}, {1.0}, {0.5}, 0.9),
                         "finite_mdp: argument 'first_state': expected probabilities that sum to 1, got 0.5",
                         domain_violation);
    CHECK_THROWS_AS(mdp(1, {0.5}, {1.0}, {1.0}, 1.1), domain_violation);
    CHECK_THROWS_WITH_AS(grid_world<double>({"S.", "G"}),
                         "grid_world: argument 'rows': expected rows of one length, got 1", argument_error);
    CHECK_THROWS_WITH_AS(grid_world<double>({"..", "GG"}), "grid_world: argument 'rows': expected one start 'S', got 0",
                         argument_error);
    CHECK_THROWS_AS(grid_world<double>({"Sx"}), argument_error);
}

} // namespace
