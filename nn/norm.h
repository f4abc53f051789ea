// Normalisation layers. The activation that follows is an option, since it runs in the same pass
// over memory.
#pragma once

#include "core/ops/norm.h"
#include "nn/initialize.h"
#include "nn/module.h"

namespace slope::nn {

struct NormLayerOptions {
  int64_t channels = 1;
  int64_t groups = 32;  // of GroupNorm; at most `channels` are used
  double epsilon = 1e-5;
  double momentum = 0.1;  // of BatchNorm: weight of the new batch in the running statistics
  Activation activation = Activation::none;
  ParameterOptions parameters = {};
};

// x: (N, .., C). weight: (C) of ones, bias: (C) of zeros.
class GroupNorm final : public Layer {
 public:
  explicit GroupNorm(const NormLayerOptions& options);
  Tensor forward(const Tensor& x, Pass&) const override { return apply_to(x, weight, bias); }
  // With other tensors for the weights, and with a time term: what an ODE field does with its
  // context.
  Tensor apply_to(const Tensor& x, const Tensor& w, const Tensor& b,
                  const TimeTerm& time = {}) const;
  std::string describe() const override;

 private:
  NormLayerOptions options_;

 public:
  const Tensor weight, bias;
};

// x: (N, .., C). In training: the statistics of the batch, and an update of the running ones in the
// pass; else the running ones. As PyTorch: the running variance is of n - 1.
class BatchNorm final : public Layer {
 public:
  explicit BatchNorm(const NormLayerOptions& options);
  Tensor forward(const Tensor& x, Pass& pass) const override {
    return apply_to(x, weight, bias, pass);
  }
  Tensor apply_to(const Tensor& x, const Tensor& w, const Tensor& b, Pass& pass,
                  const TimeTerm& time = {}) const;
  std::string describe() const override;

 private:
  NormLayerOptions options_;

 public:
  const Tensor weight, bias, running_mean, running_variance;
};

// x: (.., C), over the last axis.
class LayerNorm final : public Layer {
 public:
  explicit LayerNorm(const NormLayerOptions& options);
  Tensor forward(const Tensor& x, Pass&) const override;
  std::string describe() const override;

 private:
  NormLayerOptions options_;

 public:
  const Tensor weight, bias;
};

}  // namespace slope::nn
