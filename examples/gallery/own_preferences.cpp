#include "own_data.hpp"

#include "poise/execution/sequential.hpp"
#include "poise/metric/duality_gap.hpp"
#include "poise/solver/nash_md.hpp"
#include "poise/solver/regularized_nash.hpp"

#include <fmt/format.h>

#include <bit>
#include <numeric>
#include <ostream>
#include <tuple>

/// `--preflib FILE`: the Nash equilibrium of the pairwise preferences of a PrefLib file, and how intransitive they are.
namespace gallery {

namespace {

using namespace poise;
using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr auto weak_regularization = 0.01;
constexpr auto newton_limit = std::size_t{500}; // a Newton step costs n^3

/// max_i P(i > policy) - 1/2: what an opponent who knows the policy gains.
double exploitability(matrix const& preferences, Eigen::VectorXd const& policy) {
    return (preferences * policy).maxCoeff() - 0.5;
}

/// The equilibrium at tau = 0.01 and, by letting tau fall to 0, the equilibrium without regularisation that is nearest
/// to uniform. With more than `newton_limit` alternatives the first comes from 2000 steps of Nash-MD and there is no
/// second.
struct equilibria {
    Eigen::VectorXd regularized{};
    Eigen::VectorXd limit{};
    double limit_regularization = weak_regularization;
};

equilibria solve(pairwise_preference const& pairs, matrix const& preferences) {
    auto const n = static_cast<Eigen::Index>(pairs.size);
    Eigen::VectorXd const uniform = Eigen::VectorXd::Constant(n, 1.0 / static_cast<double>(n));
    auto result = equilibria{};
    if (pairs.size > newton_limit) {
        auto solver = solver::nash_md(
            reward::preference_game<double>{pairs.probability, {uniform.begin(), uniform.end()}, weak_regularization},
            solver::decreasing_step{});
        solver.run(2000);
        auto const policy = solver.policy();
        result.regularized = Eigen::Map<Eigen::VectorXd const>(policy.data(), n);
        return result;
    }
    result.regularized = solver::regularized_nash(preferences, uniform, weak_regularization);
    result.limit = result.regularized;
    auto best = exploitability(preferences, result.limit);
    for (auto tau = weak_regularization / 4; tau > 1e-7 && best > 1e-12; tau /= 4) {
        auto const policy = solver::regularized_nash(preferences, uniform, tau);
        auto const exploited = exploitability(preferences, policy);
        if (!(exploited < best)) break; // rounding: smaller is no better any more
        result.limit = policy;
        result.limit_regularization = tau;
        best = exploited;
    }
    return result;
}

/// How many triples of alternatives beat each other in a circle, by strict majorities.
std::uint64_t cyclic_triples(pairwise_preference const& pairs) {
    auto const n = pairs.size, words = (n + 63) / 64;
    auto beats = std::vector<std::uint64_t>(n * words), beaten_by = beats;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
            if (pairs(i, j) > 0.5) {
                beats[i * words + j / 64] |= std::uint64_t{1} << j % 64;
                beaten_by[j * words + i / 64] |= std::uint64_t{1} << i % 64;
            }
    auto total = std::uint64_t{0};
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
            if (pairs(i, j) > 0.5) // i > j > k > i
                for (std::size_t w = 0; w < words; ++w)
                    total += static_cast<std::uint64_t>(std::popcount(beats[j * words + w] & beaten_by[i * words + w]));
    return total / 3; // each circle was met at each of its three edges
}

/// The margins M = P - P^T split into the differences of scores s_i = mean_j M_ij and a rest that is orthogonal to all
/// such differences, because its rows sum to 0: the Hodge decomposition of Jiang, Lim, Yao and Ye, "Statistical ranking
/// and combinatorial Hodge theory" (2011), with equal weights. The rest's share of |M|^2 is 0 for margins that scores
/// explain, 1 for those that go in circles only, and 0 without any preference.
double cyclic_share(matrix const& preferences) {
    matrix const margins = preferences - preferences.transpose();
    Eigen::VectorXd const scores = margins.rowwise().mean();
    auto total = margins.squaredNorm(), rest = 0.0;
    for (Eigen::Index i = 0; i < margins.rows(); ++i)
        rest += (margins.row(i).transpose().array() - (scores(i) - scores.array())).square().sum();
    return total > 0 ? rest / total : 0.0;
}

} // namespace

int solve_preference_file(preflib_profile const& profile, std::ostream& out) {
    auto const pairs = win_probabilities(profile);
    auto const n = static_cast<Eigen::Index>(pairs.size);
    auto const preferences = matrix(Eigen::Map<matrix const>(pairs.probability.data(), n, n));
    auto const found = solve(pairs, preferences);
    Eigen::VectorXd const borda = (preferences.rowwise().sum().array() - 0.5) / std::max<double>(1, double(n - 1));
    auto const name = [&](Eigen::Index i) { return profile.names[static_cast<std::size_t>(i)]; };

    out << fmt::format("{}: {} alternatives, {} voters\n\n",
                       profile.title.empty() ? profile.file.filename().string() : profile.title, n, profile.voters());
    auto order = std::vector<Eigen::Index>(pairs.size);
    std::iota(order.begin(), order.end(), Eigen::Index{0});
    std::sort(order.begin(), order.end(), [&](auto i, auto j) {
        return std::tuple(-found.regularized(i), -borda(i), i) < std::tuple(-found.regularized(j), -borda(j), j);
    });
    auto const limited = found.limit.size() > 0;
    out << fmt::format("  Nash {:>10}  {:>8}  {:>8}\n", fmt::format("tau = {}", weak_regularization),
                       limited ? "tau -> 0" : "", "Borda");
    constexpr auto shown = std::size_t{20};
    for (std::size_t rank = 0; rank < std::min(order.size(), shown); ++rank) {
        auto const i = order[rank];
        out << fmt::format("  {:>15.6f}  {:>8}  {:>8.4f}  {}\n", found.regularized(i),
                           limited ? fmt::format("{:.6f}", found.limit(i)) : "", borda(i), name(i));
    }
    if (order.size() > shown)
        out << fmt::format("  … and {} more, in order of their Nash probability\n", order.size() - shown);

    out << fmt::format("\nExploitability, max_i P(i > policy) - 1/2: {:.2e} at tau = {}",
                       exploitability(preferences, found.regularized), weak_regularization);
    if (limited)
        out << fmt::format(", {:.1e} in the limit (tau = {:.1e})",
                           std::max(0.0, exploitability(preferences, found.limit)), found.limit_regularization);
    else
        out << fmt::format(" (2000 steps of Nash-MD; the limit is computed up to {} alternatives)", newton_limit);

    auto winners = std::string{};
    auto exploited = 0.0;
    for (Eigen::Index i = 0; i < n; ++i) {
        if (borda(i) < borda.maxCoeff() - 1e-12) continue; // equal up to rounding is equal
        winners += (winners.empty() ? "" : ", ") + name(i);
        exploited = std::max(exploited, exploitability(preferences, Eigen::VectorXd::Unit(n, i)));
    }
    auto condorcet = std::string("none");
    for (Eigen::Index i = 0; i < n; ++i) {
        auto beaten = Eigen::Index{0};
        for (Eigen::Index j = 0; j < n; ++j) beaten += preferences(i, j) > 0.5;
        if (beaten == n - 1) condorcet = name(i);
    }
    out << fmt::format("\nBorda winner (highest mean win probability, as under a reward model): {}", winners);
    out << fmt::format("\n  its exploitability: {:.4f}", exploited);
    out << fmt::format("\nCondorcet winner (beats every other by a majority): {}\n", condorcet);

    auto const triples =
        pairs.size < 3 ? std::uint64_t{0} : std::uint64_t{pairs.size} * (pairs.size - 1) * (pairs.size - 2) / 6;
    out << "\nHow intransitive:\n";
    out << fmt::format("  cyclic triples (strict majorities in a circle): {} of {}\n", cyclic_triples(pairs), triples);
    out << fmt::format("  cyclic share of the squared margins P - P^T (what no scores explain): {:.2f} %\n",
                       100 * cyclic_share(preferences));
    return 0;
}

} // namespace gallery
