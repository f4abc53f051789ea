// Random changes that know nothing of the model: what an attack must be stronger than.
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

// clip(x + N(0, sigma^2)). samples.x: (N, ..) -> like it. sigma: a fraction of the pixel range.
struct NoiseOptions {
  double sigma = 50.0 / 255;
  Range range = {};
  uint64_t seed = 0;
};
Tensor gaussian_noise(const AttackSamples& samples, const NoiseOptions& options = {});

// As TisODE trains (Yan et al. 2020): a share of the samples gets Gaussian noise, each of a sigma
// that is one of several, all as likely; the others stay as they are.
struct MixedNoiseOptions {
  std::vector<double> sigmas = {50.0 / 255, 75.0 / 255, 100.0 / 255};
  double share = 0.5;
  Range range = {};
  uint64_t seed = 0;
};
Tensor mixed_noise(const AttackSamples& samples, const MixedNoiseOptions& options = {});

// Uniform in the L-infinity ball.
struct UniformNoiseOptions {
  double eps = 8.0 / 255;
  Range range = {};
  uint64_t seed = 0;
};
Tensor uniform_noise(const AttackSamples& samples, const UniformNoiseOptions& options = {});

// Each pixel (all its channels) becomes the low or the high end of the range, with probability p /
// 2 each. samples.x: (N, H, W, C); for points every value is a pixel. ValueError for a range
// without ends.
struct SaltPepperOptions {
  double p = 0.1;
  Range range = {};
  uint64_t seed = 0;
};
Tensor salt_pepper_noise(const AttackSamples& samples, const SaltPepperOptions& options = {});

}  // namespace slope::nn
