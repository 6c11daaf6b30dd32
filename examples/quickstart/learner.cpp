#include <poise/poise.hpp>

#include <iostream>

// A policy learns which of ten arms pays best in each of four contexts. The algorithm is the pipeline: replace
// group_relative by leave_one_out, or clipped_surrogate by policy_gradient, and it is another one. A stage that reads
// what no stage writes does not compile.
int main() {
    using namespace poise;
    auto means = std::vector<double>(40);
    for (std::size_t k = 0; k < means.size(); ++k)
        means[k] = random::uniform<double>({.seed = 1, .index = std::uint32_t(k)});

    auto const algorithm = estimator::group_relative{} | objective::clipped_surrogate{.low = 0.2, .high = 0.28} |
                           objective::entropy_bonus{.coefficient = 1e-3};
    auto bandit = solver::learner(policy::tabular_softmax<double>(4, 10), reward::table<double>(means, 10), algorithm,
                                  solver::adam{.learning_rate = 0.1},
                                  {.samples_per_context = 16, .epochs = 2, .random = {.seed = 7}});
    auto const contexts = std::vector<std::size_t>{0, 1, 2, 3};
    for (int step = 0; step < 200; ++step)
        bandit.step(contexts, [](auto const& report) {
            if (report.step % 50 == 0)
                std::cout << "step " << report.step << ": mean reward " << report.reward << ", entropy "
                          << report.entropy << '\n';
        });
}
