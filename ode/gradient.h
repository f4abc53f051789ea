// How to differentiate a solve: the bridge between ode and autograd.
#pragma once

#include <optional>
#include <string>

#include "ode/solve.h"

namespace slope::ode {

// The first three are exact gradients of the discrete solve: of what was computed, not of the ODE
// behind it. The choice of step sizes is never differentiated: the steps that were accepted count
// as given. `through` and `checkpointed` have the same bits. The adjoint is the gradient of the ODE
// itself, by a solve of its own backward in time (gradient_adjoint.h): as near the others as its
// tolerance makes it.
enum class Gradient {
  through,           // the tape keeps every op of every step
  checkpointed,      // one state is kept per step, or as many as there is memory for; the gradient
                     // computes each step once more, but for the last of fixed ones
  reversible,        // no state is kept: each is made again from the next one, up to rounding. For
                     // methods whose steps can be undone (MethodFacts::reversible)
  adjoint,           // only the outputs are kept
  adjoint_seminorm,  // the same, steps chosen without a look at the gradients of the context
};
const char* name(Gradient gradient);
// The gradient of this name: "checkpointed", "adjoint-seminorm"; anything else: ValueError that
// lists them.
Gradient parse_gradient(const std::string& word);

// For example GradientOptions{.most_states = 20}.
struct GradientOptions {
  // Checkpointed: at most so many states are kept at a time, y0 included; 0: one for each step.
  // The others are computed again from those, by the schedule that repeats the fewest steps
  // (checkpoints.h). The gradient's bits stay the same.
  int64_t most_states = 0;
  // Adjoint: the solver of the way back; nothing: as on the way forward. Fixed steps are then those
  // of the way forward.
  std::optional<Solver> backward = {};
  // Adjoint: y(t) comes from the steps of the way forward, whose states are all kept, and the dense
  // output inside them, not from a solve back from y(t1): that one is unstable where y' = f is
  // stiff.
  bool interpolate = false;
};
// Throws ValueError for options that another gradient has.
void check_options(Gradient gradient, const GradientOptions& options);

// What the words "checkpointed", "checkpointed,states=20" and "adjoint,interpolate" say.
struct GradientChoice {
  Gradient gradient = Gradient::checkpointed;
  GradientOptions options = {};
};
GradientChoice parse_gradient_word(const std::string& word);

// solve(), differentiable in y0 and in the field's context by the tapes that listen; without a tape
// it is solve(). With plans, the steps forward (not those of `through`) and backward are replayed.
// Errors: as solve(); a field that uses a watched tensor which is not in its context (all but
// `through` would lose its gradient); SolveError in the gradient when the adjoint cannot be solved.
Solution solve_differentiable(const Field& field, const Tensor& y0,
                              const std::vector<double>& times, const Solver& solver,
                              Gradient gradient = Gradient::checkpointed,
                              StepPlans* plans = nullptr, const GradientOptions& options = {});

// The same, differentiable in the times too. times: (T), read once. The gradient is that of the
// accepted steps at fixed fractions of the intervals between output times; the adjoint's that of
// the ODE. Of equal times the last gets the gradient of all.
Solution solve_differentiable(const Field& field, const Tensor& y0, const Tensor& times,
                              const Solver& solver, Gradient gradient = Gradient::checkpointed,
                              StepPlans* plans = nullptr, const GradientOptions& options = {});

}  // namespace slope::ode
