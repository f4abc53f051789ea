#include "nn/attack/fgsm.h"

#include <cmath>

#include "core/ops.h"

namespace slope::nn {

Tensor fgsm(Target& target, const AttackSamples& samples, const FgsmOptions& o) {
  const Ball ball{.eps = o.eps, .norm = o.norm, .range = o.range};
  ball.check("fgsm");
  const Tensor g = target.evaluate(samples.x, samples, o.loss).gradient;
  return clamp(samples.x + ball.direction(g) * o.eps, o.range.low, o.range.high);
}

Tensor fgsm_random_start(const AttackSamples& samples, const FgsmRandomOptions& o) {
  const Ball ball{.eps = o.eps, .range = o.range};
  const uint32_t draws = stream(AttackStream::fgsm);
  return o.clip_start ? ball.random_start(samples, o.seed, draws)
                      : ball.random_near(samples, o.seed, draws);
}

Tensor fgsm_random(Target& target, const AttackSamples& samples, const FgsmRandomOptions& o) {
  const Ball ball{.eps = o.eps, .range = o.range};
  ball.check("fgsm-random");
  if (!(o.alpha >= 0) || std::isinf(o.alpha))
    throw ValueError(concat("fgsm-random: alpha must not be negative, got ", o.alpha, "."));
  const Tensor start = fgsm_random_start(samples, o);
  const Tensor g = target.evaluate(start, samples, o.loss).gradient;
  return ball.project(samples.x, start + ball.direction(g) * o.alpha);
}

}  // namespace slope::nn
