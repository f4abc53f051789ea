// SPSA: PGD whose gradient is estimated from values alone (Uesato et al. 2018): what it breaks and
// PGD does not has a gradient that misleads.
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

struct SpsaOptions {
  double eps = 8.0 / 255;
  double step = 0.01;
  double delta = 0.01;  // of the difference quotient
  int64_t iterations = 40;
  int64_t directions = 128;            // averaged in one estimate; two forward passes each
  AttackNorm norm = AttackNorm::linf;  // as published; l2: the same with steps along the estimate
  Range range = {};
  uint64_t seed = 0;
};
// Estimate: mean over directions v of +-1 of (L(x + delta v) - L(x - delta v)) / (2 delta) v, L the
// margin. Then a step along its sign, as PGD (l2: along itself). The best iterate counts.
Tensor spsa(Target& target, const AttackSamples& samples, const SpsaOptions& options);

}  // namespace slope::nn
