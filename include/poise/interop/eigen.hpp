#pragma once

#include "poise/core/batch.hpp"

#include <Eigen/Core>

/// Eigen matrices, maps, blocks and references are batches with one sample per matrix row, seen without a copy: a
/// column-major matrix is interleaved, a row-major one row-contiguous, anything else strided. A column vector is one
/// value per row. Coefficient-wise expressions are inputs that are evaluated as they are read; a matrix product wants
/// `.eval()`.
namespace poise {

namespace detail {

template <class Matrix>
concept eigen_object = std::is_base_of_v<Eigen::DenseBase<Matrix>, Matrix>;

template <class Matrix>
inline constexpr bool in_eigen_memory = (int(Eigen::internal::traits<Matrix>::Flags) & Eigen::DirectAccessBit) != 0;

template <class Matrix>
inline constexpr bool writable_in_eigen = (int(Eigen::internal::traits<Matrix>::Flags) & Eigen::LvalueBit) != 0;

template <class Matrix>
inline constexpr std::size_t eigen_extent =
    Matrix::ColsAtCompileTime == Eigen::Dynamic ? dynamic : std::size_t(Matrix::ColsAtCompileTime);

} // namespace detail

template <detail::eigen_object Matrix>
struct batch_view<Matrix> {
    template <class Object>
    static auto view(Object& matrix) {
        auto const rows = static_cast<std::size_t>(matrix.rows());
        auto const length = static_cast<std::size_t>(matrix.cols());
        if constexpr (detail::in_eigen_memory<Matrix>) {
            constexpr auto writable = detail::writable_in_eigen<Matrix> && !std::is_const_v<Object>;
            using scalar_type = typename Matrix::Scalar;
            using element = std::conditional_t<writable, scalar_type, scalar_type const>;
            constexpr auto unit = int(Matrix::InnerStrideAtCompileTime) == 1;
            constexpr auto by_row = bool(Matrix::IsRowMajor);
            using layout = std::conditional_t<!unit, strided, std::conditional_t<by_row, row_contiguous, interleaved>>;
            auto const inner = static_cast<std::size_t>(matrix.innerStride());
            auto const outer = static_cast<std::size_t>(matrix.outerStride());
            return batch<element, detail::eigen_extent<Matrix>, layout>(
                const_cast<element*>(matrix.data()), rows, length, by_row ? outer : inner, by_row ? inner : outer);
        } else {
            auto const coefficient = [expression = matrix](std::size_t i, std::size_t k) {
                return expression.coeff(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(k));
            };
            return generated_rows(rows, length, coefficient);
        }
    }
};

/// An Eigen vector as the one row that every row of the batch sees.
template <detail::eigen_object Vector>
    requires(bool(Vector::IsVectorAtCompileTime) && detail::in_eigen_memory<Vector> &&
             int(Vector::InnerStrideAtCompileTime) == 1)
auto shared_row(Vector const& vector) {
    using element = typename Vector::Scalar const;
    constexpr auto extent =
        Vector::SizeAtCompileTime == Eigen::Dynamic ? dynamic : std::size_t(Vector::SizeAtCompileTime);
    return batch<element, extent, shared>(vector.data(), 1, static_cast<std::size_t>(vector.size()), 0, 1);
}

} // namespace poise
