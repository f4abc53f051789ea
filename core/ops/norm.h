// Normalisations, with the activation that follows them in the same pass.
#pragma once

#include <string>

#include "core/ops/activation.h"
#include "core/tensor.h"

namespace slope {

struct NormOptions {
  double epsilon = 1e-5;
  Activation activation = Activation::none;
};
// A term t * map that is added to x before it is normalised: the time channel of a convolution
// (DESIGN 8.2). t: () or (N, 1, .., 1), map: the shape of a sample, e.g. (H, W, C). Undefined:
// nothing is added.
struct TimeTerm {
  Tensor t;
  Tensor map;
};

// x: (N, .., C), weight, bias: (C) or undefined -> the shape of x. Each sample, each of `groups`
// groups of neighbouring channels, over all positions, gets mean 0 and variance 1 (Wu and He 2018);
// then weight, bias and the activation are applied. groups must divide C. A sample's result does
// not depend on its batch-mates.
Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t groups,
                  const NormOptions& options = {}, const TimeTerm& time = {});
// Group norm with one group for each channel.
Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                     const NormOptions& options = {});
// x: (.., C): over the last axis of each row (Ba et al. 2016). weight, bias: (C) or undefined.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const NormOptions& options = {});

struct BatchNormResult {
  Tensor y;
  Tensor mean;      // (C), of this batch
  Tensor variance;  // (C), divided by n (the running variance wants n - 1: nn does that)
};
// x: (N, .., C): over all axes but the last, with the statistics of this batch (Ioffe and Szegedy
// 2015). Gradients flow through all three results.
BatchNormResult batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const NormOptions& options = {}, const TimeTerm& time = {});
// With given statistics mean, variance: (C).
Tensor batch_norm_with(const Tensor& x, const Tensor& mean, const Tensor& variance,
                       const Tensor& weight, const Tensor& bias, const NormOptions& options = {},
                       const TimeTerm& time = {});

// For backends. weight, bias, t and map may be undefined (data is null); t and map come together.
//   group_norm            x, weight, bias, t, map -> y, mean (N, groups), rstd (N, groups)
//   group_norm_gradient   g, x, weight, bias, t, map, mean, rstd -> dx, dweight, dbias, dmap
//   batch_norm            x, weight, bias, t, map -> y, mean (C), variance (C)
//   batch_norm_gradient   g, x, weight, bias, t, map, mean, variance -> dx, dweight, dbias, dmap
//   batch_norm_with       x, mean, variance, weight, bias, t, map -> y
// with rstd = 1 / sqrt(variance + epsilon). The gradients are total: dx contains what flows through
// the statistics. A gradient that is not wanted comes out with shape (0).
struct GroupNormAttributes {
  int64_t groups = 1;
  double epsilon = 1e-5;
  Activation activation = Activation::none;
};
struct GroupNormGradientAttributes {
  int64_t groups = 1;
  Activation activation = Activation::none;
  int64_t wants_affine = 1;  // dweight and dbias
  int64_t wants_map = 1;
};
struct BatchNormAttributes {
  double epsilon = 1e-5;
  Activation activation = Activation::none;
};
struct BatchNormGradientAttributes {
  double epsilon = 1e-5;
  Activation activation = Activation::none;
  int64_t wants_affine = 1;
  int64_t wants_map = 1;
};
// x as (samples, positions, channels); the t of sample n is t[n * t_stride].
struct NormSizes {
  int64_t samples = 0;
  int64_t positions = 0;
  int64_t channels = 0;
  int64_t t_stride = 0;
};
NormSizes norm_sizes(const Tensor& x, const Tensor& t);

}  // namespace slope
