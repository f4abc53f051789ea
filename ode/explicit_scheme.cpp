#include "ode/explicit_scheme.h"

#include "core/error.h"
#include "ode/step.h"

namespace slope::ode {
namespace {

MethodFacts facts_of(const Tableau& m) {
  return {.name = m.name,
          .order = m.order,
          .embedded_order = m.has_error() ? m.embedded_order : 0,
          .stages = m.stages(),
          .dense_order = m.dense_order,
          .fsal = m.fsal(),
          .adaptive = m.adaptive};
}

}  // namespace

ExplicitScheme::ExplicitScheme(Tableau tableau)
    : Scheme(facts_of(tableau)), tableau_(std::move(tableau)) {}

std::string ExplicitScheme::key() const {
  std::string key = concat(tableau_.name, " ", tableau_.stages());
  const auto add = [&](const std::vector<double>& values) {
    key.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  };
  add(tableau_.b);
  add(tableau_.b_error);
  for (const auto& row : tableau_.a) add(row);
  return key;
}

Clock ExplicitScheme::clock(std::span<const double> before, double t1) const {
  const double t = before.back();
  Clock clock{.values = step_times(tableau_, t, t1), .times = {t, t1}, .slopes = {{-1}, {1}}};
  for (double c : tableau_.c) {
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
