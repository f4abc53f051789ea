// Attacks that look for the nearest point where the model changes its mind: FAB (Croce, Hein 2020,
// "Minimally distorted adversarial examples with a fast adaptive boundary attack") and DeepFool
// (Moosavi-Dezfooli, Fawzi, Frossard 2016).
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

struct FabOptions {
  double eps = 8.0 / 255;  // what is nearer than this counts; the others stay clean
  int64_t iterations = 100;
  int64_t targets = 9;   // 0: untargeted, towards whichever class's boundary is nearest
  int64_t restarts = 1;  // per target; all but the first begin at random, eps / 2 away
  AttackNorm norm = AttackNorm::linf;
  Range range = {};
  uint64_t seed = 0;
};
// Per target class t: the boundary z_t = z_y is taken for flat where x is; x moves to
// it and beyond, pulled back towards the clean sample; what fools the model is drawn nearer again.
Tensor fab(Target& target, const AttackSamples& samples, const FabOptions& options);

struct DeepFoolOptions {
  int64_t iterations = 50;
  double overshoot = 0.02;
  AttackNorm norm = AttackNorm::l2;
  Range range = {};
};
// Steps to the nearest of the boundaries, taken for flat, until the model is fooled. No eps: the
// result is as near as it comes.
Tensor deepfool(Target& target, const AttackSamples& samples, const DeepFoolOptions& options);

// The smallest change d in the norm with value + <w, d> = 0 and every value of x + d in
// the range; where none reaches the plane, the largest step towards it. x, w: of one sample.
std::vector<double> step_to_plane(const double* x, const double* w, double value, int64_t size,
                                  const Range& range, AttackNorm norm = AttackNorm::linf);

}  // namespace slope::nn
