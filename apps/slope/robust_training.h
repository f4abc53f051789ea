// Robust training by words: samples that are attacked, noisy or freely perturbed when the model
// sees them, and a watch over whether it has learned to withstand attacks or only to blind the one
// of its training.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/slope/attack_word.h"
#include "apps/slope/evaluation.h"
#include "nn/attack/fgsm.h"
#include "nn/attack/free.h"
#include "nn/train.h"

namespace slope::program {

// Accuracies of a training batch.
struct RobustCheck {
  double attack = 0;  // under the attack of the training
  double pgd = 0;     // under PGD of the same size, 10 steps of a quarter of it
};

// "Catastrophic overfitting" (Wong, Rice, Kolter 2020): within a few steps a model learns to make
// the gradient of a weak attack useless; accuracy under it rises, that under a strong one falls to
// nothing. best: the highest accuracy under PGD of the epochs before. Empty: no sign of it.
std::string overfitting_warning(const RobustCheck& check, double best);

// What --train-attack or --train-noise says:
//   an attack or a noise     the batch is changed by it; pgd gives its last iterate, as published
//   fgsm-random,accumulate=yes   the gradient at the attack's start is added (metasolver's code)
//   trades,eps=8/255,step=0.007,iterations=10,beta=6   the batch and what pgd on kl makes of it
//   free,eps=8/255,replays=8,step=8/255   each batch in several steps, whose gradients move a
//                                         perturbation that stays
struct RobustWord {
  enum class Kind { changed, summed, trades, free };
  Kind kind = Kind::changed;
  Attack attack;  // of free: what the model is watched by
  double beta = 6;
  nn::FgsmRandomOptions random = {};  // of `summed`: where its attack begins
  nn::FreeOptions free = {};
  int64_t replays = 1;
};
// One of the two is empty. Errors, ValueError: both given; a noise for an attack, or the reverse;
// an attack without an eps; options that are unknown or out of range.
RobustWord parse_robust_word(const std::string& attack, const std::string& noise,
                             const nn::Range& range, uint64_t seed);

class RobustTraining {
 public:
  // model: in evaluation mode, as the attack sees it; plan: whether it may be captured. batch: the
  // shape of the largest, in the dtype of the samples.
  RobustTraining(const RobustWord& word, const nn::Range& range, nn::AttackedModel model, bool plan,
                 uint64_t seed, const Shape& batch, Dtype dtype);

  // What the training's steps need.
  static void configure(const RobustWord& word, nn::StepOptions& options);

  // Takes the optimiser steps of a batch, one or (free) several; the result of the last one. first:
  // the number of samples that the run has seen before, so that each visit of a picture has random
  // numbers of its own. An attack does not rest when it has fooled the model.
  using Update =
      std::function<nn::StepResult(int64_t replay, const Tensor& images, const Tensors& versions)>;
  nn::StepResult train(const Tensor& x, const Tensor& labels, int64_t first, const Update& update);
  int64_t replays() const { return word_.replays; }
  // What goes on from batch to batch: the perturbation of free, for checkpoints.
  std::vector<nn::NamedTensor> state() const;

  // Nothing for noise.
  bool attacks() const { return !word_.attack.noise; }
  RobustCheck check(const Tensor& x, const Tensor& labels);
  size_t plan_bytes() const { return target_.plan_bytes(); }

 private:
  RobustWord word_;
  nn::Range range_;
  uint64_t seed_;
  nn::Target target_;
  std::unique_ptr<nn::FreePerturbation> free_;
};

}  // namespace slope::program
