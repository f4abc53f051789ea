// Attack words: NAME[,name=value]..., e.g. fgsm,eps=8/255.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/attack/ball.h"

namespace slope::program {

struct Attack {
  // The attacked samples, like samples.x.
  std::function<Tensor(nn::Target&, const nn::AttackSamples& samples)> run;
  std::string name;      // "pgd"
  std::string settings;  // the word without its eps: attacks that agree in it form one curve
  double eps = -1;       // -1: it has none
  bool l2 = false;       // eps is a length, not the largest change of a value
  int64_t draws = 1;     // TargetOptions::draws
  bool noise = false;    // it does not look at the model
  bool one_step = false;
  bool historical = false;  // a published setting whose weakness is known
};

struct AttackDescription {
  std::string name, what, options;
};
const std::vector<AttackDescription>& attack_list();

// range: of the data; seed: of the attack's random draws. Errors, all ValueError: unknown attack or
// option (the nearest name is offered), a number that is none or out of range.
Attack parse_attack(const std::string& word, const nn::Range& range, uint64_t seed);

}  // namespace slope::program
