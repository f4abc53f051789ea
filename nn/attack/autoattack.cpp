#include "nn/attack/autoattack.h"

#include <functional>

#include "nn/attack/apgd.h"
#include "nn/attack/boundary.h"
#include "nn/attack/square.h"

namespace slope::nn {

Tensor autoattack(Target& target, const AttackSamples& samples, const AutoAttackOptions& o) {
  Ball{.eps = o.eps, .norm = o.norm, .range = o.range}.check("autoattack");
  if (samples.size() == 0) return samples.x;
  const Target::Evaluation clean = target.forward(samples.x, samples);
  const bool plus = o.version == AutoAttackVersion::plus;
  const AttackLoss dlr = clean.logits[0].size() < 3 ? AttackLoss::margin : AttackLoss::dlr;
  const ApgdOptions ce{.eps = o.eps,
                       .iterations = o.iterations,
                       .restarts = plus ? 5 : 1,
                       .norm = o.norm,
                       .range = o.range,
                       .seed = o.seed};
  ApgdOptions with_dlr = ce, one_restart = ce;
  with_dlr.loss = dlr;
  one_restart.restarts = 1;

  struct Part {
    const char* name;
    std::function<Tensor(const AttackSamples&)> run;
  };
  const Part apgd_ce{"apgd-ce", [&](const AttackSamples& s) { return apgd(target, s, ce); }};
  const Part apgd_dlr{"apgd-dlr",
                      [&](const AttackSamples& s) { return apgd(target, s, with_dlr); }};
  const Part apgd_t{"apgd-t",
                    [&](const AttackSamples& s) { return apgd_targeted(target, s, one_restart); }};
  const auto fab_with = [&](const char* name, int64_t targets) -> Part {
    return {name, [&, targets](const AttackSamples& s) {
              return fab(target, s,
                         {.eps = o.eps,
                          .iterations = o.iterations,
                          .targets = targets,
                          .restarts = plus ? 5 : 1,
                          .norm = o.norm,
                          .range = o.range,
                          .seed = o.seed});
            }};
  };
  const Part squares{
      "square", [&](const AttackSamples& s) {
        return square(
            target, s,
            {.eps = o.eps, .queries = o.queries, .norm = o.norm, .range = o.range, .seed = o.seed});
      }};
  std::vector<Part> parts{apgd_ce, apgd_t, fab_with("fab-t", 9), squares};
  if (plus) parts = {apgd_ce, apgd_dlr, fab_with("fab", 0), squares, apgd_t, fab_with("fab-t", 9)};
  if (o.version == AutoAttackVersion::rand) parts = {apgd_ce, apgd_dlr};

  Tensor result = samples.x;
  std::vector<int64_t> places = places_without(clean.fooled);
  for (const Part& part : parts) {
    if (places.empty()) break;
    const AttackSamples now = samples.take(places);
    target.tell_part(part.name);
    const Tensor x = part.run(now);
    result = put_rows(result, places, x);
    places = take(places, places_without(target.forward(x, now).fooled));
  }
  target.tell_part("");
  return result;
}

}  // namespace slope::nn
