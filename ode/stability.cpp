#include "ode/stability.h"

#include <algorithm>
#include <cmath>

namespace slope::ode {
namespace {

using Complex = std::complex<double>;

// x with (I - z A) x = (1, .., 1), by elimination with pivots; forward substitution where A is
// strictly lower triangular.
std::vector<Complex> stage_values(const Tableau& m, Complex z) {
  const size_t n = m.b.size();
  std::vector<std::vector<Complex>> rows(n, std::vector<Complex>(n + 1));  // the right side last
  for (size_t i = 0; i < n; ++i) {
    rows[i][i] = rows[i][n] = 1;
    for (size_t j = 0; j < m.a[i].size(); ++j) rows[i][j] -= z * m.a[i][j];
  }
  for (size_t i = 0; i < n; ++i) {
    size_t pivot = i;
    for (size_t r = i + 1; r < n; ++r) {
      if (std::norm(rows[r][i]) > std::norm(rows[pivot][i])) pivot = r;
    }
    std::swap(rows[i], rows[pivot]);
    for (size_t r = i + 1; r < n; ++r) {
      if (rows[r][i] == 0.0) continue;
      const Complex factor = rows[r][i] / rows[i][i];
      for (size_t j = i; j <= n; ++j) rows[r][j] -= factor * rows[i][j];
    }
  }
  std::vector<Complex> x(n);
  for (size_t i = n; i-- > 0;) {
    x[i] = rows[i][n];
    for (size_t j = i + 1; j < n; ++j) x[i] -= rows[i][j] * x[j];
    x[i] /= rows[i][i];
  }
  return x;
}

// Where |R(x direction)| first exceeds its limit: in steps, then by bisection.
double boundary(const Tableau& m, Complex direction) {
  constexpr double kEnd = 100, kLimit = 1 + 1e-7;
  const auto unstable = [&](double x) {
    return std::abs(stability_function(m, m.b, x * direction)) > kLimit;
  };
  double low = 0, high = 0;
  while (high < kEnd) {
    low = high;
    high += high < 10 ? 1e-3 : 0.1;
    if (!unstable(high)) continue;
    while (high - low > 1e-12) {
      const double middle = (low + high) / 2;
      (unstable(middle) ? high : low) = middle;
    }
    return low;
  }
  return HUGE_VAL;
}

}  // namespace

Complex stability_function(const Tableau& m, const std::vector<double>& weights, Complex z) {
  const std::vector<Complex> x = stage_values(m, z);
  Complex sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) sum += weights[i] * x[i];
  return 1.0 + z * sum;
}

double real_stability(const Tableau& m) { return boundary(m, -1); }

double imaginary_stability(const Tableau& m) { return boundary(m, {0, 1}); }

}  // namespace slope::ode
