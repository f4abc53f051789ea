// Jumps: times at which the field is discontinuous. A step ends at each of them, and its stages see
// the field on their own side: the step before a jump at T is evaluated up to the float before T,
// the one after it from the float after T on, in the dtype of the states, while T itself stays the
// exact end of the one and start of the other.
#pragma once

#include <span>
#include <vector>

#include "core/dtype.h"
#include "ode/scheme.h"

namespace slope::ode {

// Whether every time at which a step of the method evaluates the field can be moved to one side:
// those of a Runge-Kutta method. Others carry slopes or a velocity from before the jump.
bool keeps_sides(const Method& method);

// Where the slope at the beginning of a step from t is evaluated. direction: 1 or -1.
double start_time(const std::vector<double>& jumps, double t, double direction, Dtype dtype);

// Moves the stage times of the step from t to t1 to the near side of jumps at its ends. clock: h,
// then the time of each stage.
void take_sides(const std::vector<double>& jumps, double t, double t1, Dtype dtype,
                std::vector<double>& clock);

// method.clock_at_order, with the stage times of a Runge-Kutta method on the near sides.
Clock sided_clock(const Method& method, const Field& field, std::span<const double> before,
                  double t1, int order, Dtype dtype);

}  // namespace slope::ode
