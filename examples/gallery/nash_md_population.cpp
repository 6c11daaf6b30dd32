#include "nash_md_games.hpp"

namespace {

using namespace nash_md_gallery;

/// Three kinds of people, y1>y2>y3, y2>y3>y1 and y3>y1>y2, of shares (1/3 - e/4, 1/3 + e/2, 1/3 - e/4).
reward::preference_game<double, 3> population(double e) {
    auto const first = 1. / 3 - e / 4, second = 1. / 3 + e / 2, third = 1. / 3 - e / 4;
    auto const p12 = 1 - second, p23 = 1 - third, p31 = 1 - first;
    return {{.5, p12, 1 - p31, 1 - p12, .5, p23, p31, 1 - p23, .5}, {1. / 3, 1. / 3, 1. / 3}, .01};
}

/// Borda scores, the mean win probabilities: their order is that of rewards fitted by Bradley and Terry.
std::array<double, 3> borda(reward::preference_game<double, 3> const& game) {
    auto scores = std::array<double, 3>{};
    reward::win_probabilities(row(scores), game.preference_row(), game.reference_row());
    return scores;
}

gallery::outcome shares(gallery::settings const&) {
    constexpr auto points = 41;
    auto nash = std::array<gallery::curve, 3>{}, score = nash;
    auto flip = 1.0, jump = 0.0;
    auto previous_lead = 0.0, previous_e = 0.0;
    auto previous = std::array<double, 3>{};
    auto ends = std::array<std::array<double, 3>, 2>{};
    for (auto i = 0; i < points; ++i) {
        auto const e = -.05 + .1 * i / (points - 1);
        auto const game = population(e);
        auto const policy = equilibrium(game);
        auto const scores = borda(game);
        for (std::size_t k = 0; k < 3; ++k) {
            nash[k].x.push_back(e);
            nash[k].y.push_back(policy[k]);
            score[k].x.push_back(e);
            score[k].y.push_back(scores[k]);
            if (i > 0) jump = std::max(jump, std::abs(policy[k] - previous[k]));
        }
        auto const lead = scores[1] - scores[0]; // of y2 over y1, and both over y3 here
        if (i > 0 && previous_lead < 0 && lead >= 0)
            flip = previous_e - previous_lead * (e - previous_e) / (lead - previous_lead);
        if (i == 0) ends[0] = policy;
        if (i == points - 1) ends[1] = policy;
        previous = policy, previous_lead = lead, previous_e = e;
    }
    auto result = gallery::outcome{};
    result.measurements.push_back({.name = "e at which the Borda winner changes from y1 to y2",
                                   .paper = "0",
                                   .values = {flip},
                                   .accepted = {-1e-9, 1e-9}});
    constexpr auto sheet = std::array{std::array{.3129, .3043, .3828}, std::array{.3534, .3627, .2839}};
    for (std::size_t end = 0; end < 2; ++end)
        for (std::size_t k = 0; k < 3; ++k)
            result.measurements.push_back(stated(
                "regularised Nash at e = " + std::string(end == 0 ? "-0.05" : "0.05") + ", y" + std::to_string(k + 1),
                std::to_string(sheet[end][k]).substr(0, 6), sheet[end][k], ends[end][k]));
    result.measurements.push_back(
        below("largest change of a probability per change of e by 0.0025", "moves continuously", .01, jump));
    for (std::size_t k = 0; k < 3; ++k) {
        nash[k].name = "y" + std::to_string(k + 1);
        score[k].name = nash[k].name;
    }
    result.plots = {{.name = "nash",
                     .title = "Regularised Nash equilibrium, tau = 0.01",
                     .x_label = "e",
                     .y_label = "probability",
                     .curves = {nash[0], nash[1], nash[2]}},
                    {.name = "borda",
                     .title = "Borda score",
                     .x_label = "e",
                     .y_label = "mean win probability",
                     .curves = {score[0], score[1], score[2]}}};
    result.reading =
        "A reward model's winner flips at e = 0 between two answers that a third of the people prefer each; the Nash "
        "policy moves smoothly.";
    return result;
}

gallery::registration const registered{
    method,
    gallery::experiment{
        .name = "nash-md-population",
        .title = "A population of three kinds",
        .claim = "The winner under a reward model flips with an arbitrarily small change of the population; the "
                 "Nash equilibrium moves continuously.",
        .run = shares}};

} // namespace
