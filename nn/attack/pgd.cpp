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

constexpr double kBeside = 0.001;  // TRADES: the standard deviation of where it begins

Tensor start_of(const AttackSamples& samples, const Ball& ball, const PgdOptions& o,
                uint32_t stream) {
  switch (o.start) {
    case PgdStart::uniform:
      return ball.random_start(samples, o.seed, stream);
    case PgdStart::normal:  // may leave the ball, as published; the first step brings it back
      return samples.x + draw_like(samples, o.seed, stream,
                                   [](SampleRandom& r) { return kBeside * r.normal(); });
    case PgdStart::clean:
      break;
  }
  return samples.x;
}

AttackSamples with_clean_logits(Target& target, AttackSamples samples) {
  std::vector<double> values;
  const Target::Evaluation clean = target.forward(samples.x, samples);
  for (const std::vector<double>& row : clean.logits)
    values.insert(values.end(), row.begin(), row.end());
  samples.clean_logits =
      tensor(values, {samples.size(), static_cast<int64_t>(values.size()) / samples.size()},
             samples.x.dtype(), samples.x.device());
  return samples;
}

}  // namespace

Tensor pgd(Target& target, const AttackSamples& given, const PgdOptions& o) {
  const Ball ball{.eps = o.eps, .norm = o.norm, .range = o.range};
  ball.check("pgd");
  check(o);
  if (given.size() == 0) return given.x;
  const bool compares = o.loss == AttackLoss::kl && !given.clean_logits.defined();
  const AttackSamples samples = compares ? with_clean_logits(target, given) : given;
  const bool stop = target.options().stop_when_fooled && !o.last;
  std::vector<int64_t> everybody(static_cast<size_t>(samples.size()));
  std::iota(everybody.begin(), everybody.end(), int64_t{0});

  Found found(samples.x);
  for (int64_t restart = 0; restart < o.restarts; ++restart) {
    std::vector<int64_t> places = stop ? places_without(found.fooled()) : everybody;
    if (places.empty()) break;
    AttackSamples now = samples.take(places);
    Tensor x = start_of(now, ball, o, stream(AttackStream::pgd, restart));
    for (int64_t k = 0; k < o.iterations && !places.empty(); ++k) {
      Target::Evaluation e = target.evaluate(x, now, o.loss);
      if (!o.last && (k > 0 || o.start != PgdStart::normal))
        found.offer(places, x, e.loss, e.fooled);
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
    if (o.last && o.restarts == 1) return x;  // there is nothing to compare it with
    const Target::Evaluation end = target.forward(x, now, o.loss);
    found.offer(places, x, end.loss, end.fooled);
  }
  return found.x();
}

}  // namespace slope::nn
