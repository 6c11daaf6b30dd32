#pragma once

#include "surrogate_problem.hpp"

#include "poise/execution/evaluate.hpp"
#include "poise/execution/sequential.hpp"

#include <numeric>

/// Compositions of stages beside one plain loop that fuses nothing: advantages of groups, then a surrogate and a
/// divergence of each token, then the sum that an aggregation makes.
namespace composition_problem {

using surrogate_problem::number;
using namespace poise;
using numbers = std::vector<double>;

enum class baseline { none, mean, leave_one_out, shifted_mean, batch_mean };
enum class scale { none, group, batch };
enum class total { mean_of_sequences, constant_length, mean_over_batch, sum_of_sequences, mean, sum };
enum class divergence { none, k2, k3, k2_to_old };

inline constexpr auto shift = -0.1, greatest_length = 7.0;

/// Two groups of four responses of at most five tokens, one of which is empty.
struct problem {
    static constexpr std::size_t groups = 2, of_group = 4, responses = groups * of_group, length = 5,
                                 tokens = responses * length;
    numbers reward{1, 0, 0.5, 0.2, 0, 1, 1, 0.3}, log_p, old, reference, mask;

    problem() : log_p(tokens), old(tokens), reference(tokens), mask(tokens) {
        auto const moved = everywhere::random_table(3, tokens, 5, 0.3);
        constexpr std::size_t lengths[] = {5, 1, 3, 2, 4, 5, 0, 2};
        for (std::size_t k = 0; k < tokens; ++k) {
            mask[k] = k % length < lengths[k / length];
            old[k] = mask[k] * (-1 - std::abs(moved(0, k)));
            log_p[k] = mask[k] * (old[k] + moved(1, k));
            reference[k] = mask[k] * (old[k] + moved(2, k));
        }
    }

    numbers advantages(baseline from, scale by, double epsilon = 1e-4) const {
        auto result = numbers(responses);
        auto const mean_of = [&](std::size_t first, std::size_t last) {
            return std::accumulate(reward.begin() + std::ptrdiff_t(first), reward.begin() + std::ptrdiff_t(last), 0.0) /
                   double(last - first);
        };
        for (std::size_t k = 0; k < responses; ++k) {
            auto const first = k / of_group * of_group;
            auto const mean = mean_of(first, first + of_group);
            switch (from) {
            case baseline::none:
                result[k] = reward[k];
                break;
            case baseline::mean:
                result[k] = reward[k] - mean;
                break;
            case baseline::leave_one_out:
                result[k] = reward[k] - (mean * of_group - reward[k]) / (of_group - 1.0);
                break;
            case baseline::shifted_mean:
                result[k] = reward[k] - mean - shift;
                break;
            case baseline::batch_mean:
                result[k] = reward[k] - mean_of(0, responses);
                break;
            }
        }
        return by == scale::none ? result : scaled(result, reward, by == scale::batch ? responses : of_group, epsilon);
    }
    /// Each n numbers over the unbiased deviation of n others + epsilon.
    static numbers scaled(numbers result, numbers const& given, std::size_t n, double epsilon) {
        for (std::size_t k = 0; k < given.size(); ++k) {
            auto const first = k / n * n;
            auto mean = 0.0, square = 0.0;
            for (std::size_t j = first; j < first + n; ++j) mean += given[j] / double(n);
            for (std::size_t j = first; j < first + n; ++j) square += (given[j] - mean) * (given[j] - mean);
            result[k] /= std::sqrt(square / (double(n) - 1)) + epsilon;
        }
        return result;
    }

    /// The mean over the groups of their objectives, with its derivative in log_p[moved].
    template <class Ratio, class Region>
    number objective(numbers const& advantage, objective::surrogate<Ratio, Region> const& loss, divergence from,
                     double coefficient, total sum, std::size_t moved) const {
        auto const count = [&](std::size_t first, std::size_t last) {
            return std::accumulate(mask.begin() + std::ptrdiff_t(first), mask.begin() + std::ptrdiff_t(last), 0.0);
        };
        auto result = number{0};
        for (std::size_t i = 0; i < responses; ++i) {
            auto const begin = i * length;
            auto x = surrogate_problem::sequence_of_tokens{};
            for (std::size_t t = 0; t < length; ++t) {
                x.log_p.push_back({log_p[begin + t], begin + t == moved ? 1.0 : 0.0});
                x.old.push_back(old[begin + t]);
                x.advantage.push_back(advantage[i]);
                x.mask.push_back(mask[begin + t]);
                x.weight.push_back(1);
            }
            auto of_response = surrogate_problem::total_loss(loss, x);
            for (std::size_t t = 0; t < length; ++t)
                if (mask[begin + t] != 0) {
                    auto const d =
                        x.log_p[t] - number{from == divergence::k2_to_old ? old[begin + t] : reference[begin + t]};
                    if (from == divergence::k3)
                        of_response += number{coefficient} * (math::exp(-d) + d - number{1});
                    else if (from != divergence::none)
                        of_response += number{coefficient / 2} * d * d;
                }
            auto const n = count(begin, begin + length);
            auto const first = i / of_group * of_group * length, of_row = count(first, first + of_group * length);
            auto const factor = [&] {
                switch (sum) {
                case total::mean_of_sequences:
                    return n > 0 ? 1 / (n * responses) : 0;
                case total::constant_length:
                    return 1 / (greatest_length * responses);
                case total::mean_over_batch:
                    return 1 / count(0, tokens);
                case total::sum_of_sequences:
                    return 1.0 / responses;
                case total::mean:
                    return 1 / (of_row * groups);
                default:
                    return 1.0 / groups;
                }
            }();
            result += number{factor} * of_response;
        }
        return result;
    }

    /// The pipeline makes the plain loop's number and gradient.
    template <class Ratio, class Region>
    bool agrees(auto const& pipeline, numbers const& advantage, objective::surrogate<Ratio, Region> const& loss,
                divergence from, double coefficient, total sum, auto... more) const {
        auto objective_of_row = numbers(groups), gradient = numbers(tokens);
        auto const by_response = [](auto& x) { return rows_of(x.data(), groups, of_group); };
        auto const by_token = [](auto& x) {
            return sequences_of(rows_of(x.data(), groups, of_group * length), of_group);
        };
        evaluate(
            execution::sequential{}, pipeline,
            inputs(field::reward = by_response(reward), field::log_probability = by_token(log_p),
                   field::old_log_probability = by_token(old), field::reference_log_probability = by_token(reference),
                   field::mask = by_token(mask), more...),
            outputs(field::objective = objective_of_row, field::gradient<field::log_probability> = by_token(gradient)));
        auto const close = [](double a, double b) { return std::abs(a - b) <= 1e-11 * (1 + std::abs(b)); };
        auto const value = objective(advantage, loss, from, coefficient, sum, 0).value;
        auto right = close(std::accumulate(objective_of_row.begin(), objective_of_row.end(), 0.0) / groups, value);
        for (std::size_t k = 0; k < tokens; ++k)
            right &= close(gradient[k], objective(advantage, loss, from, coefficient, sum, k).derivative);
        return right;
    }
};

} // namespace composition_problem
