// The checkpointed gradient: one state is kept per step, and the gradient computes each step once
// more.
#pragma once

#include "ode/solve.h"

namespace slope::ode {

// solve(), on the tapes that listen, as one entry. watched_times: (T), or undefined.
Solution solve_checkpointed(const Field& field, const Tensor& y0, const std::vector<double>& times,
                            const Tensor& watched_times, const Solver& solver, StepPlans* plans);

}  // namespace slope::ode
