// The transforms of Winograd's convolution: one pass over the rows, one over the columns, each a
// product with a small constant matrix, written out by the compiler without its zeros and ones.
#include "backends/cpu/winograd_kernel.h"

#include <utility>

#include "backends/cpu/gemm_simd.h"
#include "backends/cpu/winograd_matrices.h"

namespace slope::cpu::SLOPE_ISA {
namespace {

using S = Simd<float>;
using Vector = S::Vector;

// Calls f(0), f(1), .., f(count - 1) with numbers that are constants.
template <int count, typename F>
[[gnu::always_inline]] inline void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, count>());
}

// A sum of terms coefficient * value that is still empty at first.
struct Sum {
  Vector value{};
  bool empty = true;

  [[gnu::always_inline]] void add(double coefficient, Vector x) {
    if (coefficient == 0) return;
    if (coefficient == 1) {
      value = empty ? x : value + x;
    } else if (coefficient == -1) {
      value = empty ? -x : value - x;
    } else {
      const Vector c = S::broadcast(static_cast<float>(coefficient));
      value = empty ? c * x : S::multiply_add(c, x, value);
    }
    empty = false;
  }
};

// y = M x. The rows of a mirrored pair share their halves over even and odd columns.
template <const auto& M>
[[gnu::always_inline]] inline void multiply(const Vector* x, Vector* y) {
  unrolled<M.rows>([&](auto row) __attribute__((always_inline)) {
    constexpr int j = row;
    if constexpr (j > 0 && M.mirrored(j - 1)) return;  // done with the one before
    Sum even, odd;
    unrolled<M.columns>([&](auto column) __attribute__((always_inline)) {
      constexpr int k = column;
      (k % 2 == 0 ? even : odd).add(M.at[j][k], x[k]);
    });
    y[j] = odd.empty ? even.value : even.empty ? odd.value : even.value + odd.value;
    if constexpr (M.mirrored(j)) y[j + 1] = even.value - odd.value;
  });
}

// y = M^T x. The columns of a mirrored pair act on the sum and the difference of its two values.
template <const auto& M>
[[gnu::always_inline]] inline void multiply_transposed(const Vector* x, Vector* y) {
  Vector sums[M.rows], differences[M.rows];
  unrolled<M.rows>([&](auto row) __attribute__((always_inline)) {
    constexpr int j = row;
    sums[j] = differences[j] = x[j];
    if constexpr (M.mirrored(j)) {
      sums[j] = x[j] + x[j + 1];
      differences[j] = x[j] - x[j + 1];
    }
  });
  unrolled<M.columns>([&](auto column) __attribute__((always_inline)) {
    constexpr int k = column;
    Sum sum;
    unrolled<M.rows>([&](auto row) __attribute__((always_inline)) {
      constexpr int j = row;
      if constexpr (j > 0 && M.mirrored(j - 1)) return;
      sum.add(M.at[j][k], k % 2 == 0 ? sums[j] : differences[j]);
    });
    y[k] = sum.value;
  });
}

// Pixels X (columns, columns) -> M X M^T (rows, rows).
template <const auto& M>
void gather(const float* const* from, int64_t channels, float* to, int64_t distance) {
  constexpr int rows = M.rows, columns = M.columns;
  for (int64_t c = 0; c < channels; c += S::lanes) {
    Vector half[rows][columns];  // X M^T, transposed
    for (int i = 0; i < columns; ++i) {
      Vector x[columns], y[rows];
      for (int k = 0; k < columns; ++k) x[k] = S::load(from[i * columns + k] + c);
      multiply<M>(x, y);
      for (int j = 0; j < rows; ++j) half[j][i] = y[j];
    }
    for (int j = 0; j < rows; ++j) {
      Vector y[rows];
      multiply<M>(half[j], y);
      for (int i = 0; i < rows; ++i) S::store(to + (i * rows + j) * distance + c, y[i]);
    }
  }
}

// X (rows, rows) -> pixels M^T X M (columns, columns).
template <const auto& M>
void scatter(const float* from, int64_t distance, int64_t channels, const float* bias,
             float* const* to) {
  constexpr int rows = M.rows, columns = M.columns;
  for (int64_t c = 0; c < channels; c += S::lanes) {
    Vector half[columns][rows];  // X M, transposed
    for (int i = 0; i < rows; ++i) {
      Vector x[rows], y[columns];
      for (int k = 0; k < rows; ++k) x[k] = S::load(from + (i * rows + k) * distance + c);
      multiply_transposed<M>(x, y);
      for (int j = 0; j < columns; ++j) half[j][i] = y[j];
    }
    const Vector added = bias ? S::load(bias + c) : Vector{};
    for (int j = 0; j < columns; ++j) {
      Vector y[columns];
      multiply_transposed<M>(half[j], y);
      for (int i = 0; i < columns; ++i) S::store(to[i * columns + j] + c, y[i] + added);
    }
  }
}

template <int m>
constexpr WinogradKernels kernels() {
  using W = Winograd<m, 3>;
  return {m,
          gather<W::input>,
          gather<W::weights>,
          gather<W::results>,
          scatter<W::results>,
          scatter<W::weights>};
}

}  // namespace

const WinogradKernels kWinograd4x3 = kernels<4>();
const WinogradKernels kWinograd6x3 = kernels<6>();

}  // namespace slope::cpu::SLOPE_ISA
