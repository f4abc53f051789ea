#include "ode/finite.h"

#include <cmath>

#include "core/dispatch.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/number_text.h"
#include "ode/step.h"

namespace slope::ode {
namespace {

Step step_again(const Tableau& m, const Field& field, double t, double t1, const Tensor& y,
                LastSlope last) {
  const Tensor clock = step_clock(m, t, t1, y.dtype(), y.device());
  return rk_step(m, without_side_effects(field), read_clock(clock), y, {}, last);
}

}  // namespace

bool all_finite(const Tensor& x) {
  const MuteTapes quiet;
  return x.size() == 0 || min(is_finite(x)).item() == 1;
}

std::string blame(const Tableau& m, const Field& field, double t, double t1, const Tensor& y) {
  const MuteTapes quiet;
  if (!all_finite(y)) return concat("the state at t = ", rounded_text(t), " is not finite");
  const Step step = step_again(m, field, t, t1, y, LastSlope::evaluate);
  const std::string where =
      concat(" of the step from t = ", rounded_text(t), " with h = ", rounded_text(t1 - t));
  for (size_t i = 0; i < step.slopes.size(); ++i) {
    if (all_finite(step.slopes[i])) continue;
    bool nan = false;
    for (double value : step.slopes[i].values()) nan = nan || std::isnan(value);
    return concat("the field returned ", nan ? "NaN" : "an infinite value",
                  " at t = ", rounded_text(m.c[i] == 1 ? t1 : t + m.c[i] * (t1 - t)), ", stage ",
                  i + 1, where);
  }
  return concat("the state overflows at the end", where);
}

GoodPart good_part(const Tableau& m, const Field& field, const std::vector<double>& grid,
                   const Tensor& y0) {
  const MuteTapes quiet;
  GoodPart good{.steps = 0, .y = y0, .reason = ""};
  while (good.steps + 1 < grid.size()) {
    const double t = grid[good.steps], t1 = grid[good.steps + 1];
    const Tensor y1 = step_again(m, field, t, t1, good.y, LastSlope::leave_out).y1;
    if (!all_finite(y1)) {
      good.reason = blame(m, field, t, t1, good.y);
      break;
    }
    good.y = y1;
    ++good.steps;
  }
  return good;
}

}  // namespace slope::ode
