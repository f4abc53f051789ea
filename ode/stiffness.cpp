#include "ode/stiffness.h"

#include <cmath>
#include <limits>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/number_text.h"
#include "ode/stability.h"

namespace slope::ode {

double fastest_rate(const Field& field, double t, const Tensor& y, const Tensor& slope) {
  const MuteTapes quiet;
  const Field f = without_side_effects(field);
  const Tensor time = scalar(t, y.dtype(), y.device());
  const double epsilon = y.dtype() == Dtype::f64 ? std::numeric_limits<double>::epsilon()
                                                 : std::numeric_limits<float>::epsilon();
  const double distance = std::sqrt(epsilon) * std::max(rms(y).item(), 1e-3);
  // A direction that has a part in every other: up and down by turns, beside the solution's own.
  Tensor direction = slope / std::max(rms(slope).item(), 1e-30) +
                     cos(3.0 * arange(y.size(), y.dtype(), y.device()).reshape(y.shape()));
  double rate = 0;
  for (int round = 0; round < 10; ++round) {
    direction = direction * (distance / std::max(rms(direction).item(), 1e-30));
    direction = f(time, y + direction) - slope;
    rate = rms(direction).item() / distance;
    if (!std::isfinite(rate)) return 0;
  }
  return rate;
}

std::string advice_when_out_of_steps(const Method& method, const Adaptive& how, const Field& field,
                                     double t, const Tensor& y, double step) {
  const std::string change = concat("Raise rtol (now ", number_text(how.rtol), ") or max_steps.");
  // Adams methods that solve nothing are as explicit as the others.
  if (method.facts().implicit && !method.facts().multistep) return change;
  const Tensor time = scalar(t, y.dtype(), y.device());
  const MuteTapes quiet;
  const double rate = fastest_rate(field, t, y, without_side_effects(field)(time, y));
  const double limit = method->tableau() ? real_stability(*method->tableau()) : 1;
  if (!(step * rate > 0.3 * limit)) return change;
  return concat("The problem is stiff here: its fastest rate is about ", rounded_text(rate),
                ", and ", method.name(), " is stable only in steps up to ",
                rounded_text(limit / rate), ". Take an implicit method, as in kvaerno3@",
                number_text(how.rtol), ". ", change);
}

}  // namespace slope::ode
