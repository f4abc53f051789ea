// Gradients through a solve whose samples have steps of their own.
#pragma once

#include "ode/gradient.h"
#include "ode/per_sample.h"

namespace slope::ode {

// solve_per_sample(), differentiable in y0 and the field's context by the tapes that listen: the
// exact gradient of the accepted steps of each sample, checkpointed (one state per attempt is kept)
// or through; or the adjoint, where both of its names mean the same
// (gradient_adjoint_per_sample.h). Times carry no gradient. A sample that has failed has none
// either, and does not touch that of the others. options: most_states is refused, as the states of
// attempts are kept for all samples at once.
PerSampleSolution solve_per_sample_differentiable(const Field& field, const Tensor& y0,
                                                  const std::vector<std::vector<double>>& times,
                                                  const Solver& solver,
                                                  Gradient gradient = Gradient::checkpointed,
                                                  StepPlans* plans = nullptr,
                                                  const GradientOptions& options = {});

}  // namespace slope::ode
