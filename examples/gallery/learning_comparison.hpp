#pragma once

#include "learning_runs.hpp"

#include "poise/estimator/baselines.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/estimator/leave_one_out.hpp"
#include "poise/metric/policy_change.hpp"
#include "poise/objective/surrogate.hpp"
#include "poise/penalty/kl.hpp"
#include "poise/policy/frozen.hpp"

#include <array>

/// What the two comparisons of group-relative algorithms share.
namespace learning_gallery {

inline constexpr auto quantities = std::size_t{4};
inline constexpr std::array<char const*, quantities> quantity_names{"reward", "entropy", "kl", "clip-fraction"};
inline constexpr std::array<char const*, quantities> quantity_labels{
    "mean reward", "entropy (nats)", "KL(pi || start), estimated from samples", "ratios outside [0.8, 1.2]"};

/// The same measure for algorithms that clip and those that do not.
inline constexpr auto outside = poise::metric::clip_fraction{.low = 0.2, .high = 0.2};

/// The curves of every algorithm, and its reward at the end, whose mean must be in the band.
class comparison {
public:
    comparison(std::string title, std::string x_label, std::size_t steps, gallery::band accepted, std::string paper)
        : steps_(steps), accepted_(accepted), paper_(std::move(paper)) {
        for (std::size_t q = 0; q < quantities; ++q)
            plots_.push_back(
                {.name = quantity_names[q], .title = title, .x_label = x_label, .y_label = quantity_labels[q]});
        for (std::size_t k = 0; k < steps; ++k) x_.push_back(double(k));
    }
    /// curves[q][seed][step]
    void add(std::string const& name, std::array<std::vector<std::vector<double>>, quantities> const& curves) {
        auto last = gallery::measurement{
            .name = name + ": mean reward of the last step", .paper = paper_, .accepted = accepted_};
        for (auto const& run : curves[0]) last.values.push_back(run.back());
        measurements_.push_back(last);
        for (std::size_t q = 0; q < quantities; ++q) plots_[q].curves.push_back(mean_curve(name, x_, curves[q]));
    }
    gallery::outcome outcome(std::string reading) const { return {measurements_, plots_, std::move(reading)}; }
    std::size_t steps() const { return steps_; }

private:
    std::size_t steps_;
    gallery::band accepted_;
    std::string paper_;
    std::vector<double> x_;
    std::vector<gallery::measurement> measurements_;
    std::vector<gallery::plot> plots_;
};

} // namespace learning_gallery
