#include "ode/tolerance.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/dispatch.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/number_text.h"

namespace slope::ode {

std::vector<std::string> tolerance_warnings(const Adaptive& how, const Tensor& y) {
  const bool is_double = y.dtype() == Dtype::f64;
  const double least = 10 * (is_double ? std::numeric_limits<double>::epsilon()
                                       : double{std::numeric_limits<float>::epsilon()});
  if (how.rtol >= least || y.size() == 0) return {};
  const MuteTapes quiet;
  const double largest = max(abs(y)).item();
  if (!(how.atol + how.rtol * largest < least * largest)) return {};
  return {concat("solve: the tolerance is below rounding: rtol ", number_text(how.rtol), ", atol ",
                 number_text(how.atol), ", while ", name(y.dtype()), " states of size ",
                 rounded_text(largest), " are rounded by ", rounded_text(least / 20 * largest),
                 ". Take rtol from ", rounded_text(least), " on",
                 is_double ? "." : ", or float64.")};
}

bool needs_exact_kernels(const Solver& solver) {
  const auto* how = std::get_if<Adaptive>(&solver.stepping);
  return how && how->rtol < 1e-5;
}

}  // namespace slope::ode
