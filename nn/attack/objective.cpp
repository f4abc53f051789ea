#include "nn/attack/objective.h"

#include <cmath>

#include "core/ops.h"
#include "nn/attack/loss.h"

namespace slope::nn {

Objective trades_objective(double beta, double label_smoothing) {
  if (!(beta >= 0) || std::isinf(beta))
    throw ValueError(concat("trades: beta must not be negative, got ", beta, "."));
  return [=](const Tensors& logits, const Tensor& labels) {
    if (logits.size() != 2)
      throw ValueError(concat("trades: compares a batch with its attacked version, got ",
                              logits.size() - 1, " versions."));
    return cross_entropy(logits[0], labels, {.label_smoothing = label_smoothing}) +
           mean(divergence(logits[0], logits[1])) * beta;
  };
}

Objective summed_objective(double label_smoothing) {
  return [=](const Tensors& logits, const Tensor& labels) {
    Tensor total;
    for (const Tensor& z : logits) {
      const Tensor loss = cross_entropy(z, labels, {.label_smoothing = label_smoothing});
      total = total.defined() ? total + loss : loss;
    }
    return total;
  };
}

}  // namespace slope::nn
