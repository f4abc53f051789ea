// Solving y' = f(t, y) from times.front() on, with the state at each of `times`.
#pragma once

#include <functional>
#include <vector>

#include "ode/checkpoints.h"
#include "ode/field.h"
#include "ode/solution.h"
#include "ode/solver.h"
#include "ode/step_plans.h"

namespace slope::ode {

struct SolveOptions {
  StepPlans* plans = nullptr;  // replay steps from here; null: compute them eagerly
  bool keep_states = false;    // fill Solution::states
  KeptStates* kept = nullptr;  // is offered the state before each step
  // Uploads the clock of a step, for times that carry a gradient.
  std::function<Tensor(const Clock& clock)> clock = {};
  // Makes the last of fixed steps, for a gradient that records it. state: at its beginning.
  std::function<Reached(const Clock& clock, const Tensors& state)> last_step = {};
  // Goes on from where this solve stopped: the times must begin at its t, y0 must be its y.
  const Solution* resume = nullptr;
  // Sees every step that is about to be taken: from t to t1, with y there. True ends the solve
  // before it.
  std::function<bool(double t, const Tensor& y, double t1, const Tensor& y1)> stop_before = {};
  // Of an adaptive solve whose y (M) is several states side by side: where each ends that the error
  // is estimated of. The largest of their scaled errors counts. Empty: y is one state.
  std::vector<int64_t> error_parts = {};
  // Scheme::parameters, if they have been made already.
  const Tensors* parameters = nullptr;
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
