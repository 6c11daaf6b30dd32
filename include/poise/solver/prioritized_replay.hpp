#pragma once

#include "poise/core/error.hpp"
#include "poise/core/math.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace poise::solver {

/// A buffer of the groups that taught most (GRPO with a replay buffer; slug catalogue-policy-losses, section 1): it
/// keeps the `capacity` items of largest score, such as sum_j |A_j| times the group's deviation. Once it is full a new
/// item must have a score above the least, whose place it takes. An item is drawn with probability score / sum of
/// scores.
template <class Item>
class prioritized_replay {
public:
    struct entry {
        double score;
        Item item;
    };

    explicit prioritized_replay(std::size_t capacity) : capacity_(capacity) {
        require(capacity > 0, "prioritized_replay", "capacity", "at least 1", capacity);
    }

    /// Offers an item; whether it is kept. Throws for a score that is below 0 or not finite.
    bool offer(double score, Item item) {
        require_domain(score >= 0 && math::isfinite(score), "prioritized_replay", "score",
                       "a finite number not below 0", score);
        if (entries_.size() == capacity_) {
            if (!(score > entries_.front().score)) return false;
            entries_.erase(entries_.begin());
        }
        auto const place = std::upper_bound(entries_.begin(), entries_.end(), score,
                                            [](double s, entry const& e) { return s < e.score; });
        entries_.insert(place, {score, std::move(item)});
        return true;
    }

    /// What is kept, the least score first.
    std::vector<entry> const& entries() const { return entries_; }

    /// The probability of each entry; equal ones where all scores are 0.
    std::vector<double> probabilities() const {
        auto total = 0.0;
        for (auto const& e : entries_) total += e.score;
        auto result = std::vector<double>{};
        for (auto const& e : entries_)
            result.push_back(total > 0 ? e.score / total : 1 / static_cast<double>(entries_.size()));
        return result;
    }

    /// The places of `count` entries by numbers in [0, 1), one a draw: without replacement, or with it where more are
    /// asked than are kept.
    std::vector<std::size_t> draw(std::size_t count, auto const& uniform) const {
        require(!entries_.empty(), "prioritized_replay", "draw", "a buffer that holds something", std::size_t{0});
        auto weights = probabilities();
        auto const replace = count > entries_.size();
        auto drawn = std::vector<std::size_t>{};
        for (std::size_t k = 0; k < count; ++k) {
            auto total = 0.0;
            for (auto const w : weights) total += w;
            if (!(total > 0)) { // what is left has no weight: each as likely
                for (std::size_t i = 0; i < weights.size(); ++i)
                    weights[i] = std::find(drawn.begin(), drawn.end(), i) == drawn.end();
                total = static_cast<double>(std::count(weights.begin(), weights.end(), 1.0));
            }
            auto left = uniform(k) * total;
            auto chosen = std::size_t{0};
            for (std::size_t i = 0; i < weights.size(); ++i) {
                if (weights[i] <= 0) continue;
                chosen = i;
                if (left < weights[i]) break;
                left -= weights[i];
            }
            drawn.push_back(chosen);
            if (!replace) weights[chosen] = 0;
        }
        return drawn;
    }

private:
    std::size_t capacity_;
    std::vector<entry> entries_;
};

} // namespace poise::solver
