#pragma once

#include "poise/policy/batch_by_sample.hpp"
#include "poise/policy/neural_parameters.hpp"

namespace poise::policy {

namespace detail {

/// `N` independent standard normals at one address; for packs those of each lane's replica.
template <random::drawable T, std::size_t N>
constexpr std::array<T, N> standard_normals(random::address where) {
    constexpr auto lane_count = random::detail::lane_count<T>;
    auto values = std::array<std::array<double, lane_count>, N>{};
    for (std::size_t lane = 0; lane < lane_count; ++lane) {
        auto words = random::word_sequence(random::detail::replica_of_lane(where, lane));
        auto pair = std::array<double, 2>{};
        for (std::size_t k = 0; k < N; ++k) {
            if (k % 2 == 0) pair = random::detail::two_normals(words);
            values[k][lane] = pair[k % 2];
        }
    }
    auto drawn = std::array<T, N>{};
    for (std::size_t k = 0; k < N; ++k)
        drawn[k] = random::detail::assemble<T>([&](std::size_t lane) { return values[k][lane]; });
    return drawn;
}

} // namespace detail

/// The action is u itself.
struct unsquashed {
    static constexpr bool changes_volume = false;
    template <scalar T, std::size_t N>
    using action = std::array<T, N>;

    template <class Action>
    static constexpr Action const& before(Action const& a) {
        return a;
    }
};

/// A normal distribution with independent components u_k ~ N(mu_k(x), sigma_k^2), mu a network of the context and
/// sigma independent of it; the action is a = squash(u):
///     log pi(a | x) = sum_k -z_k^2 / 2 - log sigma_k - log(2 pi) / 2 - log |da_k / du_k|,   z = (u - mu) / sigma.
/// Parameters: the network's, then log sigma_k, which start at 0. See `diagonal_gaussian` and `tanh_gaussian`.
template <class Squash, scalar T, layer... Layers>
class gaussian_policy : public neural_parameters<T, feed_forward<T, Layers...>::outputs, Layers...> {
    using network = feed_forward<T, Layers...>;
    using base = neural_parameters<T, network::outputs, Layers...>;
    using sample_tape = typename network::sample_tape;
    using components = std::array<T, network::outputs>;

public:
    using base::outputs;
    using action_type = typename Squash::template action<T, network::outputs>;
    /// The same policy over another scalar.
    template <scalar U>
    using over = gaussian_policy<Squash, U, Layers...>;

    /// A batch of at most `capacity` samples. Allocated once.
    class tape {
    public:
        constexpr explicit tape(std::size_t capacity)
            : network_(capacity), z_(capacity * outputs, T(0)), means_(z_), cotangents_(z_) {}
        constexpr std::size_t capacity() const { return network_.capacity(); }
        constexpr std::size_t samples() const { return network_.samples(); }

    private:
        friend gaussian_policy;
        typename network::tape network_;
        std::vector<T> z_, means_, cotangents_;
    };

    /// All parameters 0: a standard normal.
    constexpr gaussian_policy() = default;
    /// Weights drawn as those of `mlp` are, sigma 1.
    template <class Initialization>
    constexpr gaussian_policy(Initialization const& draw, random::address where) : base(draw, where) {}
    template <class U>
    constexpr explicit gaussian_policy(gaussian_policy<Squash, U, Layers...> const& other) : base(other) {}

    constexpr row<T> log_deviations() { return deviations_of(this->parameters()); }
    constexpr row<T const> log_deviations() const { return deviations_of(this->parameters()); }

    // ---- one context

    /// mu(context), before any squashing.
    template <row_of_inputs Context>
    constexpr components mean(Context const& context) const {
        auto memory = sample_tape();
        return mean(context, memory);
    }
    template <row_of_inputs Context, class Action>
    constexpr T log_probability(Context const& context, Action const& action) const {
        auto const mu = mean(context);
        return log_density(scales(), mu.data(), action, [](std::size_t, T) {});
    }
    template <row_of_inputs Context>
    constexpr action_type sample(Context const& context, random::address where) const
        requires random::drawable<T>
    {
        auto const mu = mean(context);
        return draw(mu.data(), where);
    }
    /// The differential entropy in nats. That of a squashed policy is a quadrature.
    template <row_of_inputs Context>
    constexpr T entropy(Context const& context) const {
        auto const mu = mean(context);
        return entropy_at(mu.data(), [](std::size_t, T, T) {});
    }
    /// KL(pi(. | context) || other(. | context)) in nats, which squashing does not change:
    /// sum_k log(s_k / sigma_k) + (sigma_k^2 + (mu_k - m_k)^2) / (2 s_k^2) - 1/2.
    template <row_of_inputs Context>
    constexpr T kl_divergence(Context const& context, gaussian_policy const& other) const {
        auto const here = mean(context), there = other.mean(context);
        auto total = T(0);
        for (std::size_t k = 0; k < outputs; ++k) {
            auto const log_ratio = log_deviations()[k] - other.log_deviations()[k];
            auto const shift = (here[k] - there[k]) * math::exp(-other.log_deviations()[k]);
            total += T(0.5) * (math::expm1(T(2) * log_ratio) + shift * shift) - log_ratio;
        }
        return total;
    }

    /// Adds c d log pi / d parameters: in the mean c z / sigma, in log sigma c (z^2 - 1).
    template <row_of_inputs Context, class Action>
    constexpr void pullback(Context const& context, Action const& action, T cotangent, row<T> gradient) const {
        auto memory = sample_tape();
        auto const mu = mean(context, memory);
        auto const scale = scales();
        auto const of_deviation = deviations_of(gradient);
        auto of_mean = components{};
        log_density(scale, mu.data(), action, [&](std::size_t k, T z) {
            of_mean[k] = cotangent * z * scale.inverse[k];
            of_deviation[k] += cotangent * (z * z - T(1));
        });
        this->pull_back(memory, of_mean.data(), gradient);
    }
    /// Adds c dH / d parameters: in log sigma c, and what the squashing brings.
    template <row_of_inputs Context>
    constexpr void entropy_pullback(Context const& context, T cotangent, row<T> gradient) const {
        auto memory = sample_tape();
        auto const mu = mean(context, memory);
        auto const of_deviation = deviations_of(gradient);
        auto of_mean = components{};
        entropy_at(mu.data(), [&](std::size_t k, T in_mean, T in_log_deviation) {
            of_mean[k] = cotangent * in_mean;
            of_deviation[k] += cotangent * in_log_deviation;
        });
        this->pull_back(memory, of_mean.data(), gradient);
    }
    /// Adds c d KL(pi || other) / d parameters of pi: in the mean c (mu - m) / s^2, in log sigma c (sigma^2 / s^2 - 1).
    template <row_of_inputs Context>
    constexpr void kl_divergence_pullback(Context const& context, gaussian_policy const& other, T cotangent,
                                          row<T> gradient) const {
        auto memory = sample_tape();
        auto const here = mean(context, memory), there = other.mean(context);
        auto const of_deviation = deviations_of(gradient);
        auto of_mean = components{};
        for (std::size_t k = 0; k < outputs; ++k) {
            auto const precision = math::exp(T(-2) * other.log_deviations()[k]);
            of_mean[k] = cotangent * (here[k] - there[k]) * precision;
            of_deviation[k] += cotangent * math::expm1(T(2) * (log_deviations()[k] - other.log_deviations()[k]));
        }
        this->pull_back(memory, of_mean.data(), gradient);
    }

    // ---- many contexts: a range of rows of inputs, or any batch with one context per row

    /// drawn_i is drawn in context i at address index + i.
    template <class Contexts>
    constexpr void sample(Contexts const& contexts, random::address where, tape& memory,
                          std::span<action_type> drawn) const
        requires random::drawable<T>
    {
        auto const mu = this->forward(contexts, memory.network_);
        require(drawn.size() == mu.rows(), "policy::sample", "actions", mu.rows(), drawn.size());
        for (std::size_t i = 0; i < mu.rows(); ++i) drawn[i] = draw(mu.row_data(i), detail::at_index(where, i));
    }

    /// log pi(chosen_i | contexts_i) and the entropy of pi(. | contexts_i) of every sample. An empty row is not wanted.
    template <class Contexts>
    constexpr void evaluate(Contexts const& contexts, std::span<action_type const> chosen, tape& memory,
                            row<T> log_probabilities, row<T> entropies) const {
        auto const mu = this->forward(contexts, memory.network_);
        auto const n = mu.rows();
        require(chosen.size() == n, "policy::evaluate", "actions", n, chosen.size());
        detail::check_batch_row(log_probabilities.size(), n, "policy::evaluate", "log_probabilities");
        detail::check_batch_row(entropies.size(), n, "policy::evaluate", "entropies");
        auto const scale = scales();
        std::copy_n(mu.data(), n * outputs, memory.means_.begin());
        for (std::size_t i = 0; i < n; ++i) {
            auto const log_p = log_density(scale, mu.row_data(i), chosen[i],
                                           [&](std::size_t k, T z) { memory.z_[i * outputs + k] = z; });
            if (log_probabilities.size() > 0) log_probabilities[i] = log_p;
            if (entropies.size() > 0) entropies[i] = entropy_at(mu.row_data(i), [](std::size_t, T, T) {});
        }
    }

    /// Adds to `gradient` sum_i c_i d log pi(a_i | x_i) / d parameters + e_i d H(pi(. | x_i)) / d parameters for the
    /// samples that were evaluated last. An empty row is no cotangent.
    constexpr void pullback(tape& memory, row<T const> log_probability_cotangents, row<T const> entropy_cotangents,
                            row<T> gradient) const {
        auto const n = memory.samples();
        detail::check_batch_row(log_probability_cotangents.size(), n, "policy::pullback", "log_probability_cotangents");
        detail::check_batch_row(entropy_cotangents.size(), n, "policy::pullback", "entropy_cotangents");
        auto const scale = scales();
        auto const of_deviation = deviations_of(gradient);
        for (std::size_t i = 0; i < n; ++i) {
            auto* const of_mean = memory.cotangents_.data() + i * outputs;
            auto const c = log_probability_cotangents.size() > 0 ? log_probability_cotangents[i] : T(0);
            for (std::size_t k = 0; k < outputs; ++k) {
                auto const z = memory.z_[i * outputs + k];
                of_mean[k] = c * z * scale.inverse[k];
                of_deviation[k] += c * (z * z - T(1));
            }
            if (entropy_cotangents.size() == 0) continue;
            auto const e = entropy_cotangents[i];
            entropy_at(memory.means_.data() + i * outputs, [&](std::size_t k, T in_mean, T in_log_deviation) {
                of_mean[k] += e * in_mean;
                of_deviation[k] += e * in_log_deviation;
            });
        }
        this->pull_back(memory.network_, memory.cotangents_.data(), gradient);
    }

private:
    static constexpr double half_log_two_pi = 0.918938533204672742;

    struct scales_of_density {
        components inverse{};    // 1 / sigma_k
        T log_normaliser = T(0); // sum_k log sigma_k + log(2 pi) / 2
    };
    constexpr scales_of_density scales() const {
        auto found = scales_of_density{};
        for (std::size_t k = 0; k < outputs; ++k) {
            found.inverse[k] = math::exp(-log_deviations()[k]);
            found.log_normaliser += log_deviations()[k] + T(half_log_two_pi);
        }
        return found;
    }

    template <class E>
    static constexpr row<E> deviations_of(row<E> all) {
        require(all.size() == base::parameter_count, "policy::pullback", "gradient", base::parameter_count, all.size());
        return {all.data() + network::parameter_count, outputs};
    }

    template <class Context>
    constexpr components mean(Context const& context, sample_tape& memory) const {
        auto const mu = this->forward(context, memory);
        auto found = components{};
        std::copy_n(mu.data(), outputs, found.begin());
        return found;
    }

    constexpr action_type draw(T const* mu, random::address where) const {
        auto u = detail::standard_normals<T, outputs>(where);
        for (std::size_t k = 0; k < outputs; ++k) u[k] = mu[k] + math::exp(log_deviations()[k]) * u[k];
        return {u};
    }

    // visit(k, z_k)
    template <class Action, class Visit>
    constexpr T log_density(scales_of_density const& scale, T const* mu, Action const& action,
                            Visit const& visit) const {
        auto const& u = Squash::before(action);
        auto total = -scale.log_normaliser;
        for (std::size_t k = 0; k < outputs; ++k) {
            auto const z = (T(u[k]) - mu[k]) * scale.inverse[k];
            total -= T(0.5) * z * z;
            if constexpr (Squash::changes_volume) total -= Squash::log_slope(T(u[k]));
            visit(k, z);
        }
        return total;
    }

    // visit(k, dH / d mu_k, dH / d log sigma_k)
    template <class Visit>
    constexpr T entropy_at(T const* mu, Visit const& visit) const {
        auto total = T(0);
        for (std::size_t k = 0; k < outputs; ++k) {
            auto const log_deviation = log_deviations()[k];
            total += T(0.5 + half_log_two_pi) + log_deviation;
            if constexpr (Squash::changes_volume) {
                auto const [value, in_mean, in_log_deviation] =
                    Squash::expected_log_slope(mu[k], math::exp(log_deviation));
                total += value;
                visit(k, in_mean, T(1) + in_log_deviation);
            } else {
                visit(k, T(0), T(1));
            }
        }
        return total;
    }
};

/// A normal distribution with a network for its mean and a deviation of each component:
///     using policy = diagonal_gaussian<double, dense<3, 64, activation::tanh>, dense<64, 1>>;
/// An action is a std::array of the components.
template <scalar T, layer... Layers>
using diagonal_gaussian = gaussian_policy<unsquashed, T, Layers...>;

} // namespace poise::policy
