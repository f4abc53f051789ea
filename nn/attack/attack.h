// What every attack works on: a function from images to logits. It never knows which solver stands
// behind it.
#pragma once

#include <compare>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/plan.h"
#include "nn/attack/loss.h"

namespace slope::nn {

// x: (N, ..) -> logits (N, classes). Differentiable in x; each sample's logits its own.
using AttackedModel = std::function<Tensor(const Tensor& x)>;

// The values an attacked input may have: pixels in [0, 1]; data without such a range says so by
// infinities.
struct Range {
  double low = 0;
  double high = 1;
};

// Samples to be attacked. Random numbers belong to a sample's number in its data set, so that
// an attack's result does not depend on how the samples are put into batches.
struct AttackSamples {
  Tensor x;                           // (N, ..)
  Tensor labels;                      // int32 (N)
  std::vector<int64_t> numbers = {};  // (N); empty: 0, 1, ..
  Tensor clean_logits = {};           // (N, classes): what AttackLoss::kl compares with

  int64_t size() const { return x.dim(0); }
  int64_t number(int64_t i) const { return numbers.empty() ? i : numbers[static_cast<size_t>(i)]; }
  AttackSamples take(const std::vector<int64_t>& places) const;
};

struct TargetOptions {
  bool plan = false;  // capture the passes: where the model computes the same each time
  // Each evaluation is the average over so many: for a model that draws something in each pass
  // (expectation over transformation, Athalye et al. 2018).
  int64_t draws = 1;
  // A sample is left alone once the model is wrong. False where the result is meant for another
  // model: then attacks go on to raise the loss.
  bool stop_when_fooled = true;
  // Is told of each pass over a batch: what is going on (a part of autoattack, or ""), how many
  // passes there have been, and of how many samples this one was.
  std::function<void(const std::string& part, int64_t passes, int64_t samples)> tell = {};
};

// A model under attack: its losses and their gradients, as plans where the model allows it.
class Target {
 public:
  explicit Target(AttackedModel model, const TargetOptions& options = {});

  struct Evaluation {
    std::vector<double> loss;                 // (N)
    std::vector<std::vector<double>> logits;  // (N, classes)
    std::vector<bool> fooled;                 // arg max is not the label; NaN counts as fooled
    Tensor gradient;  // of each sample's loss, like x; zero where it was not finite
  };
  // x: (N, ..) in place of samples.x.
  Evaluation evaluate(const Tensor& x, const AttackSamples& samples, AttackLoss loss,
                      const std::vector<int32_t>& targets = {}, bool with_gradient = true);
  Evaluation forward(const Tensor& x, const AttackSamples& samples,
                     AttackLoss loss = AttackLoss::margin);

  const TargetOptions& options() const { return options_; }

  // What was noticed, by sample number.
  struct Notes {
    std::set<int64_t> zero_gradient, not_finite;
    int64_t gradients = 0, forwards = 0;  // passes over a batch
  };
  const Notes& notes() const { return notes_; }
  // The part of an attack that begins, for TargetOptions::tell.
  void tell_part(const std::string& part) { part_ = part; }
  size_t plan_bytes() const;

 private:
  struct Key {
    AttackLoss loss;
    bool with_gradient;
    int64_t capacity;
    auto operator<=>(const Key&) const = default;
  };
  Tensors pass(const Key& key, const Tensors& inputs);
  int64_t capacity(int64_t n);

  AttackedModel model_;
  TargetOptions options_;
  int64_t largest_ = 0;
  std::map<Key, std::unique_ptr<Plan>> plans_;
  Notes notes_;
  std::string part_;
};

// Gradient of the summed cross-entropy with respect to x, like x: each sample's own. Only what
// leads to x is differentiated, no weight.
Tensor input_gradient(const AttackedModel& model, const Tensor& x, const Tensor& labels);

}  // namespace slope::nn
