// "Free" adversarial training (Shafahi et al. 2019, "Adversarial training for free!"): each batch
// is trained on several times in a row, and the gradient that updates the weights also moves the
// perturbation, which is kept from one replay, and from one batch, to the next.
//
//   FreePerturbation change({.eps = 0.1}, shape_of_a_full_batch);
//   for (int64_t replay = 0; replay < m; ++replay) {
//     const Tensor x = change.apply(images);
//     const StepResult r = step(x, labels, ..);   // StepOptions::input_gradient
//     change.climb(images, x, r.input_gradient);
//   }
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

struct FreeOptions {
  double eps = 8.0 / 255;  // L-infinity
  double step = 0;         // of each replay; 0: eps, as published
  Range range = {};
};

class FreePerturbation {
 public:
  // batch: (N, ..), of the largest batch there will be. Begins at zero. Errors, ValueError: eps
  // that is not above 0 or too large, a step below 0.
  FreePerturbation(const FreeOptions& options, const Shape& batch, Dtype dtype,
                   Device device = default_device());

  // x: (n, ..), n <= N -> clip(x + change), of the first n rows.
  Tensor apply(const Tensor& x) const;
  // A step along the sign of the gradient at applied = apply(x); where the clip holds a value back
  // it has none.
  void climb(const Tensor& x, const Tensor& applied, const Tensor& gradient);

  // (N, ..): to be saved, and overwritten in place to go on.
  const Tensor& change() const { return change_; }

 private:
  FreeOptions options_;
  Tensor change_;
};

}  // namespace slope::nn
