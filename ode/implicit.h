// One implicit Runge-Kutta step. Differentiable in t, h, y and the field's context.
#pragma once

#include <memory>

#include "ode/implicit_newton.h"
#include "ode/step.h"

namespace slope::ode {

// How well to solve for the slopes: to a small part of an adaptive solve's tolerances, or (both
// zero) to rounding, for fixed steps, whose error nobody knows.
struct ImplicitOptions {
  double rtol = 0;
  double atol = 0;
};

// The step of step.h, for a method whose slopes have to be solved for (m.implicit()): stage by
// stage where `a` is lower triangular, else all at once. y: any shape; axis 0 of more than one
// counts samples (see implicit_newton.h). k_first: f(t, y) where it is known already and a stage of
// the method. report: what it cost, and whether it converged; if not, the result is of no use.
// Errors: a field without gradient in y.
Step implicit_step(const Tableau& m, const Field& f, const StepTimes& at, const Tensor& y,
                   const Tensor& k_first, const ImplicitOptions& options,
                   const std::shared_ptr<NewtonReport>& report);

}  // namespace slope::ode
