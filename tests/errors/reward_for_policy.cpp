// expect: not a policy: no has_flat_parameters
#include "poise/metric/expected_reward.hpp"
#include "poise/reward/table.hpp"

#include <array>
#include <vector>

int main() {
    auto const reward = poise::reward::table<double>({1.0, 0.0}, 2);
    auto workspace = std::array<double, 2>{};
    poise::metric::expected_reward(reward, reward, 0, workspace);
}
