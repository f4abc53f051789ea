// The losses that attacks climb: each sample's own, larger where the model is more wrong.
#pragma once

#include "core/tensor.h"

namespace slope::nn {

// z: logits, y: the true class, t: the target class, p: z sorted, largest first.
enum class AttackLoss {
  cross_entropy,
  margin,  // max_{i != y} z_i - z_y: above 0 where the model is wrong (Carlini, Wagner 2017)
  clipped_margin,   // min(margin, 0): no gradient once the model is wrong
  dlr,              // (max_{i != y} z_i - z_y) / (p1 - p3 + 1e-12) (Croce, Hein 2020)
  targeted_margin,  // z_t - z_y
  targeted_dlr,     // (z_t - z_y) / (p1 - (p3 + p4) / 2 + 1e-12)
  kl,  // KL(softmax(c) || softmax(z)), c: the logits of the clean sample (Zhang et al. 2019)
};
const char* name(AttackLoss loss);
bool targeted(AttackLoss loss);
// The number of classes that a loss needs: 2, 3 for dlr, 4 for targeted_dlr.
int64_t least_classes(AttackLoss loss);

// logits: (N, classes), labels: int32 (N), other: what the loss compares with, the targets int32
// (N) of a targeted loss or the clean logits of kl -> (N).
// The quotients of dlr do not change when all logits are scaled or shifted, so large logits do not
// make the gradient vanish; the gradient goes through numerator and denominator.
// ValueError where there are too few classes.
Tensor attack_loss(const Tensor& logits, const Tensor& labels, AttackLoss loss,
                   const Tensor& other = {});

// logits, clean: (N, classes) -> (N): the divergence of the predicted classes from those of the
// clean samples. Its gradient reaches both.
Tensor divergence(const Tensor& clean, const Tensor& logits);

}  // namespace slope::nn
