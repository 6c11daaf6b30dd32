#pragma once

#include "poise/policy/feed_forward.hpp"

namespace poise::policy {

/// What a neural policy sees of its context: a row of inputs, such as `row`, std::array, std::vector or std::span.
template <class C>
concept row_of_inputs =
    row_of_reals<C> || (std::ranges::contiguous_range<C const> && scalar<std::ranges::range_value_t<C const>> &&
                        !requires(C const& context) { context.dimension(); }); // xtensor's may have two

/// The flat parameters of a policy with a network: those of each layer in turn, then `Extra` more, which start at 0.
template <scalar T, std::size_t Extra, layer... Layers>
class neural_parameters {
public:
    using value_type = T;
    using network = feed_forward<T, Layers...>;
    using context_type = std::array<T, network::inputs>;
    static constexpr std::size_t inputs = network::inputs;
    static constexpr std::size_t outputs = network::outputs;
    static constexpr std::size_t parameter_count = network::parameter_count + Extra;

    constexpr row<T> parameters() { return {parameters_.data(), parameter_count}; }
    constexpr row<T const> parameters() const { return {parameters_.data(), parameter_count}; }

protected:
    constexpr neural_parameters() : parameters_(parameter_count, T(0)) {}
    template <class Initialization>
    constexpr neural_parameters(Initialization const& draw, random::address where) : neural_parameters() {
        network::initialize(network_parameters(parameters()), draw, where);
    }
    template <class U>
    constexpr explicit neural_parameters(neural_parameters<U, Extra, Layers...> const& other) : neural_parameters() {
        for (std::size_t k = 0; k < parameter_count; ++k) parameters_[k] = T(other.parameters()[k]);
    }

    /// The part of a row as long as the parameters that belongs to the network.
    template <class E>
    static constexpr row<E> network_parameters(row<E> all) {
        return {all.data(), network::parameter_count};
    }

    template <row_of_inputs Context, class Memory>
    constexpr batch<T const, outputs> forward(Context const& context, Memory& memory) const {
        require(static_cast<std::size_t>(context.size()) == inputs, "policy", "context", inputs, context.size());
        return forward_rows(generated_rows(1, inputs, [&](auto, auto k) { return T(context[k]); }), memory);
    }
    /// Many contexts: a range of rows of inputs, or whatever is a batch with one context per row.
    template <class Contexts, class Memory>
        requires(!row_of_inputs<Contexts>)
    constexpr batch<T const, outputs> forward(Contexts const& contexts, Memory& memory) const {
        if constexpr (requires { requires row_of_inputs<std::ranges::range_value_t<Contexts const>>; })
            return forward_rows(
                generated_rows(contexts.size(), inputs, [&](auto i, auto k) { return T(contexts[i][k]); }), memory);
        else
            return forward_rows(contexts, memory);
    }

    template <class Contexts, class Memory>
    constexpr batch<T const, outputs> forward_rows(Contexts const& contexts, Memory& memory) const {
        return network::forward(network_parameters(parameters()), contexts, memory);
    }
    template <class Memory>
    constexpr void pull_back(Memory& memory, T const* output_cotangents, row<T> gradient) const {
        require(gradient.size() == parameter_count, "policy::pullback", "gradient", parameter_count, gradient.size());
        network::pullback(network_parameters(parameters()), memory,
                          rows_of<outputs>(output_cotangents, memory.samples(), outputs), network_parameters(gradient));
    }

private:
    std::vector<T> parameters_;
};

} // namespace poise::policy
