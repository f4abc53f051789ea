#include "ode/explicit_scheme.h"

#include "core/error.h"
#include "ode/step.h"

namespace slope::ode {

MethodFacts runge_kutta_facts(const Tableau& m) {
  return {.name = m.name,
          .order = m.order,
          .embedded_order = m.has_error() ? m.embedded_order : 0,
          .stages = m.stages(),
          .dense_order = m.dense_order,
          .fsal = m.fsal(),
          .adaptive = m.adaptive,
          .implicit = m.implicit()};
}

std::string runge_kutta_key(const Tableau& m) {
  std::string key = concat(m.name, " ", m.stages());
  const auto add = [&](const std::vector<double>& values) {
    key.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  };
  add(m.b);
  add(m.b_error);
  for (const auto& row : m.a) add(row);
  return key;
}

Clock runge_kutta_clock(const Tableau& m, double t, double t1) {
  Clock clock{.values = step_times(m, t, t1), .times = {t, t1}, .slopes = {}};
  clock.slopes.resize(2);
  for (auto& slopes : clock.slopes) slopes.reserve(m.c.size() + 1);
  clock.slopes[0].push_back(-1);
  clock.slopes[1].push_back(1);
  for (double c : m.c) {
    clock.slopes[0].push_back(1 - c);
    clock.slopes[1].push_back(c);
  }
  return clock;
}

Stepped ExplicitScheme::step(const StepInput& in) const {
  const StepTimes at = read_clock(in.clock);
  const LastSlope last = in.with_error ? LastSlope::evaluate : LastSlope::leave_out;
  const Step made = rk_step(tableau_, in.field, at, in.state[0], in.slope, last);
  if (!in.with_error) return {.fresh = {made.y1}};
  return {.fresh = {made.y1},
          .slope = tableau_.fsal() ? made.slopes.back() : Tensor(),
          .error = rk_error(tableau_, at.h, made.slopes)};
}

int64_t ExplicitScheme::step_evaluations(size_t, bool slope_known, bool with_error) const {
  const bool leaves_out = tableau_.fsal() && !with_error;
  return tableau_.stages() - (slope_known ? 1 : 0) - (leaves_out ? 1 : 0);
}

}  // namespace slope::ode
