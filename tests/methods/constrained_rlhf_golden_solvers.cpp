#include "constrained_rlhf_golden.hpp"

#include "poise/metric/proxy_point.hpp"
#include "poise/solver/kl_saddle_point.hpp"
#include "poise/solver/nelder_mead.hpp"

namespace constrained_rlhf_test {

template <class T>
json host<T>::saddle_point(json const& in, json const& params) {
    auto const reference = golden::flat<T>(in["reference"]), thresholds = golden::flat<T>(in["thresholds"]);
    auto const rewards = transposed(golden::flat<T>(in["rewards"]), thresholds.size());
    return with_sense(params, [&](auto sense) -> json {
        auto const found = solver::kl_saddle_point<decltype(sense), T>(sense, reference, rewards, thresholds,
                                                                       params["beta"].get<double>());
        CHECK(found.converged);
        return {{"tilt", found.tilt},
                {"multipliers", found.multipliers},
                {"policy", found.policy},
                {"values", found.values}};
    });
}

template <class T>
json host<T>::proxy_point(json const& in, json const&) {
    auto const points = golden::flat<T>(in["rewards"]), scores = golden::flat<T>(in["scores"]);
    auto const fit = metric::joint_proxy_point<T>(points, scores);
    return {{"coefficients", fit.coefficients}, {"threshold", fit.peak}, {"concave", fit.concave}};
}

template <class T>
json host<T>::nelder_mead(json const& in, json const& params) {
    auto const centre = golden::flat<T>(in["centre"]), matrix = golden::flat<T>(in["matrix"]);
    auto const n = centre.size();
    auto const f = solver::cached_function{[&](row<T const> x) {
                                               auto total = T(0);
                                               for (std::size_t i = 0; i < n; ++i)
                                                   for (std::size_t j = 0; j < n; ++j)
                                                       total +=
                                                           (x[i] - centre[i]) * matrix[i * n + j] * (x[j] - centre[j]);
                                               return total;
                                           },
                                           params["cache_tolerance"].get<T>()};
    auto search = solver::nelder_mead(f, golden::flat<T>(in["simplex"]), n);
    search.reflection = params["alpha"];
    search.expansion = params["gamma"];
    search.contraction = params["rho"];
    search.shrinkage = params["sigma"];
    search.tolerance = params["tolerance"];
    while (!search.converged() && search.steps() < params["max_iterations"].get<std::size_t>()) search.step();
    auto simplex = std::vector<T>{}, values = std::vector<T>{};
    for (std::size_t i = 0; i <= n; ++i) {
        for (std::size_t k = 0; k < n; ++k) simplex.push_back(search.point(i)[k]);
        values.push_back(search.value(i));
    }
    return {{"simplex", golden::rows(simplex, n)},
            {"values", values},
            {"evaluations", search.function().calls},
            {"iterations", search.steps()}};
}

template struct host<double>;
template struct host<float>;

} // namespace constrained_rlhf_test
