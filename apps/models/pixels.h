// Mean and standard deviation of CIFAR-10's pixels as published networks have them. The networks
// normalise in their first layer, so that attacks work on pixels in [0, 1].
#pragma once

#include <vector>

#include "apps/models/chain.h"

namespace slope::models {

struct PixelFacts {
  std::vector<double> mean = {}, std = {};  // (C); none where pixels stay as they are
};
// Where a network does not say: the training set's.
inline const PixelFacts kCifarPixels{{0.4914, 0.4822, 0.4465}, {0.2471, 0.2435, 0.2616}};
// The meta-solver's: std is the mean over the images of their own standard deviations.
inline const PixelFacts kMetaSolverPixels{{0.4914, 0.4822, 0.4465}, {0.2023, 0.1994, 0.2010}};
// The homework's on torchdiffeq's network.
inline const PixelFacts kHomeworkPixels{{0.4824, 0.4713, 0.4357}, {0.1862, 0.1703, 0.1875}};

// The first layer. Data with another number of channels than these facts stay as they are.
inline void add_normalization(Chain& net, const PixelFacts& pixels) {
  if (net.facts().sample[2] != static_cast<int64_t>(pixels.mean.size())) return;
  net.add("normalize", std::make_unique<nn::Normalize>(pixels.mean, pixels.std));
}

}  // namespace slope::models
