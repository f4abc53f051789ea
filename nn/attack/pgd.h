// PGD: many small steps along the gradient, each followed by a projection back into the ball
// (Madry et al. 2018).
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

struct PgdOptions {
  double eps = 8.0 / 255;
  double step = 2.0 / 255;
  int64_t iterations = 20;
  int64_t restarts = 1;
  bool random_start = true;  // uniform in the ball; else from the clean sample
  // The result is where the last step ended, as published systems have it, rather than the best of
  // all that was seen on the way.
  bool last = false;
  AttackNorm norm = AttackNorm::linf;
  AttackLoss loss = AttackLoss::cross_entropy;
  Range range = {};
  uint64_t seed = 0;
};
// The best of all iterates of all restarts: one that fools the model, then one of high loss. A
// restart attacks only what has withstood those before it; inside of one a sample that is fooled
// rests too (TargetOptions::stop_when_fooled). So more steps or restarts are never weaker.
Tensor pgd(Target& target, const AttackSamples& samples, const PgdOptions& options);

}  // namespace slope::nn
