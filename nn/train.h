// Training and evaluation steps of a classifier, captured as plans where the solver allows it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "core/ops/loss.h"
#include "core/plan.h"
#include "nn/average.h"
#include "nn/module.h"
#include "nn/optimizer.h"

namespace slope::nn {

// images: (N, ..), -> logits (N, classes).
using Logits = std::function<Tensor(const Tensor& images, Pass& pass)>;

// The random keys of one training step, int32 (4) each. count: what the pass takes
// (Module::key_count); step: counted from 0.
Tensors step_keys(uint64_t seed, int64_t count, int64_t step);

// What a step makes small, (): of the logits (N, classes) of the batch, and of its other versions
// if there are any (nn/attack/objective.h). labels: int32 (N).
using Objective = std::function<Tensor(const Tensors& logits, const Tensor& labels)>;

struct StepOptions {
  double label_smoothing = 0;
  Objective objective = {};  // empty: the cross-entropy, with the label smoothing
  std::optional<double> clip_norm = {};
  WeightAverage* average = nullptr;  // follows the parameters; must outlive the step
  // Capture the whole step as one plan. Not possible where the forward pass reads values on the
  // host: adaptive solvers.
  bool plan = true;
  bool input_gradient = false;  // StepResult::input_gradient
};

struct StepResult {
  double loss = 0;      // mean over the batch, penalties not counted
  double penalty = 0;   // the sum of Pass::penalties, the mean over the versions of the batch
  int64_t correct = 0;  // arg max of the logits of `images` equal to the label
  Tensor input_gradient = {};  // of the loss, like images. Of a plan: valid until the next call
};

// One optimiser step on a batch: forward, cross-entropy and penalties, backward, update, and the
// buffer updates of the forward pass, in order. One plan for each batch shape; after its first use
// a step allocates no device memory.
class TrainStep {
 public:
  TrainStep(Logits logits, Optimizer& optimizer, const StepOptions& options = {});

  // images: (N, ..), labels: int32 (N). numbers: Optimizer::numbers. keys: model.key_count() random
  // keys. versions: the same samples changed, (N, ..) each, for an objective that compares: passes
  // of their own, with the same keys.
  StepResult operator()(const Tensor& images, const Tensor& labels, const Tensor& numbers,
                        const Tensors& keys = {}, const Tensors& versions = {});
  // Captures anew: for a model that from now on computes something else.
  void forget_plans() { plans_.clear(); }
  // Memory of all plans, and how often they took memory from the device.
  size_t plan_bytes() const;
  int64_t plan_allocations() const;

 private:
  Tensors compute(const Tensors& inputs, size_t versions);
  void check_parameters() const;

  Logits logits_;
  Optimizer& optimizer_;
  StepOptions options_;
  Tensors parameters_;
  std::map<int64_t, std::unique_ptr<Plan>> plans_;  // by batch size
};

// Loss (summed over the samples), correct count and logits of a batch, outside of training.
class EvaluationStep {
 public:
  EvaluationStep(Logits logits, bool plan);
  struct Result {
    double loss_sum = 0;
    int64_t correct = 0;
    Tensor logits;  // of a plan: valid until the next call
  };
  Result operator()(const Tensor& images, const Tensor& labels);

 private:
  Tensors compute(const Tensors& inputs) const;

  Logits logits_;
  bool plan_;
  std::map<int64_t, std::unique_ptr<Plan>> plans_;
};

// The statistics of a model's BatchNorm layers over some batches under the weights as they are
// ("precise BatchNorm"; needed after weight averaging). The running ones are mostly of the last ten
// calls or so, and of weights that have changed since. The mean of the batches' means, and of their
// variances of n - 1: Ioffe and Szegedy 2015, algorithm 2, and PyTorch's
// torch.optim.swa_utils.update_bn. Every call of a layer counts the same, also where one pass has
// several of them, as in an ODE block. One plan for each batch size.
class StatisticsStep {
 public:
  // model: what `logits` runs; lives longer. plan: as StepOptions::plan. A model without BatchNorm:
  // ValueError.
  StatisticsStep(Logits logits, const Module& model, bool plan);

  // Forgets the batches so far.
  void clear();
  // A pass in training mode, without a gradient, that changes nothing in the model. images: (N,
  // ..). keys: model.key_count() random keys.
  void operator()(const Tensor& images, const Tensors& keys = {});
  // Overwrites the running statistics, in place; a layer that has not been called keeps its own.
  void write() const;

 private:
  struct Mean {
    Tensor buffer;  // the running statistic in the model
    Tensor value;   // like buffer
    Tensor calls;   // ()
  };
  Tensors compute(const Tensors& inputs);

  Logits logits_;
  bool plan_;
  std::vector<Mean> means_;
  std::map<int64_t, std::unique_ptr<Plan>> plans_;
};

}  // namespace slope::nn
