// Normalisation layers. The activation that follows is an option, since it runs in the same pass
// over memory.
#pragma once

#include <memory>
#include <vector>

#include "core/ops/norm.h"
#include "nn/initialize.h"
#include "nn/module.h"

namespace slope::nn {

struct NormLayerOptions {
  int64_t channels = 1;
  int64_t groups = 32;  // of GroupNorm; at most `channels` are used
  double epsilon = 1e-5;
  double momentum = 0.1;  // of BatchNorm: weight of the new batch in the running statistics
  bool affine = true;     // of GroupNorm: with weight and bias
  Activation activation = Activation::none;
  ParameterOptions parameters = {};
};

// A norm whose kind is a choice. weight: (C) of ones, bias: (C) of zeros; undefined where there are
// none.
class NormLayer : public Layer {
 public:
  Tensor forward(const Tensor& x, Pass& pass) const override {
    return apply_to(x, weight, bias, pass, {});
  }
  // With other tensors for the weights, and with a time term: what an ODE field does with its
  // context. x: (N, .., C) -> like x.
  virtual Tensor apply_to(const Tensor& x, const Tensor& w, const Tensor& b, Pass& pass,
                          const TimeTerm& time) const = 0;

 protected:
  NormLayer(const NormLayerOptions& options, bool affine);
  NormLayerOptions options_;

 public:
  const Tensor weight, bias;
};

// x: (N, .., C).
class GroupNorm final : public NormLayer {
 public:
  explicit GroupNorm(const NormLayerOptions& options);
  Tensor apply_to(const Tensor& x, const Tensor& w, const Tensor& b, Pass& pass,
                  const TimeTerm& time) const override;
  std::string describe() const override;
};

// x: (N, .., C). In training: the statistics of the batch, and an update of the running ones in the
// pass; else the running ones. As PyTorch: the running variance is of n - 1.
class BatchNorm final : public NormLayer {
 public:
  explicit BatchNorm(const NormLayerOptions& options);
  Tensor apply_to(const Tensor& x, const Tensor& w, const Tensor& b, Pass& pass,
                  const TimeTerm& time) const override;
  std::string describe() const override;

  const Tensor running_mean, running_variance;  // (C)
};

// Those of a module and of all below it, in forward order.
std::vector<const BatchNorm*> batch_norms(const Module& module);

// What an option chooses among. `layer` is one group over all positions and channels of a sample,
// `instance` one group for each channel, without weight and bias: the layers that networks of
// images call by these names. `none` is the activation alone.
enum class NormKind { none, batch, group, layer, instance };
std::unique_ptr<NormLayer> make_norm(NormKind kind, const NormLayerOptions& options);

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
