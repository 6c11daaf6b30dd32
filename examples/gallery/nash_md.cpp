#include "nash_md_games.hpp"

#include "poise/random/random.hpp"
#include "poise/solver/sampled_opponent.hpp"

namespace {

using namespace nash_md_gallery;

constexpr auto checkpoints = std::array{100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0};
constexpr auto last_step = std::size_t{3200};

/// Game of one seed: the upper triangle of P is uniform on (0, 1), mu ~ Dirichlet(1, …, 1), tau = 0.1.
reward::preference_game<double, 6> random_game(std::size_t seed) {
    auto game = reward::preference_game<double, 6>{.regularization = 0.1};
    auto const draws = random::generator{.seed = seed};
    for (std::size_t i = 0; i < 6; ++i)
        for (std::size_t j = 0; j <= i; ++j) {
            auto const p = i == j ? 0.5 : random::uniform<double>(draws.at(i, j));
            game.preferences[i * 6 + j] = 1 - p;
            game.preferences[j * 6 + i] = p;
        }
    random::dirichlet(draws.at(6), std::array{1., 1., 1., 1., 1., 1.}, row(game.reference));
    return game;
}

/// A: exact payoffs, one seed's game per lane.
gallery::outcome rate(gallery::settings const& settings) {
    using pack = lanes<double>;
    auto slope = gallery::measurement{.name = "slope of log KL(pi*, pi_T) over log T, T = 100 ... 3200",
                                      .paper = "-1.97, -2.02, -2.00, -1.99, -1.98 (theorem: at most -1)",
                                      .accepted = {-2.2, -1.8},
                                      .every_seed = true};
    auto gap_slope = slope;
    gap_slope.name = "slope of log gap over log T";
    gap_slope.paper = "the same";
    auto bound = gallery::measurement{.name = "largest KL tau^2 (T+1) / 8 over T = 1 ... 3200",
                                      .paper = "at most 1 (theorem 1); at most 0.0019 on 60 games",
                                      .accepted = {0, 0.01},
                                      .every_seed = true};
    auto curves = std::vector<gallery::curve>{};
    for (std::size_t first = 0; first < settings.seeds; first += pack::size) {
        auto games = std::array<reward::preference_game<double, 6>, pack::size>{};
        for (std::size_t i = 0; i < pack::size; ++i) games[i] = random_game(first + i);
        auto const gather = [&](auto const& element) {
            auto values = std::array<double, pack::size>{};
            for (std::size_t i = 0; i < pack::size; ++i) values[i] = element(i);
            return pack::load(values.data());
        };
        auto packed = reward::preference_game<pack, 6>{.regularization = pack(0.1)};
        auto optimum = packed.reference;
        for (std::size_t k = 0; k < 36; ++k)
            packed.preferences[k] = gather([&](auto i) { return games[i].preferences[k]; });
        for (std::size_t k = 0; k < 6; ++k) {
            packed.reference[k] = gather([&](auto i) { return games[i].reference[k]; });
            optimum[k] = gather([&](auto i) { return equilibrium(games[i])[k]; });
        }

        auto solver = solver::nash_md(packed, solver::decreasing_step{});
        auto kl = std::array<std::vector<double>, pack::size>{}, gap = kl;
        auto worst = pack(0.0);
        for (auto const checkpoint : checkpoints) {
            auto distance = pack(0.0);
            while (solver.steps() < static_cast<std::size_t>(checkpoint)) {
                solver.step();
                distance = divergence(optimum, solver.policy());
                worst = math::max(worst, distance * pack(0.01 * double(solver.steps() + 1) / 8));
            }
            for (std::size_t i = 0; i < pack::size; ++i) {
                kl[i].push_back(distance[i]);
                gap[i].push_back(solver.gap()[i]);
            }
        }
        for (std::size_t i = 0; i < pack::size && first + i < settings.seeds; ++i) {
            slope.values.push_back(log_slope(checkpoints, kl[i]));
            gap_slope.values.push_back(log_slope(checkpoints, gap[i]));
            bound.values.push_back(worst[i]);
            curves.push_back({.name = "game " + std::to_string(first + i),
                              .x = {checkpoints.begin(), checkpoints.end()},
                              .y = kl[i],
                              .style = gallery::curve::styles::lines_and_points});
        }
    }
    auto theorem = gallery::curve{.name = "8 / (tau^2 (T+1))", .x = {checkpoints.begin(), checkpoints.end()}};
    for (auto const T : checkpoints) theorem.y.push_back(800 / (T + 1));
    curves.resize(std::min(curves.size(), std::size_t{6}));
    curves.push_back(theorem);
    return {.measurements = {slope, gap_slope, bound},
            .plots = {{.name = "rate",
                       .title = "Nash-MD on random games of 6 actions, decreasing steps",
                       .x_label = "T",
                       .y_label = "KL(pi*, pi_T)",
                       .log_x = true,
                       .log_y = true,
                       .curves = curves}},
            .reading =
                "The last iterate converges without storing policies, and with exact payoffs as 1/T^2: faster than the "
                "theorem's 1/T, which its bound does not come near."};
}

/// A2: one sampled action of the opponent per step; a replicate per lane.
gallery::outcome sampled(gallery::settings const& settings) {
    using pack = lanes<double>;
    constexpr auto replicates = std::size_t{400};
    auto const optimum = equilibrium(cyclic_game<double>(0.2));
    auto const packed_optimum = std::array<pack, 3>{pack(optimum[0]), pack(optimum[1]), pack(optimum[2])};

    auto slope = gallery::measurement{.name = "slope of log mean KL(pi*, pi_T) over log T, T = 100 ... 3200",
                                      .paper = "-0.984 (other seeds -0.954 to -0.998)",
                                      .accepted = {-1.15, -0.85},
                                      .every_seed = true};
    auto first_mean = gallery::measurement{.name = "mean KL at T = 100", .paper = "0.00979"};
    auto last_mean = gallery::measurement{.name = "mean KL at T = 3200", .paper = "0.000334"};
    auto curves = std::vector<gallery::curve>{};
    for (std::size_t seed = 0; seed < settings.seeds; ++seed) {
        auto kl = std::vector<double>(checkpoints.size(), 0.0);
        for (std::size_t replica = 0; replica < replicates; replica += pack::size) {
            using opponent = solver::opponent::sampled<solver::opponent::geometric_mixture>;
            auto solver = solver::mirror_descent_solver(
                cyclic_game<pack>(0.2), solver::decreasing_step{},
                opponent{.draws = {.seed = seed, .replica = static_cast<std::uint32_t>(replica)}});
            for (std::size_t c = 0; c < checkpoints.size(); ++c) {
                solver.run(static_cast<std::size_t>(checkpoints[c]) - solver.steps());
                auto const distance = divergence(packed_optimum, solver.policy()).to_array();
                for (std::size_t i = 0; i < pack::size && replica + i < replicates; ++i)
                    kl[c] += distance[i] / replicates;
            }
        }
        slope.values.push_back(log_slope(checkpoints, kl));
        first_mean.values.push_back(kl.front());
        last_mean.values.push_back(kl.back());
        curves.push_back({.name = "seed " + std::to_string(seed),
                          .x = {checkpoints.begin(), checkpoints.end()},
                          .y = kl,
                          .style = gallery::curve::styles::lines_and_points});
    }
    return {.measurements = {slope, first_mean, last_mean},
            .plots = {{.name = "sampled",
                       .title = "Nash-MD on one sampled action per step, mean of 400 replicates",
                       .x_label = "T",
                       .y_label = "mean KL(pi*, pi_T)",
                       .log_x = true,
                       .log_y = true,
                       .curves = curves}},
            .reading = "With sampled payoffs the rate is the theorem's 1/T."};
}

/// D: a constant step's fixed point is BR_tau(mix(pi, mu, eta tau)), not pi*. One step size per lane.
gallery::outcome bias(gallery::settings const&) {
    using pack = lanes<double>;
    constexpr auto steps = std::array{0.4, 0.2, 0.1, 0.05};
    constexpr auto sheet = std::array{1.3728e-4, 3.3617e-5, 8.3185e-6, 2.0690e-6};
    auto const optimum = equilibrium(cyclic_game<double>(0.05));
    auto const packed_optimum = std::array<pack, 3>{pack(optimum[0]), pack(optimum[1]), pack(optimum[2])};
    auto result = gallery::outcome{};
    auto curve = gallery::curve{.name = "KL(pi*, limit)", .style = gallery::curve::styles::lines_and_points};
    auto law = gallery::curve{.name = "8.3e-4 eta^2"};
    for (std::size_t first = 0; first < steps.size(); first += pack::size) {
        auto sizes = std::array<double, pack::size>{};
        for (std::size_t i = 0; i < pack::size; ++i) sizes[i] = steps[std::min(first + i, steps.size() - 1)];
        auto solver = solver::nash_md(cyclic_game<pack>(0.05), solver::constant_step{pack::load(sizes.data())});
        solver.run(last_step * 5); // the smallest step contracts by 1 - eta tau = 0.9975 each time
        auto const distance = divergence(packed_optimum, solver.policy());
        for (std::size_t i = 0; i < pack::size && first + i < steps.size(); ++i) {
            auto const eta = steps[first + i];
            result.measurements.push_back(stated("KL(pi*, limit) at eta = " + std::to_string(eta).substr(0, 4),
                                                 std::to_string(sheet[first + i] * 1e6).substr(0, 7) + "e-6",
                                                 sheet[first + i], distance[i]));
            curve.x.push_back(eta);
            curve.y.push_back(distance[i]);
            law.x.push_back(eta);
            law.y.push_back(8.3e-4 * eta * eta);
        }
    }
    result.measurements.push_back({.name = "slope of log KL over log eta",
                                   .paper = "2 (bias c eta^2)",
                                   .values = {log_slope(curve.x, curve.y)},
                                   .accepted = {1.95, 2.05}});
    result.plots = {{.name = "bias",
                     .title = "Bias of Nash-MD with a constant step, cyclic game, tau = 0.05",
                     .x_label = "eta",
                     .y_label = "KL(pi*, limit)",
                     .log_x = true,
                     .log_y = true,
                     .curves = {curve, law}}};
    result.reading = "The bias of the limit falls with the square of the step size; regularised self-play has none.";
    return result;
}

gallery::registration const registered{
    method,
    gallery::experiment{
        .name = "nash-md-rate",
        .title = "Rate of the last iterate",
        .claim = "Theorem 1: with steps 2 / (tau (t+2)) the last iterate obeys KL(pi*, pi_T) <= 8 / (tau^2 (T+1)).",
        .default_seeds = 12,
        .run = rate},
    gallery::experiment{.name = "nash-md-sampled",
                        .title = "Rate with sampled payoffs",
                        .claim = "The last iterate converges as 1/T.",
                        .default_seeds = 5,
                        .run = sampled},
    gallery::experiment{.name = "nash-md-bias",
                        .title = "Bias of a constant step",
                        .claim = "With a constant step Nash-MD stops at a distance c eta^2 from pi*.",
                        .run = bias}};

} // namespace
