#include "poise/environment/bandit.hpp"
#include "poise/estimator/group_relative.hpp"
#include "poise/execution/parallel.hpp"
#include "poise/execution/replicate.hpp"
#include "poise/objective/clipped_surrogate.hpp"
#include "poise/policy/tabular_softmax.hpp"
#include "poise/random/random.hpp"
#include "poise/reward/one_step.hpp"
#include "poise/solver/learner.hpp"
#include "poise/solver/nash_md.hpp"

#include "everywhere.hpp"

#include <doctest/doctest.h>

namespace {

using namespace poise;

/// A copy alone, on scalars.
template <class T, class Experiment, class Grid>
std::vector<T> alone(Experiment const& experiment, Grid const& grid, std::size_t point, std::size_t replica) {
    auto hyperparameters = std::vector<T>(grid.points.length(0)), results = std::vector<T>(experiment.results);
    for (std::size_t k = 0; k < hyperparameters.size(); ++k) hyperparameters[k] = grid.points(point, k);
    experiment(row<T const>(hyperparameters), grid.generator(point, replica), row<T>(results));
    return results;
}

/// The first `exact` results of every copy are those of the copy alone, the others within the tolerance.
template <class T, class Experiment, class Grid>
void check_everywhere(Experiment const& experiment, Grid const& grid, std::size_t exact, double tolerance) {
    auto const check = [&](auto execution) {
        auto const found = replicate(experiment, grid, execution);
        auto wrong = 0;
        for (std::size_t p = 0; p < grid.points.rows(); ++p)
            for (std::size_t r = 0; r < grid.replicas; ++r) {
                auto const expected = alone<T>(experiment, grid, p, r);
                for (std::size_t k = 0; k < experiment.results; ++k)
                    wrong += !everywhere::close(static_cast<double>(found(p, r, k)), static_cast<double>(expected[k]),
                                                k < exact ? 0 : tolerance);
            }
        CHECK(wrong == 0);
    };
    check(execution::sequential{});
    check(execution::in_lanes{});
    check(execution::simd{});
    check(execution::parallel<execution::sequential>{});
    check(execution::parallel<execution::in_lanes>{});
}

/// Draws of every kind, and the hyper-parameters.
struct drawing {
    std::size_t results;
    constexpr void operator()(row_of_reals auto hyperparameters, random::generator replica,
                              writable_row auto found) const {
        using T = value_of<decltype(found)>;
        auto const scale = T(hyperparameters[0]), shift = T(hyperparameters[1]);
        found[0] = random::uniform<T>(replica.at(3));
        found[1] = random::normal<T>(replica.at(0, 7));
        for (std::size_t k = 2; k < results; ++k) found[k] = random::uniform<T>(replica.at(k)) * scale + shift;
    }
};

/// Nash-MD on a game drawn for the replica, with the regularisation and step size of the point.
struct nash_md_experiment {
    static constexpr std::size_t results = 4;
    static constexpr std::size_t actions = 3;

    constexpr void operator()(row_of_reals auto hyperparameters, random::generator replica,
                              writable_row auto found) const {
        using T = value_of<decltype(found)>;
        auto game = reward::preference_game<T, actions>{};
        for (std::size_t i = 0; i < actions; ++i) {
            for (std::size_t j = 0; j < i; ++j) {
                auto const p = random::uniform<T>(replica.at(i, j));
                game.preferences[i * actions + j] = p;
                game.preferences[j * actions + i] = T(1) - p;
            }
            game.preferences[i * actions + i] = T(real_of<T>(0.5));
            game.reference[i] = T(1) / T(real_of<T>(actions));
        }
        game.regularization = T(hyperparameters[0]);
        auto solver = solver::nash_md(game, solver::constant_step<T>{T(hyperparameters[1])});
        solver.run(50);
        auto const policy = solver.policy();
        for (std::size_t a = 0; a < actions; ++a) found[a] = policy[a];
        found[actions] = solver.gap();
    }
};

/// A bandit of 5 arms, learnt with the learning rate of the point: the sum of all actions taken, each weighted by its
/// step, the rewards paid, and the probability of the best arm.
struct bandit_experiment {
    static constexpr std::size_t results = 3;

    void operator()(row_of_reals auto hyperparameters, random::generator replica, writable_row auto found) const {
        using T = value_of<decltype(found)>;
        using real = real_of<T>;
        auto const means = std::vector<T>{T(real(0.1)), T(real(0.3)), T(real(0.2)), T(real(0.9)), T(real(0.4))};
        auto learner = solver::learner(policy::tabular_softmax<T>(1, means.size()),
                                       reward::one_step{environment::bandit<T>(means)},
                                       estimator::group_relative{} | objective::clipped_surrogate{},
                                       solver::sgd<T>{.learning_rate = T(hyperparameters[0])},
                                       {.samples_per_context = 4, .epochs = 2, .random = replica});
        auto const contexts = std::vector<std::size_t>{0};
        auto drawn = T(0), paid = T(0);
        for (std::size_t t = 0; t < 20; ++t) {
            learner.step(contexts);
            for (auto const& action : learner.actions()) drawn += T(real(t + 1)) * static_cast<T>(action);
            for (auto const& reward : learner.rewards()) paid += reward;
        }
        found[0] = drawn;
        found[1] = paid;
        found[2] = math::exp(learner.policy().log_probability(0, std::size_t{3}));
    }
};

/// The hyper-parameter, and a normal draw times it.
struct scaled_normal {
    static constexpr std::size_t results = 2;
    constexpr void operator()(row_of_reals auto point, random::generator replica, writable_row auto found) const {
        using T = value_of<decltype(found)>;
        found[0] = T(point[0]);
        found[1] = T(point[0]) * random::normal<T>(replica.at(0));
    }
};

} // namespace

TEST_CASE_TEMPLATE("copies draw what a run alone draws, whatever the lanes and the points", T, double, float) {
    auto const points = everywhere::random_table(3, 2, 5);
    auto const memory = everywhere::stored<T, row_contiguous>(points);
    for (auto const replicas : everywhere::sizes(1, 4, 5, 8, 67))
        for (auto const results : everywhere::sizes(3, 40)) {
            CAPTURE(replicas);
            auto const grid = grid_of(memory.input(), replicas, {.seed = 11, .replica = 1000});
            check_everywhere<T>(drawing{results}, grid, 2, everywhere::tolerance<T>);
        }
}

TEST_CASE_TEMPLATE("Nash-MD, a game and its hyper-parameters in each lane", T, double, float) {
    auto const points = std::vector<T>{T(0.1), T(0.5), T(0.3), T(0.2)};
    check_everywhere<T>(nash_md_experiment{}, grid_of(rows_of(points.data(), 2, 2), 7, {.seed = 2}), 0,
                        std::is_same_v<T, float> ? 1e-4 : 1e-12);
}

TEST_CASE_TEMPLATE("a learner of a bandit in each lane takes the actions and rewards of a run alone", T, double,
                   float) {
    auto const rates = std::vector<T>{T(0.2), T(2)};
    auto const grid = grid_of(rates, 33, {.seed = 7});
    check_everywhere<T>(bandit_experiment{}, grid, 2, std::is_same_v<T, float> ? 1e-3 : 1e-10);
    auto const found = replicate(bandit_experiment{}, grid, execution::in_lanes{});
    CHECK(found.mean(1, 2) > found.mean(0, 2)); // the larger rate learns faster
    CHECK(found.mean(1, 2) > T(0.9));
}

TEST_CASE("means, standard errors and bands are those of the copies of a point") {
    auto const points = std::vector<double>{1, 2};
    auto const n = std::size_t{20'000};
    auto const found = replicate(scaled_normal{}, grid_of(points, n), execution::in_lanes{});
    CHECK(found.points() == 2);
    CHECK(found.replicas() == n);
    CHECK(found.mean(1, 0) == 2);
    CHECK(found.standard_error(1, 0) == 0);
    for (std::size_t p = 0; p < 2; ++p) {
        CHECK(found.of(p, 1).size() == n);
        CHECK(found.of(p, 1)[17] == found(p, 17, 1));
        auto const error = points[p] / std::sqrt(static_cast<double>(n));
        CHECK(found.standard_error(p, 1) == doctest::Approx(error).epsilon(0.03));
        CHECK(std::abs(found.mean(p, 1)) < 4 * error);
        auto const [lower, upper] = found.confidence_band(p, 1, 2);
        CHECK(upper - lower == doctest::Approx(4 * found.standard_error(p, 1)));
        CHECK((lower + upper) / 2 == doctest::Approx(found.mean(p, 1)));
    }
    CHECK(std::isnan(replicate(scaled_normal{}, grid_of(points, 1), execution::in_lanes{}).standard_error(0, 0)));
    CHECK(replicate(scaled_normal{}, grid_of(points, 0), execution::in_lanes{}).replicas() == 0);
}

TEST_CASE("what the number of a copy cannot hold is refused") {
    auto const points = std::vector<float>{1};
    CHECK_THROWS_WITH_AS(
        replicate(drawing{3}, grid_of(points, 1, {.replica = 4'294'967'295U}), execution::sequential{}),
        "replicate: argument 'grid': expected replica numbers below 4294967296, got 4294967296", argument_error);
    CHECK_THROWS_WITH_AS(replicate(drawing{3}, grid_of(points, (std::size_t{1} << 24) + 1), execution::sequential{}),
                         "replicate: argument 'grid': expected at most 16777216 copies, got 16777217", argument_error);
}
