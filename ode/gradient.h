// How to differentiate a solve: the bridge between ode and autograd.
#pragma once

#include <string>

#include "ode/solve.h"

namespace slope::ode {

// Exact gradients of the discrete solve: of what was computed, not of the ODE behind it. The choice
// of step sizes is never differentiated: the steps that were accepted count as given. `through` and
// `checkpointed` have the same bits.
enum class Gradient {
  through,       // the tape keeps every op of every step
  checkpointed,  // one state is kept per step; the gradient computes each step once more, but for
                 // the last of fixed ones
  reversible,    // no state is kept: each is made again from the next one, up to rounding. For
                 // methods whose steps can be undone (MethodFacts::reversible)
};
const char* name(Gradient gradient);
// "checkpointed", "through" or "reversible"; anything else: ValueError that lists them.
Gradient parse_gradient(const std::string& word);

// solve(), differentiable in y0 and in the field's context by the tapes that listen; without a tape
// it is solve(). With plans, the steps forward (checkpointed) and their gradients are replayed.
// Errors: as solve(); a field that uses a watched tensor which is not in its context (checkpointed
// would lose its gradient).
Solution solve_differentiable(const Field& field, const Tensor& y0,
                              const std::vector<double>& times, const Solver& solver,
                              Gradient gradient = Gradient::checkpointed,
                              StepPlans* plans = nullptr);

// The same, differentiable in the times too. times: (T), read once. The gradient is that of the
// accepted steps at fixed fractions of the intervals between output times.
Solution solve_differentiable(const Field& field, const Tensor& y0, const Tensor& times,
                              const Solver& solver, Gradient gradient = Gradient::checkpointed,
                              StepPlans* plans = nullptr);

}  // namespace slope::ode
