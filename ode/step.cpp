#include "ode/step.h"

#include "core/ops/movement.h"
#include "core/ops/solver.h"

namespace slope::ode {

std::vector<double> step_times(const Tableau& m, double t, double t1) {
  const double h = t1 - t;
  std::vector<double> times;
  times.reserve(m.c.size() + 1);
  times.push_back(h);
  for (double c : m.c) times.push_back(c == 1 ? t1 : t + c * h);
  return times;
}

Tensor step_clock(const Tableau& m, double t, double t1, Dtype dtype, Device device) {
  const std::vector<double> clock = step_times(m, t, t1);
  return tensor(clock, {static_cast<int64_t>(clock.size())}, dtype, device);
}

StepTimes read_clock(const Tensor& clock) {
  StepTimes at{.h = squeeze(slice(clock, 0, 0, 1), 0), .t = {}};
  for (int64_t i = 1; i < clock.dim(0); ++i) at.t.push_back(squeeze(slice(clock, 0, i, i + 1), 0));
  return at;
}

Step rk_step(const Tableau& m, const Field& f, const StepTimes& at, const Tensor& y,
             const Tensor& k_first, LastSlope last) {
  const auto stages = static_cast<size_t>(m.stages());
  const bool fsal = m.fsal();

  Tensors k = {k_first.defined() ? k_first : f(at.t[0], y)};
  Tensor argument = y;
  for (size_t i = 1; i < stages; ++i) {
    argument = rk_combine(y, at.h, k, m.a[i]);  // y + h sum_j a_ij k_j
    if (fsal && i + 1 == stages && last == LastSlope::leave_out) break;
    k.push_back(f(at.t[i], argument));
  }
  // Where the last row of a is b, the argument of the last stage is y1 itself.
  const Tensor y1 = fsal ? argument : rk_combine(y, at.h, k, m.b);
  return {y1, k};
}

Tensor rk_error(const Tableau& m, const Tensor& h, const Tensors& slopes) {
  return rk_combine({}, h, slopes, m.b_error);
}

}  // namespace slope::ode
