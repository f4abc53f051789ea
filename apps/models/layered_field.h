// LayeredField: an ODE field made of convolutions and norms, one after the other.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/convolution.h"
#include "nn/norm.h"
#include "ode/layer.h"

namespace slope::models {

// The state is (N, H, W, C), and every layer keeps H and W. The time term of a convolution goes
// into the norm that follows it. With batch norm, in training, every evaluation of the field moves
// the running statistics, as in PyTorch; all stages of all steps share them.
class LayeredField final : public ode::FieldModule {
 public:
  // what: for printing.
  explicit LayeredField(std::string what) : what_(std::move(what)) {}
  // Appends a layer under a name.
  LayeredField& add(const std::string& name, std::unique_ptr<nn::NormLayer> norm);
  LayeredField& add(const std::string& name, std::unique_ptr<nn::Conv2d> conv);
  LayeredField& add(const std::string& name, std::unique_ptr<nn::TimeConv2d> conv);

  ode::Field field(const Shape& state, nn::Pass& pass) const override;
  std::string describe() const override { return what_; }

 private:
  // One of the three.
  struct Part {
    std::unique_ptr<nn::NormLayer> norm = nullptr;
    std::unique_ptr<nn::Conv2d> conv = nullptr;
    std::unique_ptr<nn::TimeConv2d> time_conv = nullptr;
  };
  Tensor evaluate(const Tensor& t, const Tensor& y, const Tensors& context, nn::Pass& pass) const;

  std::string what_;
  std::vector<Part> parts_;
  bool has_statistics_ = false;  // a batch norm
};

}  // namespace slope::models
