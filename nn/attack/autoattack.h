// AutoAttack: attacks without parameters to be tuned, one after the other, each on what has
// withstood those before (Croce, Hein 2020). Robust accuracy is the share of survivors.
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

// standard: APGD-CE, targeted APGD, targeted FAB, Square.
// plus: APGD-CE and APGD-DLR with 5 restarts, FAB with 5, Square, targeted APGD, targeted FAB
// with 5. rand: APGD-CE and APGD-DLR, for models that draw something: the target averages over 20
// draws
//   (TargetOptions::draws).
enum class AutoAttackVersion { standard, plus, rand };

struct AutoAttackOptions {
  double eps = 8.0 / 255;
  AttackNorm norm = AttackNorm::linf;
  AutoAttackVersion version = AutoAttackVersion::standard;
  int64_t iterations = 100;  // of APGD and FAB
  int64_t queries = 5000;    // of Square
  Range range = {};
  uint64_t seed = 0;
};
// With 2 classes the margin stands for DLR (and 2 or 3 for its targeted form).
Tensor autoattack(Target& target, const AttackSamples& samples, const AutoAttackOptions& options);

}  // namespace slope::nn
