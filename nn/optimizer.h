// Optimisers: they own their state and update the parameters in place, one fused op per parameter.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ops/optimizer.h"
#include "nn/module.h"

namespace slope::nn {

// Parameters that are treated in their own way.
struct ParameterGroup {
  // Which ones: those with this as one part, or several in a row, of their dotted path ("bias",
  // "stem", "stem.conv1"), or "vectors": those of at most one axis (biases, norms).
  std::string name;
  double rate = 1;                          // times the learning rate
  std::optional<double> weight_decay = {};  // in place of the optimiser's own
};

struct OptimizerOptions {
  double weight_decay = 0;  // added to the gradient, or decoupled: make_optimizer
  bool momentum =
      true;  // sgd, nesterov and rmsprop keep a velocity; its factor comes with each step
  double beta1 = 0.9, beta2 = 0.999;  // adam, adamw
  double alpha = 0.99;                // rmsprop
  double epsilon = 1e-8;
  std::vector<ParameterGroup> groups = {};  // of several that a parameter is in, the first counts
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  const std::string& name() const { return name_; }  // as make_optimizer has it

  // What changes from step to step, as one tensor (3) of the parameters' dtype: learning rate,
  // momentum, and the number of the step, 1 for the first. A tensor, so that a plan which holds the
  // step can be fed another one.
  Tensor numbers(double rate, double momentum, int64_t step) const;
  // gradients: like the parameters, in their order. numbers: (3), from numbers().
  void step(const Tensors& gradients, const Tensor& numbers);

  // The state by name ("momentum.stem.conv1.weight"), for checkpoints; to be overwritten in place.
  const std::vector<NamedTensor>& state() const { return state_; }
  const std::vector<NamedTensor>& parameters() const { return parameters_; }

 protected:
  // shrinks: a step first takes rate * weight_decay of the weights away, and weight_decay(i) is 0;
  // for an update whose kernel does not do that itself. Error: a group that no parameter is in.
  Optimizer(std::string name, std::vector<NamedTensor> parameters, const OptimizerOptions& options,
            bool shrinks);
  // Zeros like each parameter, registered under kind + "." + the parameter's name.
  Tensors add_state(const std::string& kind);
  // The step of parameter i. rate, momentum, step: ().
  virtual void update(size_t i, const Tensor& gradient, const Tensor& rate, const Tensor& momentum,
                      const Tensor& step) = 0;
  double weight_decay(size_t i) const { return shrinks_ ? 0 : weight_decay_[i]; }

  std::vector<NamedTensor> parameters_;

 private:
  const std::string name_;
  const bool shrinks_;
  std::vector<NamedTensor> state_;
  std::vector<double> rate_, weight_decay_;  // of each parameter
};

// name: sgd, nesterov (sgd that looks ahead), adam or rmsprop, whose weight decay is added to the
// gradient; or sgdw, nesterovw, adamw, rmspropw, where it is decoupled: a step first shrinks the
// weights by rate * weight_decay of themselves, and the gradient never sees it (Loshchilov and
// Hutter 2019; PyTorch's AdamW). Anything else: ValueError that lists them.
std::unique_ptr<Optimizer> make_optimizer(const std::string& name,
                                          std::vector<NamedTensor> parameters,
                                          const OptimizerOptions& options = {});

// The factor, at most 1, that brings the L2 norm over all gradients down to `limit`, applied to
// each of them (Pascanu et al. 2013). norm: () receives the norm before.
Tensors clipped_by_norm(const Tensors& gradients, double limit, Tensor* norm = nullptr);

}  // namespace slope::nn
