#pragma once

#include "poise/core/batch.hpp"
#include "poise/policy/layers.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace poise::policy {

/// What a network stacks: see `dense` and `layer_norm`.
template <class L>
concept layer = requires(double const* in, double* out, std::size_t samples) {
    { L::inputs } -> std::convertible_to<std::size_t>;
    { L::outputs } -> std::convertible_to<std::size_t>;
    { L::parameter_count } -> std::convertible_to<std::size_t>;
    { L::kept } -> std::convertible_to<std::size_t>;
    L::forward(in, samples, in, out, out);
    L::pullback(in, samples, in, in, in, out, out, out);
};

namespace detail {

template <class T, std::size_t N>
constexpr auto but_last(std::array<T, N> const& all) {
    auto some = std::array<T, N - 1>{};
    std::copy_n(all.begin(), N - 1, some.begin());
    return some;
}

} // namespace detail

/// Layers one after another, without parameters of their own: what `mlp` and the neural policies, which own one flat
/// row of parameters, have in common. Batches have one sample per row; the parameters are those of each layer in turn.
template <scalar T, layer... Layers>
struct feed_forward {
    static constexpr std::size_t depth = sizeof...(Layers);
    static_assert(depth > 0, "mlp needs at least one layer");
    /// The inputs, then the outputs of each layer.
    static constexpr std::array<std::size_t, depth + 1> widths = [] {
        auto const in = std::array<std::size_t, depth>{Layers::inputs...},
                   out = std::array<std::size_t, depth>{Layers::outputs...};
        auto all = std::array<std::size_t, depth + 1>{in[0]};
        std::copy(out.begin(), out.end(), all.begin() + 1);
        return all;
    }();
    static_assert(std::array<std::size_t, depth>{Layers::inputs...} == detail::but_last(widths),
                  "mlp: a layer's outputs are not as many as the next layer's inputs");

    using value_type = T;
    static constexpr std::size_t inputs = widths[0];
    static constexpr std::size_t outputs = widths[depth];
    static constexpr std::size_t parameter_count = (Layers::parameter_count + ...);

private:
    // Of one sample: all activations, then what layers keep beside them, then the cotangents of two layers.
    static constexpr std::size_t activations_per_sample = (inputs + ... + Layers::outputs);
    static constexpr std::size_t kept_per_sample = (Layers::kept + ...);
    static constexpr std::size_t widest = *std::max_element(widths.begin(), widths.end());
    static constexpr std::size_t values_per_sample = activations_per_sample + kept_per_sample + 2 * widest;

public:
    /// A forward pass of at most `capacity` samples, for the pullback.
    template <class Memory>
    class memory_of_pass {
    public:
        constexpr std::size_t capacity() const { return capacity_; }
        constexpr std::size_t samples() const { return samples_; }

    protected:
        constexpr memory_of_pass(std::size_t capacity, Memory memory)
            : capacity_(capacity), memory_(std::move(memory)) {}

    private:
        friend feed_forward;
        constexpr T* at(std::size_t values_before) { return memory_.data() + capacity_ * values_before; }
        constexpr T* activations(std::size_t k) {
            auto before = std::size_t{0};
            for (std::size_t j = 0; j < k; ++j) before += widths[j];
            return at(before);
        }
        constexpr T* kept(std::size_t k) {
            constexpr auto counts = std::array<std::size_t, depth>{Layers::kept...};
            auto before = activations_per_sample;
            for (std::size_t j = 0; j < k; ++j) before += counts[j];
            return at(before);
        }
        constexpr T* cotangents(std::size_t which) {
            return at(activations_per_sample + kept_per_sample + which * widest);
        }

        std::size_t capacity_;
        std::size_t samples_ = 0;
        Memory memory_;
    };

    /// Allocated once.
    struct tape : memory_of_pass<std::vector<T>> {
        constexpr explicit tape(std::size_t capacity)
            : memory_of_pass<std::vector<T>>(capacity, std::vector<T>(capacity * values_per_sample, T(0))) {}
    };
    /// Of one sample, on the stack.
    struct sample_tape : memory_of_pass<std::array<T, values_per_sample>> {
        constexpr sample_tape() : memory_of_pass<std::array<T, values_per_sample>>(1, {}) {}
    };

    template <class Initialization>
    static constexpr void initialize(row<T> parameters, Initialization const& draw, random::address where) {
        auto const start = where.index;
        for_each_layer([&]<class Layer>(std::size_t, std::size_t offset) {
            where.index = start + static_cast<std::uint32_t>(offset);
            Layer::initialize(parameters.data() + offset, draw, where);
        });
    }

    /// The outputs for a batch of inputs; they lie in the tape until its next use. Throws `argument_error` where the
    /// shape of the batch is not at most capacity() x inputs.
    template <class Inputs, class Memory>
    static constexpr batch<T const, outputs> forward(row<T const> parameters, Inputs const& samples,
                                                     memory_of_pass<Memory>& memory) {
        auto const& x = as_batch(samples);
        check_shape(x, 0, memory.capacity_, inputs, "mlp::forward", "inputs");
        copy_rows(x, inputs, memory.activations(0));
        memory.samples_ = x.rows();
        for_each_layer([&]<class Layer>(std::size_t k, std::size_t offset) {
            Layer::forward(parameters.data() + offset, memory.samples_, static_cast<T const*>(memory.activations(k)),
                           memory.activations(k + 1), memory.kept(k));
        });
        return rows_of<outputs>(static_cast<T const*>(memory.activations(depth)), memory.samples_, outputs);
    }

    /// Adds J^T c to `gradient`, where J is the Jacobian of the outputs of the tape's forward pass in the parameters
    /// and c a cotangent of these outputs: the gradient of a loss whose gradient in the outputs is c.
    template <class Cotangent, class Memory>
    static constexpr void pullback(row<T const> parameters, memory_of_pass<Memory>& memory, Cotangent const& cotangent,
                                   row<T> gradient) {
        pull_back(parameters, memory, cotangent, gradient, false);
    }
    /// The same, and writes the cotangent of the inputs to `input_cotangent`, a batch or matrix of samples() x inputs.
    template <class Cotangent, class Memory, class InputCotangent>
    static constexpr void pullback(row<T const> parameters, memory_of_pass<Memory>& memory, Cotangent const& cotangent,
                                   row<T> gradient, InputCotangent&& input_cotangent) {
        auto&& out = as_batch(input_cotangent);
        check_shape(out, memory.samples_, memory.samples_, inputs, "mlp::pullback", "input_cotangent");
        auto const* found = pull_back(parameters, memory, cotangent, gradient, true);
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
    static constexpr void copy_rows(Batch const& values, std::size_t width, T* to) {
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
    template <class Memory, class Cotangent>
    static constexpr T const* pull_back(row<T const> parameters, memory_of_pass<Memory>& memory,
                                        Cotangent const& cotangent, row<T> gradient, bool to_inputs) {
        auto const& c = as_batch(cotangent);
        require(gradient.size() == parameter_count, "mlp::pullback", "gradient", parameter_count, gradient.size());
        check_shape(c, memory.samples_, memory.samples_, outputs, "mlp::pullback", "cotangent");
        copy_rows(c, outputs, memory.cotangents(0));
        auto* here = memory.cotangents(0);
        auto* before = memory.cotangents(1);
        for_each_layer_backwards([&]<class Layer>(std::size_t k, std::size_t offset) {
            Layer::pullback(parameters.data() + offset, memory.samples_, static_cast<T const*>(memory.activations(k)),
                            static_cast<T const*>(memory.activations(k + 1)), static_cast<T const*>(memory.kept(k)),
                            here, gradient.data() + offset, k > 0 || to_inputs ? before : nullptr);
            std::swap(here, before);
        });
        return here;
    }
};

} // namespace poise::policy
