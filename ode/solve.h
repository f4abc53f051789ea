// Solving y' = f(t, y) from times.front() on, with the state at each of `times`.
#pragma once

#include <functional>
#include <vector>

#include "ode/field.h"
#include "ode/solution.h"
#include "ode/solver.h"
#include "ode/step_plans.h"

namespace slope::ode {

struct SolveOptions {
  StepPlans* plans = nullptr;  // replay steps from here; null: compute them eagerly
  bool keep_states = false;    // fill Solution::states
  // The clock of a step from t to t1 (step.h), for times that carry a gradient.
  std::function<Tensor(double t, double t1)> clock = {};
  // Makes the last of fixed steps, y at t1 from y at t, for a gradient that records it.
  std::function<Tensor(double t, double t1, const Tensor& y)> last_step = {};
};

// y0: any shape, float32 or float64. times: t0 first, rising or falling; every output time ends a
// step exactly. Numerical trouble is a status, not an exception; wrong arguments throw ValueError.
//
// Steps are replayed from options.plans unless a tape listens or a plan captures. An adaptive solve
// reads one number from the device for each attempt; a fixed one reads only, at the end, whether
// the result is finite, and inside a capture not even that.
Solution solve(const Field& field, const Tensor& y0, const std::vector<double>& times,
               const Solver& solver, const SolveOptions& options = {});

}  // namespace slope::ode
