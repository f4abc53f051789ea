// NaN and infinity: whether a solve met them, and where they came from.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ode/scheme.h"

namespace slope::ode {

// Waits for the device. x: any shape, float32 or float64.
bool all_finite(const Tensor& x);

// Takes the step from before.back() to t1 once more and says where the first value that is not
// finite appears: "the field returned NaN at t = 0.25, stage 2 of the step from t = 0 with h =
// 0.5". before: the ends of all steps so far; state: at the last of them.
std::string blame(const Method& method, const Field& field, const Tensors& parameters,
                  std::span<const double> before, double t1, const Tensors& state);

// Goes through fixed steps again, this time with a look at each: how many are good, the state after
// them, and what is wrong with the next. ends: of all steps; the first of these steps begins at
// ends[first - 1], with the state `start`. orders: of these steps, or none.
struct GoodPart {
  size_t steps = 0;
  Tensors state;
  std::string reason;
};
GoodPart good_part(const Method& method, const Field& field, const Tensors& parameters,
                   const std::vector<double>& ends, size_t first, const std::vector<int>& orders,
                   const Tensors& start);

}  // namespace slope::ode
