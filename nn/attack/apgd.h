// APGD: PGD with momentum that halves its step by itself (Croce, Hein 2020, "Reliable evaluation of
// adversarial robustness").
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

struct ApgdOptions {
  double eps = 8.0 / 255;
  int64_t iterations = 100;
  int64_t restarts = 1;
  AttackNorm norm = AttackNorm::linf;
  AttackLoss loss = AttackLoss::cross_entropy;
  Range range = {};
  uint64_t seed = 0;
};
// Untargeted: `loss` is ce, dlr or cw. Restarts attack what has withstood those before.
Tensor apgd(Target& target, const AttackSamples& samples, const ApgdOptions& options);

// Targeted: one run for each of the `targets` classes that are likeliest on the clean sample after
// its own, with the targeted dlr (with fewer than 4 classes the targeted margin). options.loss is
// not used.
Tensor apgd_targeted(Target& target, const AttackSamples& samples, const ApgdOptions& options,
                     int64_t targets = 9);

// The iterations after which the step may be halved: 22, 41, 57, 70, 80, 87, 93, 99 of 100.
std::vector<int64_t> apgd_checkpoints(int64_t iterations);

}  // namespace slope::nn
