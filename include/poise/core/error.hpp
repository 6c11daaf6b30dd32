#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace poise {

/// An argument of the wrong form: shape, length, missing choice.
struct argument_error : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

/// An argument of the right form whose value lies outside the domain of the formula.
struct domain_violation : std::domain_error {
    using std::domain_error::domain_error;
};

namespace detail {

template <class Error, class Expected, class Came>
[[noreturn]] void reject(std::string_view function, std::string_view argument, Expected const& expected,
                         Came const& came) {
    auto text = std::ostringstream{};
    text << function << ": argument '" << argument << "': expected " << expected << ", got " << came;
    throw Error(text.str());
}

} // namespace detail

/// Throws `argument_error` with the text "function: argument 'name': expected …, got …" unless `holds`.
template <class Expected, class Came>
constexpr void require(bool holds, std::string_view function, std::string_view argument, Expected const& expected,
                       Came const& came) {
    if (!holds) detail::reject<argument_error>(function, argument, expected, came);
}

/// Throws `domain_violation` with the same text unless `holds`; write the test so that NaN fails it.
template <class Expected, class Came>
constexpr void require_domain(bool holds, std::string_view function, std::string_view argument,
                              Expected const& expected, Came const& came) {
    if (!holds) detail::reject<domain_violation>(function, argument, expected, came);
}

} // namespace poise
