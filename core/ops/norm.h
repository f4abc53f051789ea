// Normalisations, with the activation that follows them in the same pass.
#pragma once

#include "core/tensor.h"

namespace slope {

// What is applied to the normalised values; `none` keeps them.
enum class Activation : int64_t { none, relu, gelu, softplus, tanh, silu, leaky_relu };
Tensor activate(const Tensor& x, Activation activation);
// "none", "relu", ...
const char* name(Activation activation);
Activation activation_named(const std::string& name);  // ValueError lists the names

struct NormOptions {
  double epsilon = 1e-5;
  Activation activation = Activation::none;
};
// A term t * map that is added to x before it is normalised: the time channel of a convolution (DESIGN 8.2).
// t: () or (N, 1, 1, 1) of x's dtype, map: (H, W, C). Undefined: nothing is added.
struct TimeTerm {
  Tensor t;
  Tensor map;
};

// x: (N, .., C), weight, bias: (C) or undefined -> the shape of x. Each sample, each of `groups` groups of neighbouring
// channels, over all positions, gets mean 0 and variance 1 (Wu and He 2018). groups must divide C.
Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t groups,
                  const NormOptions& options = {}, const TimeTerm& time = {});
// Group norm with one group for each channel, or with one group.
Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const NormOptions& options = {});
// x: (.., C): over the last axis of each row (Ba et al. 2016). weight, bias: (C) or undefined.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const NormOptions& options = {});

struct BatchNormResult {
  Tensor y;
  Tensor mean;      // (C), of this batch; no gradient flows through these two
  Tensor variance;  // (C), divided by n (the running variance wants n - 1: nn does that)
};
// x: (N, .., C): over all axes but the last, with the statistics of this batch (Ioffe and Szegedy 2015).
BatchNormResult batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const NormOptions& options = {},
                           const TimeTerm& time = {});
// With given statistics mean, variance: (C).
Tensor batch_norm_with(const Tensor& x, const Tensor& mean, const Tensor& variance, const Tensor& weight,
                       const Tensor& bias, const NormOptions& options = {}, const TimeTerm& time = {});

}  // namespace slope
