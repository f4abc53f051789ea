#include "nn/attack/fgsm.h"

#include "core/ops/pointwise.h"

namespace slope::nn {

Tensor fgsm(const AttackedModel& model, const Tensor& x, const Tensor& labels,
            const FgsmOptions& options) {
  if (!(options.eps >= 0))
    throw ValueError(concat("fgsm: eps must not be negative, got ", options.eps, "."));
  const Tensor step = sign(input_gradient(model, x, labels)) * options.eps;
  return clamp(x + step, options.range.low, options.range.high);
}

}  // namespace slope::nn
