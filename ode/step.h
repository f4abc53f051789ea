// One explicit Runge-Kutta step. Differentiable in t, h, y and the field's context.
#pragma once

#include "ode/field.h"
#include "ode/tableau.h"

namespace slope::ode {

// The times of a step: h, then t_i = t + c_i h for each stage: (1 + s). The stage at the end of the
// step is evaluated at t1 exactly.
std::vector<double> step_times(const Tableau& m, double t, double t1);
// The same as one tensor of y's dtype.
Tensor step_clock(const Tableau& m, double t, double t1, Dtype dtype, Device device);

// What is on the clock. clock: (1 + s) or (1 + s, N, 1, .., 1) -> h and each t_i: () or (N, 1, ..,
// 1)
struct StepTimes {
  Tensor h;
  Tensors t;
};
StepTimes read_clock(const Tensor& clock);

struct Step {
  Tensor y1;       // like y
  Tensors slopes;  // k_1 .. k_s, like y
};
// The last slope of an FSAL method is f(t1, y1): of use to an error estimate or the next step only.
enum class LastSlope { evaluate, leave_out };

// y: any shape. k_first: f(t, y) where it is known already, like y; else it is evaluated.
Step rk_step(const Tableau& m, const Field& f, const StepTimes& at, const Tensor& y,
             const Tensor& k_first = {}, LastSlope last = LastSlope::evaluate);

// The estimated error of the step: h sum_i (b_i - b^_i) k_i, like y.
Tensor rk_error(const Tableau& m, const Tensor& h, const Tensors& slopes);

}  // namespace slope::ode
