#include "nn/attack/attack.h"

#include "autograd/tape.h"
#include "core/ops/loss.h"

namespace slope::nn {

Tensor input_gradient(const AttackedModel& model, const Tensor& x, const Tensor& labels) {
  Tape tape({x});
  const Tensor loss = cross_entropy(model(x), labels, {.reduction = Reduction::sum});
  return tape.gradient(loss, {x})[0];
}

}  // namespace slope::nn
