// FGSM: one step along the sign of the loss's gradient (Goodfellow, Shlens, Szegedy 2015).
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

struct FgsmOptions {
  double eps = 8.0 / 255;  // size of the step
  Range range = {};
  AttackNorm norm = AttackNorm::linf;
  AttackLoss loss = AttackLoss::cross_entropy;
};
// clip(x + eps * sign(dL/dx)), or eps g / |g| in L2. Where the gradient is zero nothing changes.
Tensor fgsm(Target& target, const AttackSamples& samples, const FgsmOptions& options);

// The same from a random start in the ball, the attack of "fast" adversarial training (Wong, Rice,
// Kolter 2020): x + clip(u + alpha sign(dL/dx at x + u), -eps, eps), in the range.
struct FgsmRandomOptions {
  double eps = 8.0 / 255;
  double alpha = 10.0 / 255;
  // x + u is brought into the range before its gradient is taken, as for CIFAR-10; for MNIST the
  // published code does that to the result only.
  bool clip_start = true;
  Range range = {};
  AttackLoss loss = AttackLoss::cross_entropy;
  uint64_t seed = 0;
};
// Where it begins: x + u.
Tensor fgsm_random_start(const AttackSamples& samples, const FgsmRandomOptions& options);
Tensor fgsm_random(Target& target, const AttackSamples& samples, const FgsmRandomOptions& options);

}  // namespace slope::nn
