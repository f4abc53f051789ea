// The continuous adjoint: the gradient of a solve as the solution of a second ODE, backward in
// time.
//
//   y' = f(t, y)      a' = -a df/dy      g' = -a df/dw
//
// Solved from y(t1), a(t1) = dL/dy(t1), g(t1) = 0 back to t0, it gives dL/dy(t0) = a(t0) and
// dL/dw = g(t0) (Pontryagin; Chen, Rubanova, Bettencourt, Duvenaud, Neural ordinary differential
// equations, 2018). Where an output lies between, the gradient that arrives there is added to a,
// and y starts again from the state that was computed. So the memory is one state for each output,
// whatever the number of steps; and the gradient is that of the ODE, to the backward solve's
// tolerance, not that of the steps that were taken.
//
// Where the ODE damps, its solution backward in time grows, and the y that is solved back drifts
// away from the one that was there. With `interpolate` the states of all steps of the way forward
// are kept, y(t) is the dense output inside each, and only a and g are solved for. The way back
// then ends a step wherever the way forward did, since the dense output has a kink there.
//
// Gradients of the times need no equation: dL/dt_j = dL/dy(t_j) f(t_j, y(t_j)), and at the start
// -a(t0) f(t0, y(t0)).
#pragma once

#include "ode/gradient.h"

namespace slope::ode {

// solve(), on the tapes that listen, as one entry. watched_times: (T), or undefined. seminorm: the
// error estimate of the backward solve leaves out g, which nothing else depends on (Kidger, Chen,
// Lyons, "Hey, that's not an ODE", ICML 2021).
Solution solve_adjoint(const Field& field, const Tensor& y0, const std::vector<double>& times,
                       const Tensor& watched_times, const Solver& solver,
                       const GradientOptions& options, bool seminorm, StepPlans* plans);

}  // namespace slope::ode
