// The matrices of Winograd's short convolutions F(m, r): m results of a filter with r taps, from n
// = m + r - 1 values d, with n products instead of m r:
//
//   y = A^T [ (G w) * (B^T d) ],   y[i] = sum over k of w[k] d[i + k]
//
// This is the multiplication of polynomials by evaluating, multiplying and interpolating (Toom and
// Cook), transposed (Winograd, Arithmetic Complexity of Computations, 1980, chapter IV). The points
// are the first n - 1 of 0, 1, -1, 2, -2, 1/2, -1/2, and infinity; F(4, 3) and F(6, 3) are then
// those of Lavin and Gray (2016). More points cost accuracy: in float32 two-dimensional F(4, 3)
// errs by 1.2e-6 of the results' size (rms), F(6, 3) by 2.4e-6, F(7, 3) already by 2e-5.
//
// Every entry is a rational number made exactly in double; only the division by N rounds.
//
// Include it from *_kernel.cpp files only.
#pragma once

namespace slope::cpu::SLOPE_ISA {

template <int row_count, int column_count>
struct Matrix {
  static constexpr int rows = row_count, columns = column_count;
  double at[row_count][column_count] = {};

  // Whether rows j and j + 1 belong to points a and -a: the even columns equal, the odd ones
  // opposite.
  constexpr bool mirrored(int j) const {
    if (j + 1 >= rows) return false;
    for (int k = 0; k < columns; ++k) {
      if (at[j + 1][k] != (k % 2 == 0 ? at[j][k] : -at[j][k])) return false;
    }
    return true;
  }
};

inline constexpr double kWinogradPoints[] = {0, 1, -1, 2, -2, 0.5, -0.5};

template <int m, int r>
struct Winograd {
  static constexpr int n = m + r - 1, finite = n - 1;
  static_assert(finite <= 7, "kWinogradPoints has no more");

  // Coefficients of the product of (x - a) over the finite points, all but the one left out; row
  // `finite` leaves out none.
  static constexpr void multiply_out(int left_out, double* coefficients) {
    coefficients[0] = 1;
    int degree = 0;
    for (int l = 0; l < finite; ++l) {
      if (l == left_out) continue;
      coefficients[++degree] = 0;
      for (int k = degree; k >= 0; --k) {
        coefficients[k] = (k > 0 ? coefficients[k - 1] : 0) - kWinogradPoints[l] * coefficients[k];
      }
    }
  }

  // a^0, a^1, .. of each point, divided by N = the product of its distances to the others if
  // `divided`; infinity sees the highest power only.
  template <int powers>
  static constexpr Matrix<n, powers> evaluation(bool divided) {
    Matrix<n, powers> result;
    for (int j = 0; j < finite; ++j) {
      double power = 1, distances = 1;
      for (int l = 0; divided && l < finite; ++l) {
        if (l != j) distances *= kWinogradPoints[j] - kWinogradPoints[l];
      }
      for (int k = 0; k < powers; ++k, power *= kWinogradPoints[j]) {
        result.at[j][k] = power / distances;
      }
    }
    result.at[finite][powers - 1] = 1;
    return result;
  }

  static constexpr Matrix<n, n> make_input() {
    Matrix<n, n> result;
    for (int j = 0; j < n; ++j) multiply_out(j, result.at[j]);
    return result;
  }

  static constexpr Matrix<n, n> input = make_input();            // B^T
  static constexpr Matrix<n, r> weights = evaluation<r>(true);   // G
  static constexpr Matrix<n, m> results = evaluation<m>(false);  // A
};

}  // namespace slope::cpu::SLOPE_ISA
