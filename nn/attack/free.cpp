#include "nn/attack/free.h"

#include <cmath>

#include "core/ops.h"

namespace slope::nn {

FreePerturbation::FreePerturbation(const FreeOptions& options, const Shape& batch, Dtype dtype,
                                   Device device)
    : options_(options), change_(zeros(batch, dtype, device)) {
  Ball{.eps = options.eps, .range = options.range}.check("free");
  if (!(options.eps > 0)) throw ValueError("free: eps must be above 0, got 0.");
  if (!(options.step >= 0) || std::isinf(options.step))
    throw ValueError(concat("free: step must not be negative, got ", options.step, "."));
  if (options.step == 0) options_.step = options.eps;
}

Tensor FreePerturbation::apply(const Tensor& x) const {
  if (x.dim(0) > change_.dim(0))
    throw ShapeError(concat("free: a batch of ", x.dim(0),
                            " samples, the perturbation is made for ", change_.dim(0), "."));
  return clamp(x + slice(change_, 0, 0, x.dim(0)), options_.range.low, options_.range.high);
}

void FreePerturbation::climb(const Tensor& x, const Tensor& applied, const Tensor& gradient) {
  const Tensor own = slice(change_, 0, 0, x.dim(0));
  const Tensor free = equal(applied, x + own);
  const Tensor moved = own + sign(gradient) * free * options_.step;
  copy_into(own, clamp(moved, -options_.eps, options_.eps));
}

}  // namespace slope::nn
