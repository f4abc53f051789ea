#include "nn/attack/spsa.h"

#include <cmath>
#include <numeric>

#include "core/ops.h"

namespace slope::nn {
namespace {

Tensor estimated_gradient(Target& target, const AttackSamples& now, const Tensor& x,
                          int64_t iteration, const SpsaOptions& o) {
  Tensor sum;
  for (int64_t d = 0; d < o.directions; ++d) {
    const uint32_t number = stream(AttackStream::spsa, iteration * o.directions + d);
    const Tensor v = draw_like(now, o.seed, number, [](SampleRandom& r) { return r.sign(); });
    const std::vector<double> up = target.forward(x + v * o.delta, now).loss;
    const std::vector<double> down = target.forward(x - v * o.delta, now).loss;
    std::vector<double> rise;
    for (size_t i = 0; i < up.size(); ++i) {
      const double r = (up[i] - down[i]) / (2 * o.delta);
      rise.push_back(std::isfinite(r) ? r : 0);
    }
    const Tensor part = v * column(rise, v);
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

}  // namespace

Tensor spsa(Target& target, const AttackSamples& samples, const SpsaOptions& o) {
  const Ball ball{.eps = o.eps, .norm = o.norm, .range = o.range};
  ball.check("spsa");
  if (!(o.step > 0) || !(o.delta > 0) || std::isinf(o.step) || std::isinf(o.delta))
    throw ValueError(
        concat("spsa: step and delta must be positive, got ", o.step, " and ", o.delta, "."));
  if (o.iterations < 1 || o.directions < 1)
    throw ValueError(concat("spsa: iterations and samples must be at least 1, got ", o.iterations,
                            " and ", o.directions, "."));
  const bool stop = target.options().stop_when_fooled;
  std::vector<int64_t> places(static_cast<size_t>(samples.size()));
  std::iota(places.begin(), places.end(), int64_t{0});
  AttackSamples now = samples;
  Tensor x = samples.x;
  Found found(samples.x);
  for (int64_t k = 0;; ++k) {
    const Target::Evaluation e = target.forward(x, now);
    found.offer(places, x, e.loss, e.fooled);
    if (k == o.iterations) break;
    if (stop) {
      const std::vector<int64_t> left = places_without(e.fooled);
      if (left.empty()) break;
      if (left.size() < places.size()) {
        places = take(places, left);
        now = now.take(left);
        x = take_rows(x, left);
      }
    }
    x = ball.project(now.x, x + ball.direction(estimated_gradient(target, now, x, k, o)) * o.step);
  }
  return found.x();
}

}  // namespace slope::nn
