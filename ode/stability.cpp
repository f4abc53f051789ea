#include "ode/stability.h"

#include <complex>

namespace slope::ode {
namespace {

// Where |R(x direction)| first exceeds its limit: in steps, then by bisection.
double boundary(const Tableau& m, std::complex<double> direction) {
  constexpr double kStep = 1e-3, kEnd = 100, kLimit = 1 + 1e-7;
  const std::vector<double> r = stability_polynomial(m);
  const auto unstable = [&](double x) {
    std::complex<double> value = 0;
    for (size_t n = r.size(); n-- > 0;) value = value * (x * direction) + r[n];
    return std::abs(value) > kLimit;
  };
  for (double high = kStep; high < kEnd; high += kStep) {
    if (!unstable(high)) continue;
    double low = high - kStep;
    while (high - low > 1e-12) {
      const double middle = (low + high) / 2;
      (unstable(middle) ? high : low) = middle;
    }
    return low;
  }
  return kEnd;
}

}  // namespace

std::vector<double> stability_polynomial(const Tableau& m) {
  const auto stages = static_cast<size_t>(m.stages());
  std::vector<double> r = {1};
  std::vector<double> power(stages, 1);  // A^n (1, .., 1)
  for (size_t n = 0; n < stages; ++n) {
    double sum = 0;
    std::vector<double> next(stages, 0);
    for (size_t i = 0; i < stages; ++i) {
      sum += m.b[i] * power[i];
      for (size_t j = 0; j < i; ++j) next[i] += m.a[i][j] * power[j];
    }
    r.push_back(sum);
    power = next;
  }
  return r;
}

double real_stability(const Tableau& m) { return boundary(m, -1); }

double imaginary_stability(const Tableau& m) { return boundary(m, {0, 1}); }

}  // namespace slope::ode
