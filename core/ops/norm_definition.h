// What a normalisation and its gradient are, in simpler ops: the decompositions of norm.cpp.
#pragma once

#include "core/ops/norm.h"

namespace slope {

// Which values share a mean and a variance: x is seen as `view` = (samples, positions, groups,
// channels of a group); the statistics run over `axes` of it.
struct Grouping {
  Shape view;
  Axes axes;

  static Grouping per_sample(const Tensor& x, int64_t groups);  // group norm
  static Grouping per_channel(const Tensor& x);                 // batch norm
  // The view's shape with length 1 in place of `axes`: how the statistics broadcast.
  Shape statistics() const;
  // The number of values behind one mean.
  int64_t count() const;
  // The shape of weight and bias in the view: (groups, channels of a group).
  Shape affine() const { return {view[2], view[3]}; }
};

// The inputs of a normalisation. x: (N, .., C), weight, bias: (C) or undefined, t: () or
// (N, 1, .., 1) or undefined, map: (.., C) or undefined.
struct NormInputs {
  Tensor x, weight, bias, t, map;
};

// x + t * map in the grouping's view, minus mean: the grouping's statistics.
Tensor centred_values(const Grouping& by, const NormInputs& in, const Tensor& mean);

struct Normalised {
  Tensor y;                     // like x
  Tensor mean, variance, rstd;  // the grouping's statistics
};
Normalised normalise(const Grouping& by, const NormInputs& in, double epsilon,
                     Activation activation);

struct NormGradient {
  Tensor dx;              // like x
  Tensor dweight, dbias;  // (C)
  Tensor dmap;            // like map; undefined without a time term
};
// g: the cotangent of y; mean, rstd: the grouping's statistics. They are taken as given, but dx is
// the total derivative: it contains what flows through them.
NormGradient normalise_gradient(const Grouping& by, const Tensor& g, const NormInputs& in,
                                const Tensor& mean, const Tensor& rstd, Activation activation);

}  // namespace slope
