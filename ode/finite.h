// NaN and infinity: whether a solve met them, and where they came from.
#pragma once

#include <string>
#include <vector>

#include "ode/field.h"
#include "ode/tableau.h"

namespace slope::ode {

// Waits for the device. x: any shape, float32 or float64.
bool all_finite(const Tensor& x);

// Takes the step from t to t1 once more and says where the first value that is not finite appears:
// "the field returned NaN at t = 0.25, stage 2 of the step from t = 0 with h = 0.5". y: the state
// at t.
std::string blame(const Tableau& m, const Field& field, double t, double t1, const Tensor& y);

// Goes through fixed steps again, this time with a look at each: how many are good, the state after
// them, and what is wrong with the next. y0: the state at grid[0].
struct GoodPart {
  size_t steps = 0;
  Tensor y;
  std::string reason;
};
GoodPart good_part(const Tableau& m, const Field& field, const std::vector<double>& grid,
                   const Tensor& y0);

}  // namespace slope::ode
