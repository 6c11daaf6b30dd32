#pragma once

#include "experiment.hpp"

#include "runner/statistics.hpp"

#include <atomic>
#include <cmath>
#include <future>
#include <type_traits>

/// What the experiments on learning policies share: a run per seed on several threads, and curves over seeds.
namespace learning_gallery {

inline gallery::method const method{.slug = "learning",
                                    .title = "Policies that learn",
                                    .paper = "REINFORCE: Williams, 1992; leave-one-out: Kool et al., 2019; "
                                             "group-relative: Shao et al., 2024; PPO: Schulman et al., 2017"};

/// run(0), run(1), ... in the order of the seeds, computed on as many threads as the settings allow.
template <class Run>
auto over_seeds(gallery::settings const& settings, Run const& run) {
    auto results = std::vector<std::invoke_result_t<Run const&, std::size_t>>(settings.seeds);
    auto next = std::atomic<std::size_t>{0};
    auto workers = std::vector<std::future<void>>{};
    for (std::size_t k = 0; k < settings.threads; ++k)
        workers.push_back(std::async(std::launch::async, [&] {
            for (auto seed = next++; seed < settings.seeds; seed = next++) results[seed] = run(seed);
        }));
    for (auto& worker : workers) worker.get();
    return results;
}

/// The mean over runs with its 95% confidence band, where `runs[seed][k]` was measured at `x[k]`.
inline gallery::curve mean_curve(std::string name, std::vector<double> x,
                                 std::vector<std::vector<double>> const& runs) {
    auto curve = gallery::curve{.name = std::move(name), .x = std::move(x)};
    for (std::size_t k = 0; k < curve.x.size(); ++k) {
        auto at = gallery::measurement{};
        for (auto const& run : runs) at.values.push_back(run[k]);
        auto const of = gallery::summarize(at);
        auto const half_width = runs.size() > 1 ? of.half_width : 0.0;
        curve.y.push_back(of.mean);
        curve.low.push_back(of.mean - half_width);
        curve.high.push_back(of.mean + half_width);
    }
    return curve;
}

} // namespace learning_gallery
