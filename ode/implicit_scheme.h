// ImplicitScheme: a Runge-Kutta method whose slopes have to be solved for, stepping by
// implicit_step.
#pragma once

#include "ode/scheme.h"

namespace slope::ode {

class ImplicitScheme final : public Scheme {
 public:
  explicit ImplicitScheme(Tableau tableau);

  const Tableau* tableau() const override { return &tableau_; }
  std::string key() const override;
  // Newton's method looks at values to know when to stop.
  bool replayable() const override { return false; }
  void check(const Field& field, const Tensor& y0) const override;
  bool begins_with_slope() const override { return tableau_.explicit_stage(0); }
  Clock clock(std::span<const double> before, double t1) const override;
  Stepped step(const StepInput& in) const override;
  int64_t step_evaluations(size_t state, bool slope_known, bool with_error) const override;

 private:
  Tableau tableau_;
};

}  // namespace slope::ode
