// Reductions. Sums have a fixed order, so the bits depend neither on threads nor on the run.
#pragma once

#include "core/tensor.h"

namespace slope {

// Over `axes` (negative ones count from the end); {} means all. keep_axes leaves them, of length 1.
// x: any shape, float32 or float64.
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);
// NaN if any value is NaN. The gradient is shared equally among ties.
Tensor max(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);
Tensor min(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);
// The mean square distance from the mean: divided by n.
Tensor variance(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);
// sqrt(sum(x^2)); its gradient at 0 is 0.
Tensor norm(const Tensor& x, const Axes& axes = {}, bool keep_axes = false);
// sqrt(mean(x^2)) over everything -> (); its gradient at 0 is 0.
Tensor rms(const Tensor& x);
// log(sum(exp(x))) along one axis, without overflow.
Tensor logsumexp(const Tensor& x, int axis, bool keep_axis = false);
// Index of the first largest value along one axis, which is dropped; int32, no gradient. NaN counts
// as the largest value.
Tensor argmax(const Tensor& x, int axis = -1);
// x: any -> shape, which broadcasts to the shape of x: the sum over what broadcasting stretched.
Tensor sum_to(const Tensor& x, const Shape& shape);

// For backends: sum, max, min and norm. axes: ascending in 0..rank-1, each once, maybe none (then
// each value is reduced alone). A sum over no values is 0.
struct ReduceAttributes {
  Axes axes;
  int64_t keep_axes;
};
struct ArgmaxAttributes {  // argmax; axis in 0..rank-1
  int64_t axis;
};

}  // namespace slope
