#pragma once

#include "poise/core/row.hpp"

#include <type_traits>
#include <utility>

namespace poise {

/// The virtual row f(x_0), f(x_1), …, computed where it is read: such as the factors of a recurrence.
template <class F, class Row>
class transformed_row {
public:
    using value_type = std::remove_cvref_t<std::invoke_result_t<F const&, value_of<Row>>>;
    static constexpr std::size_t extent = Row::extent;

    constexpr transformed_row(F f, Row base) : f_(f), base_(base) {}
    constexpr std::size_t size() const { return base_.size(); }
    constexpr value_type operator[](std::size_t k) const { return f_(value_of<Row>(base_[k])); }

private:
    F f_;
    Row base_;
};

template <class F, class Row>
constexpr transformed_row<F, Row> transformed(F f, Row base) {
    return {f, base};
}

} // namespace poise
