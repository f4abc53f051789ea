// Linear: y = x w^T + b.
#pragma once

#include "core/ops/contract.h"
#include "nn/initialize.h"
#include "nn/module.h"

namespace slope::nn {

struct LinearOptions {
  int64_t in = 1;
  int64_t out = 1;
  bool bias = true;
  Initial initial = Initial::standard;
  ParameterOptions parameters = {};
};

// x: (.., in) -> (.., out). weight: (out, in), bias: (out).
class Linear final : public Layer {
 public:
  Linear(const LinearOptions& options, Rng& rng);
  Tensor forward(const Tensor& x, Pass&) const override { return apply_to(x, weight, bias); }
  // The same with other tensors for the weights: what an ODE field does with its context. bias may
  // be undefined.
  Tensor apply_to(const Tensor& x, const Tensor& w, const Tensor& b) const {
    return traced([&] { return linear(x, w, b); });
  }
  std::string describe() const override;

 private:
  LinearOptions options_;

 public:
  const Tensor weight, bias;
};

}  // namespace slope::nn
