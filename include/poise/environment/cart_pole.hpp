#pragma once

#include "poise/environment/discrete.hpp"
#include "poise/environment/time_limit.hpp"
#include "poise/random/continuous.hpp"

namespace poise::environment {

/// Position and angle (radians, 0 is upright) of a cart with a pole, and their velocities.
template <scalar T>
struct cart_pole_state {
    T position;
    T velocity;
    T angle;
    T angular_velocity;

    static constexpr cart_pole_state select(mask_of<T> mask, cart_pole_state const& a, cart_pole_state const& b) {
        return {math::select(mask, a.position, b.position), math::select(mask, a.velocity, b.velocity),
                math::select(mask, a.angle, b.angle), math::select(mask, a.angular_velocity, b.angular_velocity)};
    }
};

/// A pole hinged to a cart, to be kept upright by pushing the cart to the left (action 0) or to the right (1): Barto,
/// Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning control problems", 1983,
/// without friction, with the constants and the order of updates of Gym's CartPole-v1. Each step earns 1; the episode
/// ends once the cart is further than `track` from the middle, or the pole from upright by more than `fall` radians. It
/// starts with all four numbers uniform in (-0.05, 0.05).
template <random::drawable T>
struct cart_pole {
    using real = real_of<T>;
    using value_type = T;
    using state_type = cart_pole_state<T>;
    using action_type = discrete<T>;
    static constexpr std::uint32_t draws = 4;

    T gravity = T(real(9.8));
    T cart_mass = T(real(1.0));
    T pole_mass = T(real(0.1));
    T half_length = T(real(0.5)); ///< of the pole
    T force = T(real(10));
    T time_step = T(real(0.02));
    T track = T(real(2.4));
    T fall = T(real(12 * 2 * 3.14159265358979323846 / 360));

    constexpr std::size_t actions() const { return 2; }

    constexpr state_type reset(random::address where) const {
        auto const draw = [&](std::uint32_t k) {
            auto const here = random::address{where.seed, where.replica, where.step, where.index + k};
            return (random::uniform<T>(here) - T(real(0.5))) * T(real(0.1));
        };
        return {draw(0), draw(1), draw(2), draw(3)};
    }
    constexpr transition<state_type, T> step(state_type const& s, action_type action, random::address) const {
        auto const push = math::select(as_scalar<T>(action) == T(1), force, -force);
        auto const sine = math::sin(s.angle), cosine = math::cos(s.angle);
        auto const mass = cart_mass + pole_mass, pole_moment = pole_mass * half_length;
        auto const thrust = (push + pole_moment * s.angular_velocity * s.angular_velocity * sine) / mass;
        auto const inertia = half_length * (T(real(4) / real(3)) - pole_mass * cosine * cosine / mass);
        auto const angular_acceleration = (gravity * sine - cosine * thrust) / inertia;
        auto const acceleration = thrust - pole_moment * angular_acceleration * cosine / mass;

        auto const next =
            state_type{s.position + time_step * s.velocity, s.velocity + time_step * acceleration,
                       s.angle + time_step * s.angular_velocity, s.angular_velocity + time_step * angular_acceleration};
        auto const ends = mask_of<T>((math::abs(next.position) > track) | (math::abs(next.angle) > fall));
        return {next, T(1), ends, mask_of<T>(false)};
    }
    constexpr std::size_t observation_size() const { return 4; }
    constexpr void observe(state_type const& s, writable_row auto out) const {
        out[0] = s.position;
        out[1] = s.velocity;
        out[2] = s.angle;
        out[3] = s.angular_velocity;
    }
};

/// Gym's CartPole-v1: episodes of at most 500 steps.
template <random::drawable T>
constexpr auto cart_pole_v1() {
    return time_limit<cart_pole<T>>{{}, 500};
}

} // namespace poise::environment
