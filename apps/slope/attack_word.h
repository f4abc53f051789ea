// Attack words: NAME[,name=value]..., e.g. fgsm,eps=8/255.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/attack/attack.h"

namespace slope::program {

// x, labels -> attacked x
using Attack =
    std::function<Tensor(const nn::AttackedModel&, const Tensor& x, const Tensor& labels)>;

struct AttackDescription {
  std::string name, what, options;
};
const std::vector<AttackDescription>& attack_list();

// range: of the data. Errors, all ValueError: unknown attack (the nearest name is offered) or
// option, bad number.
Attack parse_attack(const std::string& word, const nn::Range& range);

}  // namespace slope::program
