#pragma once

#include "poise/core/error.hpp"
#include "poise/environment/finite_mdp.hpp"
#include "poise/random/continuous.hpp"

#include <array>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace poise::environment {

/// A walk over a grid, drawn as text: '#' is a wall, 'S' the start, 'G' the goals, '.' free.
///     auto const world = grid_world<double>({"S..#",
///                                            "..#.",
///                                            "...G"});
/// Actions 0, 1, 2, 3 go up, right, down, left. With probability `slip` the move turns to the one or the other side,
/// each as likely (Russell and Norvig, "Artificial intelligence", section 17.1). Into a wall or over the edge it stays.
/// Every step earns `step_reward`, one to a goal `goal_reward` instead, and ends the episode. The state is
/// row * width + column.
template <random::drawable T>
class grid_world {
public:
    using value_type = T;
    using state_type = discrete<T>;
    using action_type = discrete<T>;
    static constexpr std::uint32_t draws = 1;

    T slip = T(0);
    T step_reward = T(0);
    T goal_reward = T(1);

    /// Throws unless the rows are equally long and there is one 'S'.
    constexpr explicit grid_world(std::initializer_list<std::string_view> rows)
        : height_(rows.size()), width_(rows.size() == 0 ? 0 : rows.begin()->size()) {
        auto starts = std::size_t{0};
        for (auto const& line : rows) {
            require(line.size() == width_, "grid_world", "rows", "rows of one length", line.size());
            for (auto const cell : line) {
                auto const known = cell == '#' || cell == 'S' || cell == 'G' || cell == '.';
                require(known, "grid_world", "rows", "cells '#', 'S', 'G' or '.'", cell);
                if (cell == 'S') {
                    start_ = cells_.size();
                    ++starts;
                }
                cells_.push_back(cell);
            }
        }
        require(starts == 1, "grid_world", "rows", "one start 'S'", starts);
    }

    constexpr std::size_t states() const { return cells_.size(); }
    constexpr std::size_t actions() const { return 4; }
    constexpr std::size_t width() const { return width_; }
    constexpr std::size_t height() const { return height_; }

    constexpr state_type reset(random::address) const { return as_discrete<T>(real_to_scalar(start_)); }
    constexpr transition<state_type, T> step(state_type state, action_type action, random::address where) const {
        auto const u = random::uniform<T>(where);
        auto const to_right = math::select(u < slip * T(half), T(1), T(0));
        auto const to_left = math::select(u >= slip * T(half), math::select(u < slip, T(3), T(0)), T(0));
        auto const turned = as_scalar<T>(action) + to_right + to_left;
        auto const direction = math::select(turned >= T(4), turned - T(4), turned);

        auto const width = real_to_scalar(width_), height = real_to_scalar(height_);
        auto const cell = as_scalar<T>(state);
        auto const y = math::floor(cell / width), x = cell - y * width;
        auto const step_x = math::select(direction == T(1), T(1), math::select(direction == T(3), T(-1), T(0)));
        auto const step_y = math::select(direction == T(2), T(1), math::select(direction == T(0), T(-1), T(0)));
        auto const to_x = math::clamp(x + step_x, T(0), width - T(1));
        auto const to_y = math::clamp(y + step_y, T(0), height - T(1));
        auto const to = to_y * width + to_x;
        auto const next = math::select(is('#', to), cell, to);
        auto const ends = is('G', next);
        return {as_discrete<T>(next), math::select(ends, goal_reward, step_reward), ends, mask_of<T>(false)};
    }
    constexpr std::size_t observation_size() const { return states(); }
    constexpr void observe(state_type state, writable_row auto out) const { one_hot<T>(state, out); }

    /// Its exact form. Walls and goals are states that no episode is in: a step from there ends it without reward.
    finite_mdp<real_of<T>> mdp(T discount) const
        requires std::floating_point<T>
    {
        auto const n = states();
        auto transitions = std::vector<T>(n * 4 * n, T(0)), rewards = std::vector<T>(n * 4, T(0)),
             first = std::vector<T>(n, T(0));
        first[start_] = 1;
        for (std::size_t s = 0; s < n; ++s) {
            if (cells_[s] == '#' || cells_[s] == 'G') continue;
            for (std::size_t a = 0; a < 4; ++a)
                for (auto const turn : {0u, 1u, 3u}) {
                    auto const p = turn == 0 ? T(1) - slip : slip * T(half);
                    auto const to = neighbour(s, (a + turn) % 4);
                    rewards[s * 4 + a] += p * (cells_[to] == 'G' ? goal_reward : step_reward);
                    if (cells_[to] != 'G') transitions[(s * 4 + a) * n + to] += p;
                }
        }
        return {4, std::move(transitions), std::move(rewards), std::move(first), discount};
    }

private:
    static constexpr real_of<T> half = real_of<T>(0.5);

    static constexpr T real_to_scalar(std::size_t k) { return T(static_cast<real_of<T>>(k)); }

    /// Whether the cell shows this letter, in each lane.
    constexpr mask_of<T> is(char letter, T cell) const {
        auto found = T(0);
        for (std::size_t k = 0; k < cells_.size(); ++k)
            if (cells_[k] == letter) found = math::select(cell == real_to_scalar(k), T(1), found);
        return found == T(1);
    }

    constexpr std::size_t neighbour(std::size_t s, std::size_t direction) const {
        auto const x = s % width_, y = s / width_;
        auto const inside = std::array{y > 0, x + 1 < width_, y + 1 < height_, x > 0}[direction];
        auto const to = std::array{s - width_, s + 1, s + width_, s - 1}[direction];
        return inside && cells_[to] != '#' ? to : s;
    }

    std::size_t height_;
    std::size_t width_;
    std::size_t start_ = 0;
    std::vector<char> cells_;
};

} // namespace poise::environment
