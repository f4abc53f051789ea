// PGD: many small steps along the gradient, each followed by a projection back into the ball
// (Madry et al. 2018).
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

enum class PgdStart {
  uniform,  // in the ball
  clean,    // the clean sample, for restarts too
  normal,   // 0.001 N(0, 1) beside the clean sample, where kl has no gradient (Zhang et al. 2019)
};

struct PgdOptions {
  double eps = 8.0 / 255;
  double step = 2.0 / 255;
  int64_t iterations = 20;
  int64_t restarts = 1;
  PgdStart start = PgdStart::uniform;
  // The result is where the last step ended, as published systems have it, rather than the best of
  // all that was seen on the way.
  bool last = false;
  AttackNorm norm = AttackNorm::linf;
  AttackLoss loss = AttackLoss::cross_entropy;
  Range range = {};
  uint64_t seed = 0;
};
// With AttackLoss::kl the samples' clean_logits, or else what the model now says of them.
//
// The best of all iterates of all restarts: one that fools the model, then one of high loss. A
// restart attacks only what has withstood those before it; inside of one a sample that is fooled
// rests too (TargetOptions::stop_when_fooled). So more steps or restarts are never weaker.
Tensor pgd(Target& target, const AttackSamples& samples, const PgdOptions& options);

}  // namespace slope::nn
