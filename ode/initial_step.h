// The first step size, from the field (Hairer, Norsett, Wanner, Solving ODEs I, section II.4).
#pragma once

#include "core/ops/solver.h"
#include "ode/stepper.h"

namespace slope::ode {

// Its arithmetic, with d0, d1: the norms of y0 and f(t0, y0); h0: a small Euler step that shows how
// fast the slope changes; d2: the norm of that change, over h0. NaN if d0 or d1 is not finite.
double trial_step(double d0, double d1);
double initial_step_size(double h0, double d1, double d2, int order);

// The order whose steps an adaptive solve begins with: what `order` below is.
int starting_order(const Scheme& method);

// y0: any shape, k0: f(t0, y0), like y0; direction: 1 or -1. Evaluates the field once and reads
// three numbers from the device. NaN if y0 or the field is not finite. Never differentiated.
double initial_step(Stepper& step, double t0, const Tensor& y0, const Tensor& k0, double direction,
                    const ErrorNormOptions& norm, int order);

}  // namespace slope::ode
