/// One step of PPO on one core: a policy 4-64-64-2 (tanh) samples 256 actions; its clipped surrogate with the rewards
/// as advantages, its gradient, and Adam. By `solver::learner`, and the same written by hand with Eigen: the same
/// draws, the same passes, all memory allocated before. `peers/learner_torch.py` has it in PyTorch.

#include "poise/objective/clipped_surrogate.hpp"
#include "poise/policy/neural_softmax.hpp"
#include "poise/random/random.hpp"
#include "poise/solver/learner.hpp"

#include <benchmark/benchmark.h>

#include <Eigen/Core>

#include <cmath>
#include <vector>

namespace {

using namespace poise;

constexpr auto samples = std::size_t{256};
constexpr auto inputs_ = 4, hidden = 64, actions = 2;

template <class T>
using network_policy = policy::neural_softmax<T, policy::dense<4, 64, policy::activation::tanh>,
                                              policy::dense<64, 64, policy::activation::tanh>, policy::dense<64, 2>>;
template <class T>
using context = std::array<T, 4>;

/// The reward of action a: x_0 for action 0, x_1 for action 1.
template <class T>
struct linear_reward {
    using value_type = T;
    using context_type = context<T>;
    using action_type = std::size_t;
    constexpr T score(context<T> const& x, std::size_t action) const { return x[action]; }
};

using poise::operator|;

/// A_k = r_k
struct reward_as_advantage {
    using reads = fields<field::reward>;
    using writes = fields<field::advantage>;
    constexpr void operator()(row_of_reals auto reward, writable_row auto advantage) const { copy(advantage, reward); }
};

template <class T>
std::vector<context<T>> contexts() {
    auto all = std::vector<context<T>>(samples);
    for (std::size_t i = 0; i < samples; ++i)
        for (std::size_t k = 0; k < 4; ++k) all[i][k] = static_cast<T>(std::sin(0.7 * static_cast<double>(4 * i + k)));
    return all;
}
template <class T>
auto start() {
    auto policy = network_policy<T>();
    auto const w = policy.parameters();
    for (std::size_t k = 0; k < w.size(); ++k)
        w[k] = static_cast<T>(0.2 * std::sin(1.3 * static_cast<double>(k) + 0.1));
    return policy;
}

template <class T>
auto make_learner() {
    return solver::learner(start<T>(), linear_reward<T>{}, reward_as_advantage{} | objective::clipped_surrogate{},
                           solver::adam{}, {.random = {.seed = 1}});
}

/// The same by hand.
template <class T>
class by_hand {
    template <int Rows, int Columns>
    using matrix = Eigen::Matrix<T, Rows, Columns, Columns == 1 ? Eigen::ColMajor : Eigen::RowMajor>;
    using batch_of_hidden = matrix<Eigen::Dynamic, Eigen::Dynamic>;
    using batch_of_actions = Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    static constexpr Eigen::Index n = samples;
    static constexpr Eigen::Index at_b1 = hidden * inputs_, at_w2 = at_b1 + hidden, at_b2 = at_w2 + hidden * hidden,
                                  at_w3 = at_b2 + hidden, at_b3 = at_w3 + actions * hidden, count = at_b3 + actions;

public:
    by_hand() {
        auto const from = start<T>();
        for (Eigen::Index k = 0; k < count; ++k) w[k] = from.parameters()[static_cast<std::size_t>(k)];
    }

    void step(std::vector<context<T>> const& all) {
        auto const x = Eigen::Map<matrix<Eigen::Dynamic, Eigen::Dynamic> const>(all[0].data(), n, inputs_);
        forward(x);
        for (Eigen::Index i = 0; i < n; ++i) { // Gumbel-max, at the same addresses
            auto const where = random::address{
                .seed = 1, .step = static_cast<std::uint32_t>(steps), .index = static_cast<std::uint32_t>(i)};
            chosen[i] = static_cast<int>(random::categorical_from_logits(where, row<T const>(&z(i, 0), actions)));
            advantage[i] = x(i, chosen[i]);
        }
        forward(x);
        log_p = z.colwise() - z.rowwise().maxCoeff();
        p = log_p.exp();
        total = p.rowwise().sum();
        p.colwise() /= total;
        log_p.colwise() -= total.log();
        for (Eigen::Index i = 0; i < n; ++i) log_pi[i] = log_p(i, chosen[i]);
        old_log_pi = log_pi;
        ratio = (log_pi - old_log_pi).exp();
        auto const clipped = ratio.max(T(0.8)).min(T(1.2));
        loss = -(ratio * advantage).min(clipped * advantage).mean();
        slope = (ratio * advantage <= clipped * advantage).select(-advantage * ratio, T(0)) / T(n);
        entropy = -(p * log_p).rowwise().sum().mean();
        dz = -(p.colwise() * slope);
        for (Eigen::Index i = 0; i < n; ++i) dz(i, chosen[i]) += slope[i];
        backward(x);
        norm = std::sqrt(g.square().sum());
        adam();
        ++steps;
    }

    Eigen::Array<T, count, 1> w, g, m = decltype(w)::Zero(), v = decltype(w)::Zero();
    T loss = 0, entropy = 0, norm = 0;

private:
    void forward(auto const& x) {
        h1.rowwise() = b(at_b1, hidden);
        h1.noalias() += x * weights<hidden, inputs_>(w, 0).transpose();
        h1 = h1.array().tanh();
        h2.rowwise() = b(at_b2, hidden);
        h2.noalias() += h1 * weights<hidden, hidden>(w, at_w2).transpose();
        h2 = h2.array().tanh();
        z.matrix().rowwise() = b(at_b3, actions);
        z.matrix().noalias() += h2 * weights<actions, hidden>(w, at_w3).transpose();
    }
    void backward(auto const& x) {
        weights<actions, hidden>(g, at_w3).noalias() = dz.matrix().transpose() * h2;
        g.template segment<actions>(at_b3) = dz.colwise().sum().transpose();
        d2.noalias() = dz.matrix() * weights<actions, hidden>(w, at_w3);
        d2.array() *= T(1) - h2.array().square();
        weights<hidden, hidden>(g, at_w2).noalias() = d2.transpose() * h1;
        g.template segment<hidden>(at_b2) = d2.colwise().sum().transpose().array();
        d1.noalias() = d2 * weights<hidden, hidden>(w, at_w2);
        d1.array() *= T(1) - h1.array().square();
        weights<hidden, inputs_>(g, 0).noalias() = d1.transpose() * x;
        g.template segment<hidden>(at_b1) = d1.colwise().sum().transpose().array();
    }
    void adam() {
        auto const t = static_cast<double>(steps + 1);
        m = T(0.9) * m + T(1 - 0.9) * g;
        v = T(0.999) * v + T(1 - 0.999) * g.square();
        auto const rate = T(1e-3 / (1 - std::pow(0.9, t))), correction = T(1 / (1 - std::pow(0.999, t)));
        w -= rate * m / ((v * correction).sqrt() + T(1e-8));
    }
    template <int Rows, int Columns, class Parameters>
    static auto weights(Parameters& parameters, Eigen::Index at) {
        return Eigen::Map<matrix<Eigen::Dynamic, Eigen::Dynamic>>(parameters.data() + at, Rows, Columns);
    }
    auto b(Eigen::Index at, Eigen::Index size) {
        return Eigen::Map<Eigen::Matrix<T, 1, Eigen::Dynamic> const>(w.data() + at, size);
    }

    std::size_t steps = 0;
    batch_of_hidden h1{n, hidden}, h2{n, hidden}, d1{n, hidden}, d2{n, hidden};
    batch_of_actions z{n, actions}, log_p{n, actions}, p{n, actions}, dz{n, actions};
    Eigen::Array<T, Eigen::Dynamic, 1> total{n}, log_pi{n}, old_log_pi{n}, ratio{n}, slope{n}, advantage{n};
    Eigen::ArrayXi chosen{n};
};

/// What the first step finds, for those who compare.
void tell(benchmark::State& state, double loss, double norm) {
    state.counters["loss"] = loss;
    state.counters["gradient_norm"] = norm;
}

template <class T>
void learner_step(benchmark::State& state) {
    auto const all = contexts<T>();
    auto learner = make_learner<T>();
    learner.step(all, [&](auto const& report) {
        tell(state, static_cast<double>(report.objective), static_cast<double>(report.gradient_norm));
    });
    auto other = by_hand<T>();
    other.step(all);
    for (std::size_t t = 1; t < 10; ++t) {
        learner.step(all);
        other.step(all);
    }
    auto const w = learner.policy().parameters();
    auto const tolerance = std::is_same_v<T, float> ? T(1e-3) : T(1e-8);
    if ((Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1> const>(w.data(), other.w.size()) - other.w).abs().maxCoeff() >
        tolerance)
        state.SkipWithError("the learner and the step by hand differ");
    for (auto _ : state) {
        learner.step(all);
        benchmark::ClobberMemory();
    }
}
template <class T>
void step_by_hand(benchmark::State& state) {
    auto const all = contexts<T>();
    auto learner = by_hand<T>();
    learner.step(all);
    tell(state, static_cast<double>(learner.loss), static_cast<double>(learner.norm));
    for (auto _ : state) {
        learner.step(all);
        benchmark::ClobberMemory();
    }
}

BENCHMARK(step_by_hand<float>)->Name("step_by_hand/float")->Unit(benchmark::kMicrosecond);
BENCHMARK(learner_step<float>)->Name("learner_step/float")->Unit(benchmark::kMicrosecond);
BENCHMARK(step_by_hand<double>)->Name("step_by_hand/double")->Unit(benchmark::kMicrosecond);
BENCHMARK(learner_step<double>)->Name("learner_step/double")->Unit(benchmark::kMicrosecond);

} // namespace
