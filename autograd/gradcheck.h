// Gradient check: what the tape computes against central differences, along one random direction.
//
//   const GradcheckResult check = gradcheck(f, {x, w});
//   if (!check) std::cerr << check.message << "\n";
//
// One direction u tells as much as one difference for each value would: an error in any entry of
// the gradient shows in its product with u. It costs two more runs of f, whatever the sizes are.
#pragma once

#include <cstdint>
#include <string>

#include "autograd/functions.h"

namespace slope {

struct GradcheckOptions {
  double step = 1e-5;       // of the central difference; its error goes with step^2
  double tolerance = 1e-6;  // relative to sum |d_i u_i|, the terms that add up to the derivative
  uint64_t seed = 0;        // of the direction and of the cotangents
};

struct GradcheckResult {
  bool passed = false;
  double tape = 0;     // sum over outputs of <g, J u>, from the tape's gradient
  double numeric = 0;  // the same from (f(x + step u) - f(x - step u)) / (2 step)
  double allowed = 0;  // how far apart they may be
  std::string message;
  explicit operator bool() const { return passed; }
};

// f: xs -> outputs of any shapes; integer outputs are left out. xs must be float64 (in float32 a
// difference quotient has four digits at best) and away from kinks: there a gradient is a
// convention. Errors: an x or a float output of f that is not float64.
GradcheckResult gradcheck(const Function& f, const Tensors& xs,
                          const GradcheckOptions& options = {});

// The same for second derivatives: checks the map (xs, cotangents) -> gradients of f.
GradcheckResult gradcheck_second(const Function& f, const Tensors& xs,
                                 const GradcheckOptions& options = {});

}  // namespace slope
