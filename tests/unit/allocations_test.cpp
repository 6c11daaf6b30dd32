#include "everywhere.hpp"

#include "poise/policy/mlp.hpp"
#include "poise/policy/neural_softmax.hpp"
#include "poise/policy/simplex.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/policy/tanh_gaussian.hpp"
#include "poise/policy/token_policy.hpp"
#include "poise/policy/with_temperature.hpp"
#include "poise/solver/optimizer.hpp"
#include "poise/solver/simplex_step.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::size_t> allocations = 0;
}

// Counted, to see that kernels and steps allocate nothing.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (auto* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    ++allocations;
    return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace poise;
using everywhere::stored;

template <class Work>
std::size_t allocations_of(Work const& work) {
    auto const before = allocations.load();
    work();
    return allocations.load() - before;
}

TEST_CASE("allocations are counted") {
    CHECK(allocations_of([] { auto const v = std::vector<double>(100); }) <= 1); // a compiler may leave it out
    auto kept = std::vector<double>();
    CHECK(allocations_of([&] { kept.resize(100); }) == 1);
}

/// What a run allocates may depend on the execution and the layouts, but not on the number of rows.
template <class Execution, class Layout>
std::size_t allocations_of_run(std::size_t rows) {
    auto const x = stored<double, Layout>(everywhere::random_table(rows, 9, 1));
    auto out = stored<double, Layout>(rows, 9);
    return allocations_of(
        [&] { for_each_row(Execution{}, solver::projected_gradient{}, x.input(), x.input(), out.output()); });
}

TEST_CASE_TEMPLATE("a run allocates nothing per row", Execution, execution::sequential, execution::in_lanes,
                   execution::along) {
    auto const check = []<class Layout>(Layout) {
        auto const few = allocations_of_run<Execution, Layout>(16);
        CHECK(few <= 4);
        CHECK(allocations_of_run<Execution, Layout>(5000) == few);
    };
    check(row_contiguous{});
    check(interleaved{});
    check(strided{});
}

TEST_CASE_TEMPLATE("a step of an optimiser allocates nothing", Rule, solver::sgd<>, solver::momentum<>, solver::adam<>,
                   solver::amsgrad<>) {
    auto parameters = std::vector<double>(1001, 1.0);
    auto const gradient = std::vector<double>(1001, 0.5);
    auto optimizer = solver::optimizer(Rule{}, parameters);
    CHECK(allocations_of([&] {
              for (int i = 0; i < 10; ++i) optimizer.step(parameters, gradient);
          }) == 0);
}

TEST_CASE("a network's forward pass and pullback allocate nothing") {
    using namespace policy;
    using network = mlp<double, dense<100, 200, activation::tanh>, dense<200, 200, activation::relu>, dense<200, 12>>;
    auto const net = network(initialization::he{}, {.seed = 1});
    auto const x = everywhere::random_table(300, 100, 2), cotangent = everywhere::random_table(300, 12, 3);
    auto tape = network::tape(300);
    auto gradient = std::vector<double>(network::parameter_count);
    auto const pass = [&] {
        for (auto const samples : everywhere::sizes(1, 17, 300)) {
            net.forward(rows_of(x.values.data(), samples, 100), tape);
            net.pullback(tape, rows_of(cotangent.values.data(), samples, 12), gradient);
        }
    };
    pass();
    CHECK(allocations_of(pass) == 0);
}

TEST_CASE("tabular policies allocate nothing") {
    auto const softmax = policy::tabular_softmax<double>(5, 10);
    auto const simplex = policy::simplex<double>(5, 10);
    auto out = std::vector<double>(10, 0.1), gradient = std::vector<double>(50);
    CHECK(allocations_of([&] {
              for (std::size_t context = 0; context < 5; ++context) {
                  softmax.log_probabilities(context, row(out));
                  softmax.pullback(context, row(out), gradient);
                  simplex.pullback(context, row(out), gradient);
                  out[0] += softmax.entropy(context) + static_cast<double>(softmax.sample(context, {.seed = 1})) +
                            static_cast<double>(simplex.sample(context, {.seed = 1}));
              }
          }) == 0);
}

template <class Policy, class Context>
void check_batches_allocate_nothing(Policy const& policy, Context const& context) {
    constexpr std::size_t samples = 30;
    auto const contexts = std::vector<Context>(samples, context);
    auto actions = std::vector<typename Policy::action_type>(samples);
    auto tape = typename Policy::tape(samples);
    auto log_p = std::vector<double>(samples), entropies = log_p, gradient = std::vector<double>();
    gradient.resize(policy.parameters().size());
    auto const pass = [&] {
        policy.sample(contexts, {.seed = 1}, tape, actions);
        policy.evaluate(contexts, actions, tape, log_p, entropies);
        policy.pullback(tape, log_p, entropies, gradient);
    };
    pass(); // a token policy makes room for its entropies
    CHECK(allocations_of(pass) == 0);
    CHECK(allocations_of([&] { policy.pullback(context, policy.sample(context, {.seed = 2}), 1.0, gradient); }) == 0);
}

TEST_CASE("batches of policies, and single samples, allocate nothing") {
    using policy::dense, policy::activation::tanh;
    auto const draw = policy::initialization::glorot{};
    auto const where = random::address{.seed = 3};
    check_batches_allocate_nothing(policy::neural_softmax<double, dense<4, 70, tanh>, dense<70, 3>>(draw, where),
                                   std::array<double, 4>{1, 2, 3, 4});
    check_batches_allocate_nothing(policy::tanh_gaussian<double, dense<4, 70, tanh>, dense<70, 3>>(draw, where),
                                   std::array<double, 4>{1, 2, 3, 4});
    auto const tabular = policy::tabular_softmax<double>(5, 10);
    check_batches_allocate_nothing(tabular, std::size_t{2});
    check_batches_allocate_nothing(policy::with_temperature(tabular, 0.5), std::size_t{2});
    check_batches_allocate_nothing(policy::token_policy<double, 4>(5, 3, 1), std::size_t{2});
}

} // namespace
