// Concentric spheres: points on three shells around the origin, the middle one of class 1.
#pragma once

#include "nn/data/dataset.h"

namespace slope::nn {

struct SpheresOptions {
  int64_t dim = 2;
  int64_t size = 2000;  // a quarter inside (radius 0.10 to 0.15), half between (0.25 to 0.30), a
                        // quarter outside (0.40 to 0.45)
  uint64_t seed = 0;
  bool test = false;  // another stream of the same seed
};
// radius = low + (high - low) U^(1/dim), direction uniform (Ott et al., "ResNet After All?", ICLR
// 2021). The same points on every machine up to the rounding of log and cos.
Dataset spheres(const SpheresOptions& options);

}  // namespace slope::nn
