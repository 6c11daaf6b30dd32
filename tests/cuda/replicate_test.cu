#include "poise/execution/device.cuh"
#include "poise/execution/replicate.hpp"
#include "poise/execution/sequential.hpp"
#include "poise/random/random.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

// An experiment without allocations, one thread per copy, against the sequential execution on the host.
namespace {

/// REINFORCE on a bandit of 4 arms with the point's learning rate: the policy after 100 steps, and the rewards.
struct bandit_experiment {
    static constexpr std::size_t arms = 4;
    static constexpr std::size_t results = arms + 1;

    constexpr void operator()(poise::row_of_reals auto rate, poise::random::generator replica,
                              poise::writable_row auto found) const {
        using T = poise::value_of<decltype(found)>;
        auto logits = std::array<T, arms>{}, policy = logits;
        auto paid = T(0);
        for (std::size_t t = 0; t < 100; ++t) {
            poise::softmax(poise::row<T, arms>(policy.data()), poise::row<T const, arms>(logits.data()));
            auto const action =
                T(poise::random::categorical_from_logits(replica.at(t), poise::row<T const, arms>(logits.data())));
            auto const mean = (action + T(1)) * T(0.2);
            auto const reward = poise::math::select(poise::random::uniform<T>(replica.at(t, 1)) < mean, T(1), T(0));
            paid += reward;
            for (std::size_t a = 0; a < arms; ++a)
                logits[a] += T(rate[0]) * reward * (poise::math::select(action == T(a), T(1), T(0)) - policy[a]);
        }
        for (std::size_t a = 0; a < arms; ++a) found[a] = policy[a];
        found[arms] = paid;
    }
};

} // namespace

int main() {
    auto devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::printf("skipped: no CUDA device\n");
        return 0;
    }
    auto const rates = std::vector<double>{0.05, 0.5};
    auto const grid = poise::grid_of(rates, 1001, {.seed = 4});
    auto const expected = poise::replicate(bandit_experiment{}, grid, poise::execution::sequential{});
    auto const found = poise::replicate(bandit_experiment{}, grid, poise::execution::device{});
    auto worst = 0.0;
    for (std::size_t p = 0; p < rates.size(); ++p)
        for (std::size_t r = 0; r < grid.replicas; ++r)
            for (std::size_t k = 0; k < bandit_experiment::results; ++k)
                worst = std::fmax(worst, std::fabs(found(p, r, k) - expected(p, r, k)));
    std::printf("replicas of a bandit: worst difference %.3g %s\n", worst, worst < 1e-10 ? "ok" : "FAILED");
    return worst < 1e-10 ? 0 : 1;
}
