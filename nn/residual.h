// Residual blocks.
#pragma once

#include <optional>

#include "nn/convolution.h"
#include "nn/norm.h"

namespace slope::nn {

struct ResidualOptions {
  int64_t in = 1;
  int64_t out = 1;
  int64_t stride = 1;
  int64_t groups = 32;  // of the group norms
  Activation activation = Activation::relu;
  ParameterOptions parameters = {};
};

// Pre-activation with group norm (He et al. 2016): a = activation(norm(x));
// conv3x3(activation(norm(conv3x3(a)))) + shortcut, all without bias. The shortcut is x, or a 1x1
// convolution of a where the shape changes. x: (N, H, W, in) -> (N, H / stride, W / stride, out),
// rounded up.
class PreActivationBlock final : public Layer {
 public:
  PreActivationBlock(const ResidualOptions& options, Rng& rng);
  Tensor forward(const Tensor& x, Pass& pass) const override;
  std::string describe() const override;

 private:
  ResidualOptions options_;
  GroupNorm norm1_;
  std::optional<Conv2d> shortcut_;
  Conv2d conv1_;
  GroupNorm norm2_;
  Conv2d conv2_;
};

}  // namespace slope::nn
