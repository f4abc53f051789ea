// A batch of six samples for gradients of solves whose samples have steps of their own.
#pragma once

#include <cmath>
#include <vector>

#include "core/ops/movement.h"

namespace slope::ode {

// Starts that need different numbers of steps: (6, 3).
inline Tensor starts() {
  std::vector<double> values;
  for (int i = 0; i < 18; ++i) values.push_back((0.2 + i / 3) * std::sin(1.1 * i + 0.4));
  return tensor(values, {6, 3}, Dtype::f64);
}
// The weight of each sample in the loss.
inline const Tensor kScale = tensor({1, -0.5, 2, 0.3, -1, 1.5}, {6, 1}, Dtype::f64);

}  // namespace slope::ode
