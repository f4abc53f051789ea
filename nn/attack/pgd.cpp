#include "nn/attack/pgd.h"

#include <cmath>
#include <numeric>

#include "core/ops.h"

namespace slope::nn {
namespace {

void check(const PgdOptions& o) {
  if (!(o.step > 0) || std::isinf(o.step))
    throw ValueError(concat("pgd: step must be positive, got ", o.step, "."));
  if (o.iterations < 1)
    throw ValueError(concat("pgd: iterations must be at least 1, got ", o.iterations, "."));
  if (o.restarts < 1)
    throw ValueError(concat("pgd: restarts must be at least 1, got ", o.restarts, "."));
}

}  // namespace

Tensor pgd(Target& target, const AttackSamples& samples, const PgdOptions& o) {
  const Ball ball{.eps = o.eps, .norm = o.norm, .range = o.range};
  ball.check("pgd");
  check(o);
  const bool stop = target.options().stop_when_fooled && !o.last;
  std::vector<int64_t> everybody(static_cast<size_t>(samples.size()));
  std::iota(everybody.begin(), everybody.end(), int64_t{0});

  Found found(samples.x);
  for (int64_t restart = 0; restart < o.restarts; ++restart) {
    std::vector<int64_t> places = stop ? places_without(found.fooled()) : everybody;
    if (places.empty()) break;
    AttackSamples now = samples.take(places);
    Tensor x =
        o.random_start ? ball.random_start(now, o.seed, stream(AttackStream::pgd, restart)) : now.x;
    for (int64_t k = 0; k < o.iterations && !places.empty(); ++k) {
      Target::Evaluation e = target.evaluate(x, now, o.loss);
      if (!o.last) found.offer(places, x, e.loss, e.fooled);
      Tensor g = e.gradient;
      if (stop) {
        const std::vector<int64_t> left = places_without(e.fooled);
        if (left.size() < places.size()) {
          places = take(places, left);
          if (places.empty()) break;
          now = now.take(left);
          x = take_rows(x, left);
          g = take_rows(g, left);
        }
      }
      x = ball.project(now.x, x + ball.direction(g) * o.step);
    }
    if (places.empty()) continue;
    const Target::Evaluation end = target.forward(x, now, o.loss);
    found.offer(places, x, end.loss, end.fooled);
  }
  return found.x();
}

}  // namespace slope::nn
