#pragma once

#include "poise/core/constant_row.hpp"
#include "poise/core/lanes.hpp"
#include "poise/core/verbs.hpp"

namespace poise {

/// A row that is consecutive in memory and whose verbs take `lanes<T>::size` elements at a time, along the row. Values
/// per row (sums, maxima) are plain reals, so functions given to `map` meet packs and reals together: they say `auto`.
template <class T, std::size_t Extent = dynamic>
class along_row : public row<T, Extent, 1> {
    using real = std::remove_const_t<T>;

public:
    static constexpr bool packed = true;
    using pack = lanes<real>;

    using row<T, Extent, 1>::row;

    pack load(std::size_t k) const { return pack::load(this->data() + k); }
    /// The last `count` < pack size elements from k on; the lanes behind them repeat element k.
    pack load_part(std::size_t k, std::size_t count) const {
        auto values = std::array<real, pack::size>{};
        for (std::size_t i = 0; i < pack::size; ++i) values[i] = this->data()[k + (i < count ? i : 0)];
        return pack::load(values.data());
    }
    void store(std::size_t k, pack value) const { value.store(this->data() + k); }
    void store_part(std::size_t k, std::size_t count, pack value) const {
        auto const values = value.to_array();
        for (std::size_t i = 0; i < count; ++i) this->data()[k + i] = values[i];
    }
};

namespace detail {

template <class Row>
auto load_part(Row const& row, std::size_t k, std::size_t count) {
    if constexpr (packed_row<Row>) {
        return row.load_part(k, count);
    } else { // a reversed row, a column: gathered
        using pack = lanes<value_of<Row>>;
        auto values = std::array<value_of<Row>, pack::size>{};
        for (std::size_t i = 0; i < pack::size; ++i) values[i] = row[k + (i < count ? i : 0)];
        return pack::load(values.data());
    }
}
template <class Real>
auto load_part(index_row<Real> const& row, std::size_t k, std::size_t) {
    return lanes<Real>::iota(row[k]);
}
template <class Real>
auto load_part(constant_row<Real> const& row, std::size_t k, std::size_t) {
    return lanes<Real>(row[k]);
}

template <class Row>
auto load_pack(Row const& row, std::size_t k) {
    if constexpr (packed_row<Row>)
        return row.load(k);
    else
        return load_part(row, k, lanes<value_of<Row>>::size);
}

template <class... Rows>
    requires(packed_row<Rows> || ...)
struct row_verbs<Rows...> {
    template <class F, class Out, class... In>
    static void map(Out out, F const& f, In... in) {
        if constexpr (packed_row<Out>) {
            using pack = typename Out::pack;
            auto const n = common_size(out, in...);
            auto k = std::size_t{0};
            for (; k + pack::size <= n; k += pack::size) out.store(k, f(load_pack(in, k)...));
            if (k < n) out.store_part(k, n - k, f(load_part(in, k, n - k)...));
        } else {
            row_verbs<>::map(out, f, in...);
        }
    }

    template <class F, class First, class Second, class... In>
    static void map_pair(First first, Second second, F const& f, In... in) {
        if constexpr (packed_row<First> && packed_row<Second>) {
            using pack = typename First::pack;
            auto const n = common_size(first, second, in...);
            auto k = std::size_t{0};
            for (; k + pack::size <= n; k += pack::size) {
                auto const results = f(load_pack(in, k)...);
                first.store(k, results.first);
                second.store(k, results.second);
            }
            if (k == n) return;
            auto const results = f(load_part(in, k, n - k)...);
            first.store_part(k, n - k, results.first);
            second.store_part(k, n - k, results.second);
        } else {
            row_verbs<>::map_pair(first, second, f, in...);
        }
    }

    template <class Value, class Op, class F, class... In>
    static Value reduce(Op op, F const& f, In... in) {
        using pack = lanes<Value>;
        auto const n = common_size(in...);
        auto const whole = n / pack::size * pack::size;
        auto total = Op::template identity<Value>;
        if (whole > 0) total = across(op, reduce_packs<pack>(op, f, 0, whole, in...), pack::size);
        if (whole < n) total = op(total, across(op, pack(f(load_part(in, whole, n - whole)...)), n - whole));
        return total;
    }

private:
    template <class Op, class Value>
    static Value across(Op op, lanes<Value> packed, std::size_t count) {
        auto const values = packed.to_array();
        auto total = values[0];
        for (std::size_t i = 1; i < count; ++i) total = op(total, values[i]);
        return total;
    }

    // Four accumulators hide the latency of the operation; beyond a leaf the sum is pairwise.
    template <class pack, class Op, class F, class... In>
    static pack reduce_packs(Op op, F const& f, std::size_t first, std::size_t last, In const&... in) {
        constexpr auto width = pack::size;
        constexpr auto leaf = pairwise_leaf * width;
        if (last - first > leaf) {
            auto const middle = first + (last - first - 1) / (2 * leaf) * leaf + leaf;
            return op(reduce_packs<pack>(op, f, first, middle, in...), reduce_packs<pack>(op, f, middle, last, in...));
        }
        auto const at = [&](std::size_t k) { return pack(f(load_pack(in, k)...)); };
        auto k = first;
        auto total = at(k);
        k += width;
        if (last - k >= 3 * width) {
            auto b = at(k), c = at(k + width), d = at(k + 2 * width);
            for (k += 3 * width; k + 4 * width <= last; k += 4 * width) {
                total = op(total, at(k));
                b = op(b, at(k + width));
                c = op(c, at(k + 2 * width));
                d = op(d, at(k + 3 * width));
            }
            total = op(op(total, b), op(c, d));
        }
        for (; k < last; k += width) total = op(total, at(k));
        return total;
    }
};

} // namespace detail

} // namespace poise
