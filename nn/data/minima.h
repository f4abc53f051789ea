// Three minima: a ball released in a landscape with three valleys, classified by where it comes to
// rest.
#pragma once

#include "nn/data/dataset.h"

namespace slope::nn {

struct MinimaOptions {
  int64_t size = 2000;
  uint64_t seed = 0;
  bool test = false;  // another stream of the same seed
};
// Samples (x, v): position uniform in [-1, 2], speed uniform in [-2, 2]. The ball follows
// x'' = -V'(x) - 0.2 x' with V(x) = 0.2 x (x - 2) (x - 0.5) (x + 1) (x + 0.6) (x - 1.6); the label
// is the minimum it ends in: 0 at -0.850, 1 at 0.269, 2 at 1.839 (Ott et al., "ResNet After All?",
// ICLR 2021).
Dataset minima(const MinimaOptions& options);

}  // namespace slope::nn
