// ExplicitScheme: an explicit Runge-Kutta method, whose steps are rk_step.
#pragma once

#include "ode/scheme.h"

namespace slope::ode {

// What all Runge-Kutta methods have in common: facts, key and clock of the scheme. The clock is
// that of step.h: h and the time of each stage.
MethodFacts runge_kutta_facts(const Tableau& m);
std::string runge_kutta_key(const Tableau& m);
Clock runge_kutta_clock(const Tableau& m, double t, double t1);

class ExplicitScheme final : public Scheme {
 public:
  explicit ExplicitScheme(Tableau tableau)
      : Scheme(runge_kutta_facts(tableau)), tableau_(std::move(tableau)) {}

  const Tableau* tableau() const override { return &tableau_; }
  std::string key() const override { return runge_kutta_key(tableau_); }
  bool begins_with_slope() const override { return true; }
  Clock clock(std::span<const double> before, double t1) const override {
    return runge_kutta_clock(tableau_, before.back(), t1);
  }
  Stepped step(const StepInput& in) const override;
  int64_t step_evaluations(size_t state, bool slope_known, bool with_error) const override;

 private:
  Tableau tableau_;
};

}  // namespace slope::ode
