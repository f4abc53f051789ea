// Reductions. Sums have a fixed order, so the bits depend neither on threads nor on the run.
#pragma once

#include "core/tensor.h"

namespace slope {

// Over `axes` (negative ones count from the end); {} means all. keep_axes leaves them with
// length 1.
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);
Tensor max(const Tensor& x, const Axes& axes = {},
           bool keep_axes = false);  // gradient shared equally among ties
Tensor min(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);
Tensor variance(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);  // divides by n
Tensor norm(const Tensor& x, const Axes& axes = {},
            bool keep_axes = false);  // sqrt(sum(x^2)); gradient 0 at 0
Tensor rms(const Tensor& x);          // sqrt(mean(x^2)) over everything
Tensor logsumexp(const Tensor& x, int axis, bool keep_axis = false);
// Index of the first largest value along one axis; int32, no gradient.
Tensor argmax(const Tensor& x, int axis = -1);
// Sums x over the axes that broadcasting stretched, so that the result has `shape`.
Tensor sum_to(const Tensor& x, const Shape& shape);

// For backends: sum, max, min and norm. axes: ascending in 0..rank-1, each once, maybe none (then
// values are copied; norm takes their absolute value). A sum over no values is 0. max and min give
// NaN if any value is NaN.
struct ReduceAttributes {
  Axes axes;
  int64_t keep_axes;
};
struct ArgmaxAttributes {  // argmax: NaN counts as the largest value; axis in 0..rank-1
  int64_t axis;
};

}  // namespace slope
