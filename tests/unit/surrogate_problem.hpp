#pragma once

#include "poise/core/dual.hpp"
#include "poise/objective/surrogate.hpp"

#include "everywhere.hpp"

#include <doctest/doctest.h>

#include <algorithm>

/// Surrogates as the papers write them, in plain loops on plain or dual numbers, and the kernels beside them.
namespace surrogate_problem {

using namespace poise;
using number = dual<double>;

// ---- the trust regions: the loss of one element of ratio c, its score log_p and advantage a

inline number least(number a, number b) { return a < b ? a : b; }
inline number greatest(number a, number b) { return a < b ? b : a; }
inline number constant(number x) { return {x.value, 0}; }

inline number loss_of(trust_region::clipped const& by, number c, number, double a) {
    auto const A = number{a};
    auto const bounded =
        least(A * c, A * least(greatest(c, number{1 - by.low}), number{1 + by.high}));
    return a < 0 && by.dual < 1e300 ? -greatest(bounded, number{by.dual * a}) : -bounded;
}
inline number loss_of(trust_region::unclipped const&, number c, number, double a) { return number{-a} * c; }
inline number loss_of(trust_region::two_sided const& by, number c, number, double a) {
    auto const A = number{a}, c2 = least(greatest(c, number{1 - by.low}), number{1 + by.high});
    return -least(A * least(c, number{by.delta}), A * c2);
}
inline number loss_of(trust_region::sigmoid const& by, number c, number, double a) {
    auto const tau = number{a > 0 ? by.positive_temperature : by.negative_temperature};
    auto const q = number{1} / (number{1} + math::exp(-tau * (c - number{1})));
    return number{-4} / tau * q * number{a};
}
inline number loss_of(trust_region::capped_weight const& by, number c, number log_p, double a) {
    return number{-std::min(c.value, by.cap) * a} * log_p;
}
inline number loss_of(trust_region::gamma_weight const& by, number c, number log_p, double a) {
    auto const k = a < 0 ? by.negative_shape : by.positive_shape, rate = a < 0 ? by.negative_rate : by.positive_rate;
    auto const w = std::exp(std::clamp(std::log(c.value), std::log(1e-8), 20.0));
    return number{-std::exp(rate) * std::pow(w, k) * std::exp(-rate * w) * a} * log_p;
}

// ---- the ratios: log c at token t of one sequence

struct sequence_of_tokens {
    std::vector<number> log_p;
    std::vector<double> old, advantage, mask, weight;
    double count() const {
        auto total = 0.0;
        for (auto const m : mask) total += m;
        return std::max(total, 1.0);
    }
    number log_ratio(std::size_t t) const { return log_p[t] - number{old[t]}; }
    number sum_of_log_ratios() const {
        auto total = number{0};
        for (std::size_t t = 0; t < mask.size(); ++t)
            if (mask[t] != 0) total += log_ratio(t);
        return total;
    }
};

inline number log_ratio_at(ratio::token, sequence_of_tokens const& x, std::size_t t) { return x.log_ratio(t); }
inline number log_ratio_at(ratio::none, sequence_of_tokens const& x, std::size_t t) {
    return x.log_p[t] - constant(x.log_p[t]);
}
inline number log_ratio_at(ratio::sequence, sequence_of_tokens const& x, std::size_t) {
    return x.sum_of_log_ratios() / number{x.count()};
}
inline number log_ratio_at(ratio::sequence_token, sequence_of_tokens const& x, std::size_t t) {
    return x.log_p[t] - constant(x.log_p[t]) + constant(x.sum_of_log_ratios() / number{x.count()});
}
inline number log_ratio_at(ratio::sequence_sum const&, sequence_of_tokens const& x, std::size_t) {
    return x.sum_of_log_ratios();
}
inline number log_ratio_at(ratio::clipped_geometric_mean const& by, sequence_of_tokens const& x, std::size_t) {
    auto total = number{0}, count = number{0};
    for (std::size_t t = 0; t < x.mask.size(); ++t)
        if (x.mask[t] != 0) {
            auto const d = x.log_ratio(t);
            auto const y = x.advantage[t] > 0 ? least(d, number{by.high}) : greatest(d, number{-by.low});
            total += number{x.weight[t]} * y;
            count += number{x.weight[t]};
        }
    return total / greatest(count, number{1});
}

/// The sum over a sequence's tokens of weight x mask x loss.
template <class Ratio, class Region>
number total_loss(objective::surrogate<Ratio, Region> const& by, sequence_of_tokens const& x) {
    constexpr auto weighs_tokens = std::is_same_v<Ratio, ratio::clipped_geometric_mean>;
    auto total = number{0};
    for (std::size_t t = 0; t < x.mask.size(); ++t)
        if (x.mask[t] != 0) {
            auto const c = math::exp(log_ratio_at(by.ratio, x, t));
            total += number{weighs_tokens ? 1 : x.weight[t]} * loss_of(by.trust_region, c, x.log_p[t], x.advantage[t]);
        }
    return total;
}

/// Rows of tokens, each a sequence; the first three tokens of every fifth row are padding, and what a mask hides is NaN.
struct problem {
    everywhere::table log_p, old, advantage, mask, weight;

    problem(std::size_t rows, std::size_t length, bool masked, bool one_advantage)
        : log_p(everywhere::random_table(rows, length, 21, 0.4)), old(everywhere::random_table(rows, length, 22, 0.4)),
          advantage(everywhere::random_table(rows, length, 23, 1)), mask{rows, length}, weight{rows, length} {
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t k = 0; k < length; ++k) {
                mask(i, k) = !masked || (i % 5 != 2 && k % 3 != i % 4);
                weight(i, k) = 0.25 * static_cast<double>((i + 3 * k) % 4);
                if (one_advantage) advantage(i, k) = advantage(i, 0);
                if (mask(i, k) == 0) log_p(i, k) = old(i, k) = everywhere::nan;
            }
    }
    sequence_of_tokens sequence(std::size_t i, std::size_t moved) const {
        auto x = sequence_of_tokens{{}, old.row(i), advantage.row(i), mask.row(i), weight.row(i)};
        for (std::size_t k = 0; k < log_p.length; ++k) x.log_p.push_back({log_p(i, k), k == moved ? 1.0 : 0.0});
        return x;
    }
};

/// Loss and gradient of the kernel are those of the plain loops. Executions are tuples' elements.
template <class T, class Layout, class... Executions, class Ratio, class Region>
void check(objective::surrogate<Ratio, Region> const& stage) {
    constexpr auto coupled = Ratio::couples_tokens;
    for (auto const length : everywhere::sizes(1, 9, 70)) {
        auto const rows = std::size_t{11};
        auto const p = problem(rows, length, coupled, std::is_same_v<Ratio, ratio::clipped_geometric_mean>);
        auto const log_p = everywhere::stored<T, Layout>(p.log_p), old = everywhere::stored<T, Layout>(p.old),
                   advantage = everywhere::stored<T, Layout>(p.advantage), mask = everywhere::stored<T, Layout>(p.mask),
                   weight = everywhere::stored<T, Layout>(p.weight);
        auto const check_in = [&](auto execution) {
            auto loss = everywhere::stored<T, Layout>(rows, length), gradient = loss;
            if constexpr (coupled)
                for_each_row(execution, stage, log_p.input(), old.input(), advantage.input(), mask.input(),
                             weight.input(), loss.output(), gradient.output());
            else
                for_each_row(execution, stage, log_p.input(), old.input(), advantage.input(), loss.output(),
                             gradient.output(), weight.input());
            auto wrong = 0;
            for (std::size_t i = 0; i < rows; ++i) {
                auto total = 0.0;
                for (std::size_t k = 0; k < length; ++k) {
                    if (p.mask(i, k) == 0) continue;
                    total += loss(i, k);
                    auto const slope = total_loss(stage, p.sequence(i, k)).derivative;
                    wrong += !everywhere::close(gradient(i, k), slope, 10 * everywhere::tolerance<T>);
                }
                auto const expected = total_loss(stage, p.sequence(i, 0)).value;
                wrong += !everywhere::close(total, expected, 10 * everywhere::tolerance<T>);
            }
            INFO("length " << length);
            CHECK(wrong == 0);
        };
        (check_in(Executions{}), ...);
    }
}

} // namespace surrogate_problem
