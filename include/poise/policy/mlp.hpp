#pragma once

#include "poise/core/batch.hpp"
#include "poise/policy/layers.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace poise::policy {

/// What a network stacks: see `dense`.
template <class L>
concept layer = requires(double const* in, double* out, std::size_t samples) {
    { L::inputs } -> std::convertible_to<std::size_t>;
    { L::outputs } -> std::convertible_to<std::size_t>;
    { L::parameter_count } -> std::convertible_to<std::size_t>;
    L::forward(in, samples, in, out);
    L::pullback(in, samples, in, in, out, out, out);
};

namespace detail {

template <class T, std::size_t N>
constexpr auto but_last(std::array<T, N> const& all) {
    auto some = std::array<T, N - 1>{};
    std::copy_n(all.begin(), N - 1, some.begin());
    return some;
}

} // namespace detail

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
    static constexpr std::size_t depth = sizeof...(Layers);
    static_assert(depth > 0, "mlp needs at least one layer");
    // the inputs, then the outputs of each layer
    static constexpr std::array<std::size_t, depth + 1> widths = [] {
        auto const in = std::array{Layers::inputs...}, out = std::array{Layers::outputs...};
        auto all = std::array<std::size_t, depth + 1>{in[0]};
        std::copy(out.begin(), out.end(), all.begin() + 1);
        return all;
    }();
    static_assert(std::array{Layers::inputs...} == detail::but_last(widths),
                  "mlp: a layer's outputs are not as many as the next layer's inputs");

public:
    using value_type = T;
    static constexpr std::size_t inputs = widths[0];
    static constexpr std::size_t outputs = widths[depth];
    static constexpr std::size_t parameter_count = (Layers::parameter_count + ...);

    /// The activations of a forward pass over at most `capacity` samples, for the pullback. Allocated once.
    class tape {
    public:
        constexpr explicit tape(std::size_t capacity) : capacity_(capacity) {
            for (std::size_t k = 0; k <= depth; ++k) activations_[k].resize(capacity * widths[k], T(0));
            auto const widest = *std::max_element(widths.begin(), widths.end());
            for (auto& cotangent : cotangents_) cotangent.resize(capacity * widest, T(0));
        }
        constexpr std::size_t capacity() const { return capacity_; }
        constexpr std::size_t samples() const { return samples_; }

    private:
        friend mlp;
        std::size_t capacity_;
        std::size_t samples_ = 0;
        std::array<std::vector<T>, depth + 1> activations_;
        std::array<std::vector<T>, 2> cotangents_;
    };

    /// All parameters 0.
    constexpr mlp() : parameters_(parameter_count, T(0)) {}
    /// Weights drawn from `draw` (see `initialization`), parameter k at address index + k; biases 0.
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
        auto const start = where.index;
        for_each_layer([&]<class Layer>(std::size_t, std::size_t offset) {
            where.index = start + static_cast<std::uint32_t>(offset);
            Layer::initialize(parameters_.data() + offset, draw, where);
        });
    }

    /// The outputs for a batch of inputs; they lie in the tape until its next use. Throws `argument_error` where the
    /// shape of the batch is not at most capacity() x inputs.
    template <class Inputs>
    constexpr batch<T const, outputs> forward(Inputs const& samples, tape& memory) const {
        auto const& x = as_batch(samples);
        check_shape(x, 0, memory.capacity_, inputs, "mlp::forward", "inputs");
        copy_rows(x, inputs, memory.activations_[0]);
        memory.samples_ = x.rows();
        for_each_layer([&]<class Layer>(std::size_t k, std::size_t offset) {
            Layer::forward(parameters_.data() + offset, memory.samples_, memory.activations_[k].data(),
                           memory.activations_[k + 1].data());
        });
        return rows_of<outputs>(std::as_const(memory.activations_[depth]).data(), memory.samples_, outputs);
    }

    /// Adds J^T c to `gradient`, where J is the Jacobian of the outputs of the tape's forward pass in the parameters
    /// and c a cotangent of these outputs: the gradient of a loss whose gradient in the outputs is c.
    template <class Cotangent>
    constexpr void pullback(tape& memory, Cotangent const& cotangent, row<T> gradient) const {
        pull_back(memory, cotangent, gradient, false);
    }
    /// The same, and writes the cotangent of the inputs to `input_cotangent`, a batch or matrix of samples() x inputs.
    template <class Cotangent, class InputCotangent>
    constexpr void pullback(tape& memory, Cotangent const& cotangent, row<T> gradient,
                            InputCotangent&& input_cotangent) const {
        auto&& out = as_batch(input_cotangent);
        check_shape(out, memory.samples_, memory.samples_, inputs, "mlp::pullback", "input_cotangent");
        auto const* found = pull_back(memory, cotangent, gradient, true);
        for (std::size_t s = 0; s < memory.samples_; ++s)
            for (std::size_t i = 0; i < inputs; ++i) out(s, i) = found[s * inputs + i];
    }

private:
    template <class Batch>
    static constexpr void check_shape(Batch const& values, std::size_t least, std::size_t most, std::size_t width,
                                      char const* function, char const* argument) {
        auto const rows = values.rows(), length = rows == 0 ? width : values.length(0);
        if (rows >= least && rows <= most && length == width) return;
        require(false, function, argument,
                (least == most ? "" : "at most ") + std::to_string(most) + " rows of length " + std::to_string(width),
                std::to_string(rows) + " of length " + std::to_string(length));
    }

    template <class Batch>
    static constexpr void copy_rows(Batch const& values, std::size_t width, std::vector<T>& to) {
        for (std::size_t s = 0; s < values.rows(); ++s)
            for (std::size_t i = 0; i < width; ++i) to[s * width + i] = T(values(s, i));
    }

    template <class Visit>
    static constexpr void for_each_layer(Visit const& visit) {
        auto k = std::size_t{0}, offset = std::size_t{0};
        ((visit.template operator()<Layers>(k, offset), ++k, offset += Layers::parameter_count), ...);
    }

    template <class Visit>
    static constexpr void for_each_layer_backwards(Visit const& visit) {
        for (auto wanted = depth; wanted-- > 0;)
            for_each_layer([&]<class Layer>(std::size_t k, std::size_t offset) {
                if (k == wanted) visit.template operator()<Layer>(k, offset);
            });
    }

    // Returns where the inputs' cotangent lies.
    template <class Cotangent>
    constexpr T const* pull_back(tape& memory, Cotangent const& cotangent, row<T> gradient, bool to_inputs) const {
        auto const& c = as_batch(cotangent);
        require(gradient.size() == parameter_count, "mlp::pullback", "gradient", parameter_count, gradient.size());
        check_shape(c, memory.samples_, memory.samples_, outputs, "mlp::pullback", "cotangent");
        copy_rows(c, outputs, memory.cotangents_[0]);
        auto* here = memory.cotangents_[0].data();
        auto* before = memory.cotangents_[1].data();
        for_each_layer_backwards([&]<class Layer>(std::size_t k, std::size_t offset) {
            Layer::pullback(parameters_.data() + offset, memory.samples_, memory.activations_[k].data(),
                            memory.activations_[k + 1].data(), here, gradient.data() + offset,
                            k > 0 || to_inputs ? before : nullptr);
            std::swap(here, before);
        });
        return here;
    }

    std::vector<T> parameters_;
};

} // namespace poise::policy
