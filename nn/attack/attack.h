// What every attack works on: a function from images to logits. It never knows which solver stands
// behind it.
#pragma once

#include <functional>

#include "core/tensor.h"

namespace slope::nn {

// x: (N, ..) -> logits (N, classes). Differentiable in x.
using AttackedModel = std::function<Tensor(const Tensor& x)>;

// The values an attacked input may have: pixels in [0, 1]; data without such a range says so by
// infinities.
struct Range {
  double low = 0;
  double high = 1;
};

// Gradient of the summed cross-entropy with respect to x, like x: each sample's own. Only what
// leads to x is differentiated, no weight.
Tensor input_gradient(const AttackedModel& model, const Tensor& x, const Tensor& labels);

}  // namespace slope::nn
