#pragma once

#include "poise/policy/batch_by_sample.hpp"
#include "poise/policy/log_probability_formulas.hpp"
#include "poise/policy/neural_parameters.hpp"

namespace poise::policy {

/// The softmax of a network's outputs: log pi(a | x) = z_a(x) - log sum_b e^{z_b(x)}.
///     using policy = neural_softmax<double, dense<4, 32, activation::tanh>, dense<32, 2>>;
///     auto pi = policy(initialization::glorot{}, {.seed = 1});
/// A context is a row of inputs. A batch of them costs the network's matrix products and little more.
template <scalar T, layer... Layers>
class neural_softmax : public neural_parameters<T, 0, Layers...> {
    using base = neural_parameters<T, 0, Layers...>;
    using network = typename base::network;
    using sample_tape = typename network::sample_tape;

public:
    using base::outputs;
    using action_type = action_number<T>;
    /// The same policy over another scalar.
    template <scalar U>
    using over = neural_softmax<U, Layers...>;

    /// A batch of at most `capacity` samples. Allocated once.
    class tape {
    public:
        constexpr explicit tape(std::size_t capacity)
            : network_(capacity),
              log_probabilities_(capacity * actions(), T(0)),
              probabilities_(log_probabilities_),
              cotangents_(log_probabilities_),
              totals_(capacity, T(0)),
              actions_(capacity) {}
        constexpr std::size_t capacity() const { return network_.capacity(); }
        constexpr std::size_t samples() const { return network_.samples(); }

    private:
        friend neural_softmax;
        typename network::tape network_;
        std::vector<T> log_probabilities_, probabilities_, cotangents_, totals_;
        std::vector<action_type> actions_;
    };

    /// All parameters 0: uniform.
    constexpr neural_softmax() = default;
    /// Weights drawn as those of `mlp` are.
    template <class Initialization>
    constexpr neural_softmax(Initialization const& draw, random::address where) : base(draw, where) {}
    template <class U>
    constexpr explicit neural_softmax(neural_softmax<U, Layers...> const& other) : base(other) {}

    static constexpr std::size_t actions() { return network::outputs; }

    // ---- one context

    template <row_of_inputs Context>
    constexpr void log_probabilities(Context const& context, writable_row auto out) const {
        auto memory = sample_tape();
        log_softmax(out, logits(context, memory));
    }
    template <row_of_inputs Context>
    constexpr T log_probability(Context const& context, action_type action) const {
        auto memory = sample_tape();
        return detail::at_action<T>(log_p(context, memory), action);
    }
    /// The action drawn at this address, by Gumbel-max; for packs one action per lane.
    template <row_of_inputs Context>
    constexpr action_type sample(Context const& context, random::address where) const
        requires random::drawable<T>
    {
        auto memory = sample_tape();
        return random::categorical_from_logits(where, logits(context, memory));
    }
    /// In nats.
    template <row_of_inputs Context>
    constexpr T entropy(Context const& context) const {
        auto memory = sample_tape();
        return entropy_from_log_probabilities(log_p(context, memory));
    }
    /// KL(pi(. | context) || other(. | context)) in nats.
    template <row_of_inputs Context>
    constexpr T kl_divergence(Context const& context, neural_softmax const& other) const {
        auto memory = sample_tape(), other_memory = sample_tape();
        return kl_divergence_from_log_probabilities(log_p(context, memory), other.log_p(context, other_memory));
    }

    /// Adds to `gradient` (as long as `parameters()`) J^T c, J the Jacobian of this context's log-probabilities in the
    /// parameters.
    template <row_of_inputs Context>
    constexpr void pullback(Context const& context, row_of_reals auto cotangent, row<T> gradient) const {
        auto memory = sample_tape();
        auto const l = log_p(context, memory);
        pull_back_logits(memory, logit_gradient::of_log_probabilities(l, cotangent), gradient);
    }
    /// The same for the log-probability of one action.
    template <row_of_inputs Context>
    constexpr void pullback(Context const& context, action_type action, T cotangent, row<T> gradient) const {
        auto memory = sample_tape();
        auto const l = log_p(context, memory);
        pull_back_logits(memory, logit_gradient::of_log_probability(l, action, cotangent), gradient);
    }
    /// Adds c dH / d parameters.
    template <row_of_inputs Context>
    constexpr void entropy_pullback(Context const& context, T cotangent, row<T> gradient) const {
        auto memory = sample_tape();
        auto const l = log_p(context, memory);
        pull_back_logits(memory, logit_gradient::of_entropy(l, cotangent), gradient);
    }
    /// Adds c d KL(pi || other) / d parameters of pi.
    template <row_of_inputs Context>
    constexpr void kl_divergence_pullback(Context const& context, neural_softmax const& other, T cotangent,
                                          row<T> gradient) const {
        auto memory = sample_tape(), other_memory = sample_tape();
        auto const l = log_p(context, memory), m = other.log_p(context, other_memory);
        pull_back_logits(memory, logit_gradient::of_kl_divergence(l, m, cotangent), gradient);
    }

    // ---- many contexts: a range of rows of inputs, or any batch with one context per row

    /// drawn_i is drawn in context i at address index + i.
    template <class Contexts>
    constexpr void sample(Contexts const& contexts, random::address where, tape& memory,
                          std::span<action_type> drawn) const
        requires random::drawable<T>
    {
        auto const z = this->forward(contexts, memory.network_);
        require(drawn.size() == z.rows(), "policy::sample", "actions", z.rows(), drawn.size());
        for (std::size_t i = 0; i < z.rows(); ++i)
            drawn[i] =
                random::categorical_from_logits(detail::at_index(where, i), row<T const>(z.row_data(i), actions()));
    }

    /// All log-probabilities, one context per row; they lie in the tape until its next use.
    template <class Contexts>
    constexpr batch<T const, outputs> log_probabilities(Contexts const& contexts, tape& memory) const {
        auto const z = this->forward(contexts, memory.network_);
        auto const n = z.rows();
        // e^z for all samples at once, in packs where there are any
        auto* const log_p = memory.log_probabilities_.data();
        auto* const p = memory.probabilities_.data();
        auto* const totals = memory.totals_.data();
        for (std::size_t i = 0; i < n; ++i) {
            auto greatest = z(i, 0);
            for (std::size_t a = 1; a < actions(); ++a) greatest = math::max(greatest, z(i, a));
            for (std::size_t a = 0; a < actions(); ++a) log_p[i * actions() + a] = z(i, a) - greatest;
        }
        detail::along_elements<T>(n * actions(), math::exp, p, std::as_const(log_p));
        for (std::size_t i = 0; i < n; ++i) {
            auto total = p[i * actions()];
            for (std::size_t a = 1; a < actions(); ++a) total += p[i * actions() + a];
            totals[i] = total;
            auto const scale = T(1) / total;
            for (std::size_t a = 0; a < actions(); ++a) p[i * actions() + a] *= scale;
        }
        detail::along_elements<T>(n, math::log, totals, totals);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t a = 0; a < actions(); ++a) log_p[i * actions() + a] -= totals[i];
        return rows_of<outputs>(static_cast<T const*>(log_p), n, actions());
    }

    /// log pi(chosen_i | contexts_i) and the entropy of pi(. | contexts_i) of every sample. An empty row is not wanted.
    template <class Contexts>
    constexpr void evaluate(Contexts const& contexts, std::span<action_type const> chosen, tape& memory,
                            row<T> log_probabilities, row<T> entropies) const {
        auto const log_p = this->log_probabilities(contexts, memory);
        auto const n = log_p.rows();
        require(chosen.size() == n, "policy::evaluate", "actions", n, chosen.size());
        detail::check_batch_row(log_probabilities.size(), n, "policy::evaluate", "log_probabilities");
        detail::check_batch_row(entropies.size(), n, "policy::evaluate", "entropies");
        detail::check_actions(*this, chosen, "policy::evaluate");
        std::copy(chosen.begin(), chosen.end(), memory.actions_.begin());
        for (std::size_t i = 0; i < n; ++i) {
            if (log_probabilities.size() > 0)
                log_probabilities[i] = detail::at_action<T>(row<T const>(log_p.row_data(i), actions()), chosen[i]);
            if (entropies.size() > 0) entropies[i] = -minus_entropy(memory, i);
        }
    }

    /// Adds to `gradient` sum_i c_i d log pi(a_i | x_i) / d parameters + e_i d H(pi(. | x_i)) / d parameters for the
    /// samples that were evaluated last. An empty row is no cotangent.
    constexpr void pullback(tape& memory, row<T const> log_probability_cotangents, row<T const> entropy_cotangents,
                            row<T> gradient) const {
        auto const n = memory.samples();
        detail::check_batch_row(log_probability_cotangents.size(), n, "policy::pullback", "log_probability_cotangents");
        detail::check_batch_row(entropy_cotangents.size(), n, "policy::pullback", "entropy_cotangents");
        for (std::size_t i = 0; i < n; ++i) {
            auto const* const l = memory.log_probabilities_.data() + i * actions();
            auto const* const p = memory.probabilities_.data() + i * actions();
            auto* const d = memory.cotangents_.data() + i * actions();
            auto const c = log_probability_cotangents.size() > 0 ? log_probability_cotangents[i] : T(0);
            for (std::size_t a = 0; a < actions(); ++a) d[a] = c * (detail::is_action<T>(a, memory.actions_[i]) - p[a]);
            if (entropy_cotangents.size() == 0) continue;
            auto const e = entropy_cotangents[i], minus_h = minus_entropy(memory, i);
            for (std::size_t a = 0; a < actions(); ++a) d[a] -= e * p[a] * (l[a] - minus_h);
        }
        this->pull_back(memory.network_, memory.cotangents_.data(), gradient);
    }
    /// Adds J^T c, J the Jacobian of all the log-probabilities that `log_probabilities(contexts, tape)` gave; the
    /// cotangents are a batch or matrix of the same shape.
    template <class Cotangents>
        requires(!row_of_reals<Cotangents>)
    constexpr void pullback(tape& memory, Cotangents const& cotangents, row<T> gradient) const {
        auto const& c = as_batch(cotangents);
        auto const n = memory.samples();
        require(c.rows() == n, "policy::pullback", "cotangents", n, c.rows());
        for (std::size_t i = 0; i < n; ++i) {
            require(c.length(i) == actions(), "policy::pullback", "cotangents", actions(), c.length(i));
            auto total = T(0);
            for (std::size_t a = 0; a < actions(); ++a) total += c(i, a);
            for (std::size_t a = 0; a < actions(); ++a) {
                auto const k = i * actions() + a;
                memory.cotangents_[k] = c(i, a) - memory.probabilities_[k] * total;
            }
        }
        this->pull_back(memory.network_, memory.cotangents_.data(), gradient);
    }

private:
    template <class Context>
    constexpr row<T const> logits(Context const& context, sample_tape& memory) const {
        return {this->forward(context, memory).row_data(0), actions()};
    }
    template <class Context>
    constexpr auto log_p(Context const& context, sample_tape& memory) const {
        auto const z = logits(context, memory);
        auto const normaliser = log_sum_exp(z);
        return computed_row(actions(), [=](std::size_t a) { return z[a] - normaliser; });
    }
    constexpr void pull_back_logits(sample_tape& memory, row_of_reals auto slopes, row<T> gradient) const {
        auto cotangents = std::array<T, outputs>{};
        copy(row(cotangents), slopes);
        this->pull_back(memory, cotangents.data(), gradient);
    }
    static constexpr T minus_entropy(tape const& memory, std::size_t i) {
        auto const first = i * actions();
        auto total = T(0);
        for (std::size_t k = first; k < first + actions(); ++k)
            total += memory.probabilities_[k] * memory.log_probabilities_[k];
        return total;
    }
};

} // namespace poise::policy
