// Robust training: inputs that are attacked or noisy when the model sees them, and a watch over
// whether the model has learned to withstand attacks or only to blind the one of its training.
#pragma once

#include <optional>
#include <string>

#include "apps/slope/attack_word.h"
#include "apps/slope/evaluation.h"

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

class RobustTraining {
 public:
  // attack: an attack word with an eps, noise: the word of a noise; one of the two is empty.
  // model: in evaluation mode, as the attack sees it; plan: whether it may be captured. Errors:
  // both given; a noise for an attack, or the reverse; an attack without an eps.
  RobustTraining(const std::string& attack, const std::string& noise, const nn::Range& range,
                 nn::AttackedModel model, bool plan, uint64_t seed);

  // x: (N, ..), labels: int32 (N) -> like x. The attack does not rest when it has fooled the model,
  // and what it returns is the iterate of the highest loss. first: the number of samples that the
  // run has seen before, so that each visit of a picture has random numbers of its own.
  Tensor operator()(const Tensor& x, const Tensor& labels, int64_t first);

  // Nothing for noise.
  bool attacks() const { return !attack_.noise; }
  RobustCheck check(const Tensor& x, const Tensor& labels);
  size_t plan_bytes() const { return target_.plan_bytes(); }

 private:
  Attack attack_;
  nn::Range range_;
  uint64_t seed_;
  nn::Target target_;
};

}  // namespace slope::program
