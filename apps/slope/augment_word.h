// Augmentations by their words: crop,padding=4,flip,jitter,hue=0.05.
#pragma once

#include <string>
#include <vector>

#include "nn/data/augment.h"

namespace slope::program {

struct AugmentDescription {
  std::string name, what, options;
};
const std::vector<AugmentDescription>& augment_list();

// NAME[,option=value].. one after the other, in the order in which they are applied; "" is none.
// Numbers may be fractions. Errors: ValueError.
std::vector<nn::Augmentation> parse_augment(const std::string& words);

}  // namespace slope::program
