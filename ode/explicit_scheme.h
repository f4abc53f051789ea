// ExplicitScheme: an explicit Runge-Kutta method, whose steps are rk_step.
#pragma once

#include "ode/scheme.h"

namespace slope::ode {

class ExplicitScheme final : public Scheme {
 public:
  explicit ExplicitScheme(Tableau tableau);

  const Tableau* tableau() const override { return &tableau_; }
  std::string key() const override;
  bool begins_with_slope() const override { return true; }
  // The clock of step.h: h and the time of each stage.
  Clock clock(std::span<const double> before, double t1) const override;
  Stepped step(const StepInput& in) const override;
  int64_t step_evaluations(size_t state, bool slope_known, bool with_error) const override;

 private:
  Tableau tableau_;
};

}  // namespace slope::ode
