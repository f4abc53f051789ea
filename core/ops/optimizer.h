// Optimiser steps: one pass over a parameter, its gradient and its state, all written in place.
// Numbers that a schedule changes come in a tensor, so that a plan can hold the step.
#pragma once

#include "core/tensor.h"

namespace slope {

// p, g, velocity: equal shapes; rate, momentum: () of p's dtype. velocity and momentum undefined:
// no momentum.
//   g' = g + weight_decay p;  v = momentum v + g';  p -= rate (nesterov ? g' + momentum v : v)
// As in PyTorch: v starts at zero, dampening is zero.
struct SgdOptions {
  double weight_decay = 0;
  int64_t nesterov = 0;
};
void sgd_step(const Tensor& p, const Tensor& g, const Tensor& velocity, const Tensor& rate,
              const Tensor& momentum, const SgdOptions& options = {});

// p, g, m, v: equal shapes; rate: (), step: () number of this step, 1 for the first, in p's dtype
// (Kingma and Ba 2015).
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   p -= rate m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + epsilon)
// decoupled: AdamW (Loshchilov and Hutter 2019), p -= rate weight_decay p before the step, else
// g += weight_decay p.
struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  int64_t decoupled = 0;
};
void adam_step(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v,
               const Tensor& rate, const Tensor& step, const AdamOptions& options = {});

// p, g, square_average, velocity: equal shapes; rate, momentum: (). velocity and momentum
// undefined: no momentum. g += weight_decay p, then
//   s = alpha s + (1 - alpha) g^2;  d = g / (sqrt(s) + epsilon);  v = momentum v + d;  p -= rate v
struct RmspropOptions {
  double alpha = 0.99;
  double epsilon = 1e-8;
  double weight_decay = 0;
};
void rmsprop_step(const Tensor& p, const Tensor& g, const Tensor& square_average,
                  const Tensor& velocity, const Tensor& rate, const Tensor& momentum,
                  const RmspropOptions& options = {});

// For backends. No outputs; the arguments marked * are written in place.
//   sgd_step      p*, g, velocity*, rate, momentum; velocity and momentum may be undefined
//   adam_step     p*, g, m*, v*, rate, step
//   rmsprop_step  p*, g, square_average*, velocity*, rate, momentum; likewise

}  // namespace slope
