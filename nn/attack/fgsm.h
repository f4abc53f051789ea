// FGSM: one step along the sign of the loss's gradient (Goodfellow, Shlens, Szegedy 2015).
#pragma once

#include "nn/attack/attack.h"

namespace slope::nn {

struct FgsmOptions {
  double eps = 8.0 / 255;  // largest change of a value, as a fraction of the pixel range
  Range range = {};
};
// clip(x + eps * sign(dL/dx)), L the cross-entropy with the true labels. Where the gradient is zero
// nothing changes.
Tensor fgsm(const AttackedModel& model, const Tensor& x, const Tensor& labels,
            const FgsmOptions& options);

}  // namespace slope::nn
