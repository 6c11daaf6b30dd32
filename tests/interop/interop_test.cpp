#include "poise/execution/parallel.hpp"
#include "poise/interop/eigen.hpp"
#include "poise/interop/xtensor.hpp"

#include <doctest/doctest.h>

#include <list>
#include <numeric>
#include <span>
#include <vector>

// One kernel over the same numbers in every library's dress: all must agree, and no input may be copied or moved.
namespace {

struct softmax_rows {
    constexpr void operator()(poise::row_of_reals auto in, poise::writable_row auto out) const {
        poise::softmax(out, in);
    }
};

struct weighted_total {
    constexpr void operator()(poise::row_of_reals auto in, poise::row_of_reals auto weights,
                              poise::row_of_reals auto scale, poise::writable_row auto out) const {
        out[0] = scale[0] * poise::weighted_sum(weights, in);
    }
};

constexpr std::size_t rows = 37;
constexpr std::size_t length = 5;

double value(std::size_t i, std::size_t k) { return 0.1 * static_cast<double>((7 * i + 3 * k) % 11); }

double expected(std::size_t i, std::size_t k) {
    auto total = 0.0;
    for (std::size_t j = 0; j < length; ++j) total += std::exp(value(i, j));
    return std::exp(value(i, k)) / total;
}

template <class Get>
void check(Get const& get) {
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t k = 0; k < length; ++k) CHECK(get(i, k) == doctest::Approx(expected(i, k)).epsilon(1e-13));
}

template <class Matrix>
Matrix filled() {
    auto matrix = Matrix(rows, length);
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t k = 0; k < length; ++k) matrix(Eigen::Index(i), Eigen::Index(k)) = value(i, k);
    return matrix;
}

using by_column = Eigen::MatrixXd;
using by_row = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using narrow = Eigen::Matrix<double, Eigen::Dynamic, int(length)>;

template <class In, class Out>
void check_eigen(In&& in, Out&& out) {
    auto const get = [&](std::size_t i, std::size_t k) { return out(Eigen::Index(i), Eigen::Index(k)); };
    auto const run = [&](auto execution) {
        out.setZero();
        poise::for_each_row(execution, softmax_rows{}, in, out);
        check(get);
    };
    run(poise::execution::sequential{});
    run(poise::execution::simd{});
    run(poise::execution::in_lanes{});
    run(poise::execution::along{});
    run(poise::execution::parallel<>{});
}

} // namespace

TEST_CASE_TEMPLATE("Eigen matrices of either order, static and dynamic", Matrix, by_column, by_row, narrow) {
    auto const in = filled<Matrix>();
    auto out = Matrix(Matrix::Zero(rows, length));
    check_eigen(in, out);
}

TEST_CASE("Eigen matrices are seen where they lie, with their layout in the type") {
    auto matrix = filled<by_column>();
    auto const view = poise::as_batch(matrix);
    CHECK(view.data() == matrix.data());
    static_assert(std::is_same_v<decltype(view)::layout, poise::interleaved>);
    static_assert(!decltype(view)::is_input);
    static_assert(
        std::is_same_v<decltype(poise::as_batch(std::declval<by_row const&>()))::layout, poise::row_contiguous>);
    static_assert(decltype(poise::as_batch(std::declval<by_row const&>()))::is_input);
    static_assert(decltype(poise::as_batch(std::declval<narrow&>()))::extent == length);
    auto strided_rows = matrix.block(1, 1, 8, 3);
    CHECK(poise::as_batch(strided_rows).data() == &matrix(1, 1));
    CHECK(poise::as_batch(strided_rows).element_stride() == rows);
}

TEST_CASE("Eigen maps with strides, blocks, transposes, expressions") {
    auto memory = std::vector<double>(4 * rows * length, -1);
    using outer_inner = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
    auto map = Eigen::Map<by_column, 0, outer_inner>(memory.data(), rows, length, outer_inner(2 * rows, 2));
    map = filled<by_column>();
    auto out = by_row(by_row::Zero(rows, length));
    check_eigen(map, out);
    CHECK(memory[1] == -1);

    auto large = by_column(by_column::Constant(rows + 4, length + 3, -1));
    auto const in = filled<by_column>();
    check_eigen(in, large.block(2, 1, rows, length));
    CHECK(large(1, 1) == -1);
    CHECK(large(2, 0) == -1);
    CHECK(large(rows + 2, length) == -1);

    auto transposed = by_column(in.transpose());
    check_eigen(transposed.transpose(), out);
    check_eigen(2.0 * in - in, out);
}

TEST_CASE("one value per row and a shared row come from vectors of any library") {
    auto const in = filled<by_column>();
    auto const weights = Eigen::VectorXd(Eigen::VectorXd::LinSpaced(length, 1, 5));
    auto const weights_x = xt::xtensor<double, 1>(xt::arange<double>(1, 6));
    auto const labels = std::vector<int>(rows, 3);
    auto out_vector = std::vector<double>(rows);
    auto out_eigen = Eigen::VectorXd(rows);
    auto out_xtensor = xt::xtensor<double, 1>::from_shape({rows});
    poise::for_each_row(poise::execution::simd{}, weighted_total{}, in, poise::shared_row(weights), labels, out_vector);
    poise::for_each_row(poise::execution::along{}, weighted_total{}, in, poise::shared_row(weights_x),
                        std::span(labels), out_eigen);
    poise::for_each_row(poise::execution::sequential{}, weighted_total{}, in, poise::shared_row(weights),
                        poise::per_row(labels), out_xtensor);
    for (std::size_t i = 0; i < rows; ++i) {
        auto sum = 0.0;
        for (std::size_t k = 0; k < length; ++k) sum += 3.0 * static_cast<double>(k + 1) * value(i, k);
        CHECK(out_vector[i] == doctest::Approx(sum));
        CHECK(out_eigen(Eigen::Index(i)) == doctest::Approx(sum));
        CHECK(out_xtensor(i) == doctest::Approx(sum));
    }
}

TEST_CASE("xtensor containers of either order, dynamic rank, adaptors, views, expressions") {
    auto const fill = [](auto& tensor) {
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t k = 0; k < length; ++k) tensor(i, k) = value(i, k);
    };
    auto const run = [&](auto const& in, auto& out) {
        auto const get = [&](std::size_t i, std::size_t k) { return out(i, k); };
        poise::for_each_row(poise::execution::sequential{}, softmax_rows{}, in, out);
        check(get);
        out *= 0;
        poise::for_each_row(poise::execution::simd{}, softmax_rows{}, in, out);
        check(get);
        out *= 0;
        poise::for_each_row(poise::execution::in_lanes{}, softmax_rows{}, in, out);
        check(get);
    };
    auto row_major = xt::xtensor<double, 2>({rows, length});
    auto column_major = xt::xtensor<double, 2, xt::layout_type::column_major>({rows, length});
    auto any_rank = xt::xarray<double>(std::vector<std::size_t>{rows, length});
    fill(row_major), fill(column_major), fill(any_rank);
    auto out = xt::xtensor<double, 2>({rows, length});
    run(row_major, out), run(column_major, out), run(any_rank, out);
    auto out_column = xt::xtensor<double, 2, xt::layout_type::column_major>({rows, length});
    run(row_major, out_column);
    static_assert(std::is_same_v<decltype(poise::as_batch(row_major))::layout, poise::row_contiguous>);
    static_assert(std::is_same_v<decltype(poise::as_batch(column_major))::layout, poise::interleaved>);

    auto memory = std::vector<double>(rows * length);
    auto adapted = xt::adapt(memory, std::array<std::size_t, 2>{rows, length});
    fill(adapted);
    run(adapted, out);

    auto large = xt::xtensor<double, 2>({rows + 2, length + 3});
    large.fill(-1);
    auto view = xt::view(large, xt::range(1, rows + 1), xt::range(2, length + 2));
    fill(view);
    CHECK(large(1, 1) == -1);
    run(view, out);
    run(row_major, view);
    CHECK(large(1, 1) == -1);
    run(row_major * 2.0 - row_major, out);
}

TEST_CASE("xtensor of three axes: the last is the row") {
    auto cube = xt::xtensor<double, 3>({3, 4, length});
    auto out = xt::xtensor<double, 3>({3, 4, length});
    for (std::size_t i = 0; i < 12; ++i)
        for (std::size_t k = 0; k < length; ++k) cube(i / 4, i % 4, k) = value(i, k);
    poise::for_each_row(poise::execution::simd{}, softmax_rows{}, cube, out);
    for (std::size_t i = 0; i < 12; ++i)
        for (std::size_t k = 0; k < length; ++k) CHECK(out(i / 4, i % 4, k) == doctest::Approx(expected(i, k)));
    auto part = xt::view(cube, xt::all(), xt::range(0, 2), xt::all());
    CHECK_THROWS_WITH_AS(poise::as_batch(part), doctest::Contains("leading axes"), poise::argument_error);
}

TEST_CASE("raw pointers with strides") {
    auto memory = std::vector<double>(3 * rows * length, -1);
    auto out = std::vector<double>(rows * length);
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t k = 0; k < length; ++k) memory[i * 3 + k * 3 * rows] = value(i, k);
    auto const in = poise::strided_rows_of(static_cast<double const*>(memory.data()), rows, length, 3, 3 * rows);
    poise::for_each_row(poise::execution::parallel<poise::execution::in_lanes>{}, softmax_rows{}, in,
                        poise::rows_of(out.data(), rows, length));
    check([&](std::size_t i, std::size_t k) { return out[i * length + k]; });
}
