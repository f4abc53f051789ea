#include "ode/initial_step.h"

#include <algorithm>
#include <cmath>

#include "core/dispatch.h"
#include "core/ops/pointwise.h"

namespace slope::ode {

double trial_step(double d0, double d1) {
  if (!std::isfinite(d0 + d1)) return NAN;
  return d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
}

// The step whose error would be about a hundredth of the tolerance. 1 / order, not 1 / (order + 1):
// the estimate belongs to the embedded result of order - 1, and step counts match torchdiffeq's.
double initial_step_size(double h0, double d1, double d2, int order) {
  const double steepest = std::max(d1, d2);
  const double h1 =
      steepest <= 1e-15 ? std::max(1e-6, 1e-3 * h0) : std::pow(0.01 / steepest, 1.0 / order);
  return std::min(100 * h0, h1);
}

int starting_order(const Scheme& method) {
  return method.first_order() > 0 ? method.first_order() : method.facts().error_order();
}

double initial_step(Stepper& step, double t0, const Tensor& y0, const Tensor& k0, double direction,
                    const ErrorNormOptions& norm, int order) {
  const MuteTapes quiet;
  const auto size = [&](const Tensor& x) {
    return scaled_error(x, y0, y0, norm, step.error_parts()).item();
  };
  const double d0 = size(y0), d1 = size(k0), h0 = trial_step(d0, d1);
  if (std::isnan(h0)) return NAN;
  const Tensor h = scalar(direction * h0, y0.dtype(), y0.device());
  const Tensor y1 = rk_combine(y0, h, Tensors{k0}, std::vector<double>{1});
  const double d2 = size(step.slope(t0 + direction * h0, y1) - k0) / h0;
  return initial_step_size(h0, d1, d2, order);
}

}  // namespace slope::ode
