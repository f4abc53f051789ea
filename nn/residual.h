// Residual blocks: two 3x3 convolutions without bias, and a shortcut around them.
#pragma once

#include <optional>

#include "nn/convolution.h"
#include "nn/norm.h"

namespace slope::nn {

struct ResidualOptions {
  int64_t in = 1;
  int64_t out = 1;
  int64_t stride = 1;
  NormKind norm = NormKind::group;
  int64_t groups = 32;  // of group norms
  WeightNorm weight_norm = WeightNorm::none;
  Activation activation = Activation::relu;
  // Where the shape changes, the pre-activation block's 1x1 convolution of the shortcut is applied
  // to activation(norm(x)), or to x itself: published networks differ.
  bool raw_shortcut = false;
  ParameterOptions parameters = {};
};

// Pre-activation (He et al. 2016): a = activation(norm(x));
// conv3x3(activation(norm(conv3x3(a)))) + shortcut. The shortcut is x, or a 1x1 convolution where
// the shape changes. x: (N, H, W, in) -> (N, H / stride, W / stride, out), rounded up.
class PreActivationBlock final : public Layer {
 public:
  PreActivationBlock(const ResidualOptions& options, Rng& rng);
  Tensor forward(const Tensor& x, Pass& pass) const override;
  std::string describe() const override;

 private:
  ResidualOptions options_;
  std::unique_ptr<NormLayer> norm1_;
  std::optional<Conv2d> shortcut_;
  Conv2d conv1_;
  std::unique_ptr<NormLayer> norm2_;
  Conv2d conv2_;
};

// Post-activation (He et al. 2015): activation(norm(conv3x3(activation(norm(conv3x3(x))))) +
// shortcut). The shortcut is x, or norm(conv1x1(x)) where the shape changes. Shapes as above.
class PostActivationBlock final : public Layer {
 public:
  PostActivationBlock(const ResidualOptions& options, Rng& rng);
  Tensor forward(const Tensor& x, Pass& pass) const override;
  std::string describe() const override;

 private:
  ResidualOptions options_;
  Conv2d conv1_;
  std::unique_ptr<NormLayer> norm1_;
  Conv2d conv2_;
  std::unique_ptr<NormLayer> norm2_;
  std::optional<Conv2d> shortcut_;
  std::unique_ptr<NormLayer> shortcut_norm_;  // null where the shortcut is x
};

}  // namespace slope::nn
