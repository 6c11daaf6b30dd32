#pragma once

#include "poise/core/row.hpp"

namespace poise {

/// The virtual row f(0), f(1), …, f(size - 1), computed where it is read.
template <class F>
class computed_row {
public:
    using value_type = std::remove_cvref_t<std::invoke_result_t<F const&, std::size_t>>;
    static constexpr std::size_t extent = dynamic;

    constexpr computed_row(std::size_t size, F f) : size_(size), f_(f) {}
    constexpr std::size_t size() const { return size_; }
    constexpr value_type operator[](std::size_t k) const { return f_(k); }

private:
    std::size_t size_;
    F f_;
};

} // namespace poise
