#include "nn/attack/autoattack.h"

#include <functional>

#include "nn/attack/apgd.h"
#include "nn/attack/boundary.h"
#include "nn/attack/square.h"

namespace slope::nn {

Tensor autoattack(Target& target, const AttackSamples& samples, const AutoAttackOptions& o) {
  Ball{.eps = o.eps, .range = o.range}.check("autoattack");
  if (samples.size() == 0) return samples.x;
  const Target::Evaluation clean = target.forward(samples.x, samples);
  const bool plus = o.version == AutoAttackVersion::plus;
  const AttackLoss dlr = clean.logits[0].size() < 3 ? AttackLoss::margin : AttackLoss::dlr;
  const ApgdOptions ce{.eps = o.eps,
                       .iterations = o.iterations,
                       .restarts = plus ? 5 : 1,
                       .range = o.range,
                       .seed = o.seed};
  ApgdOptions with_dlr = ce, one_restart = ce;
  with_dlr.loss = dlr;
  one_restart.restarts = 1;

  using Part = std::function<Tensor(const AttackSamples&)>;
  const Part apgd_ce = [&](const AttackSamples& s) { return apgd(target, s, ce); };
  const Part apgd_dlr = [&](const AttackSamples& s) { return apgd(target, s, with_dlr); };
  const Part apgd_t = [&](const AttackSamples& s) { return apgd_targeted(target, s, one_restart); };
  const auto fab_with = [&](int64_t targets) -> Part {
    return [&, targets](const AttackSamples& s) {
      return fab(target, s,
                 {.eps = o.eps, .iterations = o.iterations, .targets = targets, .range = o.range});
    };
  };
  const Part squares = [&](const AttackSamples& s) {
    return square(target, s,
                  {.eps = o.eps, .queries = o.queries, .range = o.range, .seed = o.seed});
  };
  std::vector<Part> parts{apgd_ce, apgd_t, fab_with(9), squares};
  if (plus) parts = {apgd_ce, apgd_dlr, fab_with(0), squares, apgd_t, fab_with(9)};
  if (o.version == AutoAttackVersion::rand) parts = {apgd_ce, apgd_dlr};

  Tensor result = samples.x;
  std::vector<int64_t> places = places_without(clean.fooled);
  for (const Part& part : parts) {
    if (places.empty()) break;
    const AttackSamples now = samples.take(places);
    const Tensor x = part(now);
    result = put_rows(result, places, x);
    places = take(places, places_without(target.forward(x, now).fooled));
  }
  return result;
}

}  // namespace slope::nn
