#pragma once

#include "poise/policy/feed_forward.hpp"

namespace poise::policy {

/// A multilayer perceptron, its layers in the type:
///     using network = mlp<double, dense<64, 32, activation::tanh>, dense<32, 10>>;
///     auto student = network(initialization::glorot{}, {.seed = 1});
///     auto tape = network::tape(samples);
///     auto logits = student.forward(features, tape);                 // a batch of `samples` rows of 10
///     student.pullback(tape, cotangent_of_logits, gradient);         // adds to the gradient
/// Batches have one sample per row. All parameters are one flat row: of each layer in turn W[output][input], then b.
/// T is any scalar: `double` and `float` multiply matrices by Eigen, dual numbers give exact directional derivatives,
/// SIMD packs run one network per lane.
template <scalar T, layer... Layers>
class mlp {
    using network = feed_forward<T, Layers...>;

public:
    using value_type = T;
    static constexpr std::size_t inputs = network::inputs;
    static constexpr std::size_t outputs = network::outputs;
    static constexpr std::size_t parameter_count = network::parameter_count;

    /// The activations of a forward pass over at most `capacity` samples, for the pullback. Allocated once.
    using tape = typename network::tape;

    /// All parameters 0.
    constexpr mlp() : parameters_(parameter_count, T(0)) {}
    /// Weights drawn from `draw` (see `initialization`), parameter k at address index + k; biases 0, gains 1.
    template <class Initialization>
    constexpr mlp(Initialization const& draw, random::address where) : mlp() {
        initialize(draw, where);
    }
    /// The same network over another scalar, such as dual numbers.
    template <class U>
    constexpr explicit mlp(mlp<U, Layers...> const& other) : mlp() {
        for (std::size_t k = 0; k < parameter_count; ++k) parameters_[k] = T(other.parameters()[k]);
    }

    constexpr row<T> parameters() { return {parameters_.data(), parameter_count}; }
    constexpr row<T const> parameters() const { return {parameters_.data(), parameter_count}; }

    template <class Initialization>
    constexpr void initialize(Initialization const& draw, random::address where) {
        network::initialize(parameters(), draw, where);
    }

    /// The outputs for a batch of inputs; they lie in the tape until its next use. Throws `argument_error` where the
    /// shape of the batch is not at most capacity() x inputs.
    template <class Inputs>
    constexpr batch<T const, outputs> forward(Inputs const& samples, tape& memory) const {
        return network::forward(parameters(), samples, memory);
    }

    /// Adds J^T c to `gradient`, where J is the Jacobian of the outputs of the tape's forward pass in the parameters
    /// and c a cotangent of these outputs: the gradient of a loss whose gradient in the outputs is c.
    template <class Cotangent>
    constexpr void pullback(tape& memory, Cotangent const& cotangent, row<T> gradient) const {
        network::pullback(parameters(), memory, cotangent, gradient);
    }
    /// The same, and writes the cotangent of the inputs to `input_cotangent`, a batch or matrix of samples() x inputs.
    template <class Cotangent, class InputCotangent>
    constexpr void pullback(tape& memory, Cotangent const& cotangent, row<T> gradient,
                            InputCotangent&& input_cotangent) const {
        network::pullback(parameters(), memory, cotangent, gradient, input_cotangent);
    }

private:
    std::vector<T> parameters_;
};

} // namespace poise::policy
