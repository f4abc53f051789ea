// The continuous adjoint (gradient_adjoint.h) of a solve whose samples have steps of their own,
// with steps of their own on the way back too.
//
// Each sample carries y and a. The gradients of the weights belong to no sample, so no sample's
// error estimate looks at them (which is the seminorm): they are the quadrature
//
//   g = -sum over samples, steps and stages of  h b_i a_i df/dw(t_i, y_i)
//
// over the steps that were accepted, with the weights b_i of the method itself: what the same steps
// would have given, had g been solved for along with a.
#pragma once

#include "ode/gradient.h"
#include "ode/per_sample.h"

namespace slope::ode {

// solve_per_sample(), on the tapes that listen, as one entry. A sample that has failed has no
// gradient. Errors: SolveError in the gradient when a sample's adjoint cannot be solved; ValueError
// for `interpolate`, and in gradients of gradients.
PerSampleSolution solve_adjoint_per_sample(const Field& field, const Tensor& y0,
                                           const std::vector<std::vector<double>>& times,
                                           const Solver& solver, const GradientOptions& options,
                                           StepPlans* plans);

}  // namespace slope::ode
