#include <poise/execution/simd.hpp>

#include <vector>

namespace {

struct centre {
    constexpr void operator()(poise::row_of_reals auto values, poise::writable_row auto centred) const {
        auto const mean = poise::mean(values);
        poise::map(centred, [=](auto v) { return v - mean; }, values);
    }
};

} // namespace

int main() {
    auto const values = std::vector<double>{1, 2, 3, 5, 5, 5};
    auto centred = std::vector<double>(6);
    poise::for_each_row(poise::execution::simd{}, centre{}, poise::rows_of(values.data(), 2, 3),
                        poise::rows_of(centred.data(), 2, 3));
    return centred == std::vector<double>{-1, 0, 1, 0, 0, 0} ? 0 : 1;
}
