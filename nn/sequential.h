// Sequential: layers one after the other; and the layers without parameters that stand between
// others.
#pragma once

#include <memory>

#include "core/ops/activation.h"
#include "core/ops/window.h"
#include "nn/module.h"

namespace slope::nn {

class Sequential final : public Layer {
 public:
  // what: for printing.
  explicit Sequential(std::string what = "Sequential") : what_(std::move(what)) {}
  // Appends a layer under a name.
  Sequential& add(const std::string& name, std::unique_ptr<Layer> layer);
  Tensor forward(const Tensor& x, Pass& pass) const override;
  std::string describe() const override { return what_; }

 private:
  std::string what_;
  std::vector<std::unique_ptr<Layer>> layers_;
};

// x: any shape -> like x.
class ActivationLayer final : public Layer {
 public:
  explicit ActivationLayer(Activation activation) : activation_(activation) {}
  Tensor forward(const Tensor& x, Pass&) const override { return activate(x, activation_); }
  std::string describe() const override { return concat("Activation ", name(activation_)); }

 private:
  Activation activation_;
};

// x: (N, H, W, C) -> (N, C H W): in the order of channels first, so that a linear layer behind it
// has the weights of one in PyTorch.
class Flatten final : public Layer {
 public:
  Tensor forward(const Tensor& x, Pass&) const override;
  std::string describe() const override { return "Flatten"; }
};

// x: (N, H, W, C) -> (N, H', W', C): the largest value, or the mean, of each window (window.h).
class MaxPool2d final : public Layer {
 public:
  explicit MaxPool2d(const PoolOptions& options = {}) : options_(options) {}
  Tensor forward(const Tensor& x, Pass&) const override;
  std::string describe() const override;

 private:
  PoolOptions options_;
};

class AveragePool2d final : public Layer {
 public:
  explicit AveragePool2d(const PoolOptions& options = {}) : options_(options) {}
  Tensor forward(const Tensor& x, Pass&) const override;
  std::string describe() const override;

 private:
  PoolOptions options_;
};

// x: (N, H, W, C) -> (N, C).
class GlobalAveragePool final : public Layer {
 public:
  Tensor forward(const Tensor& x, Pass&) const override;
  std::string describe() const override { return "GlobalAveragePool"; }
};

// x: (N, H, W, C) -> like x: (x - mean) / std, one mean and std for each channel. Not parameters:
// facts about the data.
class Normalize final : public Layer {
 public:
  Normalize(std::vector<double> mean, std::vector<double> std);
  Tensor forward(const Tensor& x, Pass&) const override;
  std::string describe() const override;

 private:
  std::vector<double> mean_, std_;
};

// In training each value is dropped (0) with a probability, and the others grow by 1 / (1 -
// probability), so that the mean stays (Srivastava et al. 2014); otherwise x itself. Takes one
// random key of the pass. x: any shape.
class Dropout final : public Layer {
 public:
  // probability: in [0, 1).
  explicit Dropout(double probability);
  Tensor forward(const Tensor& x, Pass& pass) const override;
  std::string describe() const override { return concat("Dropout ", probability_); }

 protected:
  int64_t own_key_count() const override { return probability_ > 0 ? 1 : 0; }

 private:
  double probability_;
};

}  // namespace slope::nn
