// Stiffness: whether an explicit method is held back by stability, not by accuracy.
#pragma once

#include <string>

#include "ode/solver.h"

namespace slope::ode {

// The fastest rate of the field near (t, y): roughly the largest |eigenvalue| of df/dy, by ten
// rounds of power iteration on differences of f. slope: f(t, y), like y: any shape. Evaluates the
// field ten times. Never differentiated.
double fastest_rate(const Field& field, double t, const Tensor& y, const Tensor& slope);

// What to do about a solve with this method and tolerance that ran out of steps at (t, y), where
// its last steps had this size: takes a look at the fastest rate, and says either that the problem
// is stiff and which method to take, or which number to change.
std::string advice_when_out_of_steps(const Method& method, const Adaptive& how, const Field& field,
                                     double t, const Tensor& y, double step);

}  // namespace slope::ode
