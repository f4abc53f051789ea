// Linear: y = x w^T + b.
#pragma once

#include "core/ops/contract.h"
#include "nn/initialize.h"
#include "nn/parametrization.h"

namespace slope::nn {

struct LinearOptions {
  int64_t in = 1;
  int64_t out = 1;
  bool bias = true;
  Initial initial = Initial::standard;
  WeightNorm weight_norm = WeightNorm::none;
  ParameterOptions parameters = {};
};

// x: (.., in) -> (.., out). weight: (out, in), bias: (out).
class Linear final : public WeightedLayer {
 public:
  Linear(const LinearOptions& options, Rng& rng);
  Tensor forward(const Tensor& x, Pass& pass) const override {
    return apply_to(x, weight_in(pass), bias);
  }
  // The same with other tensors for the weights: what an ODE field does with its context. bias may
  // be undefined.
  Tensor apply_to(const Tensor& x, const Tensor& w, const Tensor& b) const {
    return traced([&] { return linear(x, w, b); });
  }
  std::string describe() const override;

 private:
  LinearOptions options_;

 public:
  const Tensor bias;
};

}  // namespace slope::nn
