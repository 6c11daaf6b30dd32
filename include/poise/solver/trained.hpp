#pragma once

#include "poise/core/error.hpp"
#include "poise/solver/clipped_by_norm.hpp"
#include "poise/solver/optimizer.hpp"

#include <cstdint>
#include <istream>
#include <ostream>
#include <string>
#include <type_traits>
#include <vector>

/// Exact states of learners, as bytes in a stream: read back on a machine of the same byte order, a learner goes on as
/// if it had never stopped.
namespace poise::solver {

namespace detail {

inline constexpr std::uint64_t checkpoint_mark = 0x31657369'6f702e63; // says what the file is

template <class T>
void write_numbers(std::ostream& to, T const* data, std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    auto const size = static_cast<std::uint64_t>(count * sizeof(T));
    to.write(reinterpret_cast<char const*>(&size), sizeof size);
    to.write(reinterpret_cast<char const*>(data), static_cast<std::streamsize>(size));
}
template <class T>
std::vector<T> read_numbers(std::istream& from, std::size_t count) {
    auto const expected = static_cast<std::uint64_t>(count * sizeof(T));
    auto size = std::uint64_t{0};
    auto numbers = std::vector<T>(count);
    from.read(reinterpret_cast<char*>(&size), sizeof size);
    require(from && size == expected, "restore", "stream", std::to_string(expected) + " bytes of state",
            from ? std::to_string(size) : "the end of the stream");
    from.read(reinterpret_cast<char*>(numbers.data()), static_cast<std::streamsize>(size));
    require(bool(from), "restore", "stream", std::to_string(expected) + " bytes of state", "the end of the stream");
    return numbers;
}

} // namespace detail

/// A model's parameters, the state of the rule that trains it, and its gradient.
template <class Model, class Rule>
class trained {
public:
    using value_type = typename Model::value_type;

    Model model;
    optimizer<Rule, value_type> descent;

    constexpr trained(Model start, Rule rule)
        : model(std::move(start)),
          descent(rule, model.parameters().size()),
          gradient_(model.parameters().size(), value_type(0)) {}

    constexpr row<value_type> gradient() { return {gradient_.data(), gradient_.size()}; }
    constexpr void clear_gradient() { fill(gradient(), value_type(0)); }
    /// Moves the parameters by the gradient and returns its norm.
    constexpr value_type step() {
        auto const length = norm(gradient());
        auto const parameters = model.parameters();
        descent.step(row<value_type>(parameters.data(), parameters.size()), gradient());
        return length;
    }

    void save(std::ostream& to) const {
        auto const parameters = model.parameters();
        auto const steps = static_cast<std::uint64_t>(descent.steps);
        detail::write_numbers(to, &detail::checkpoint_mark, 1);
        detail::write_numbers(to, &steps, 1);
        detail::write_numbers(to, parameters.data(), parameters.size());
        for (std::size_t i = 0; i < Rule::state_rows; ++i)
            detail::write_numbers(to, descent.state(i).data(), parameters.size());
    }
    /// A call that makes what `save` wrote the state; nothing has changed before it. Throws `argument_error` where the
    /// stream holds something else.
    auto read(std::istream& from) {
        auto const mark = detail::read_numbers<std::uint64_t>(from, 1)[0];
        require(mark == detail::checkpoint_mark, "restore", "stream", "a state that save wrote", "something else");
        auto const steps = detail::read_numbers<std::uint64_t>(from, 1)[0];
        auto const count = model.parameters().size();
        auto rows = std::vector<std::vector<value_type>>{};
        for (std::size_t i = 0; i < Rule::state_rows + 1; ++i)
            rows.push_back(detail::read_numbers<value_type>(from, count));
        return [this, steps, numbers = std::move(rows), count] {
            auto const parameters = model.parameters();
            for (std::size_t k = 0; k < count; ++k) parameters[k] = numbers[0][k];
            for (std::size_t i = 0; i < Rule::state_rows; ++i)
                for (std::size_t k = 0; k < count; ++k) descent.state(i)[k] = numbers[i + 1][k];
            descent.steps = static_cast<std::size_t>(steps);
        };
    }

private:
    std::vector<value_type> gradient_;
};

} // namespace poise::solver
