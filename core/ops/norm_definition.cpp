#include "core/ops/norm_definition.h"

#include "core/ops/activation_formulas.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"

namespace slope {
namespace {

// normalised: the grouping's view; weight, bias: (C) or undefined
Tensor affine(const Grouping& by, const Tensor& normalised, const Tensor& weight,
              const Tensor& bias) {
  Tensor z = normalised;
  if (weight.defined()) z = z * reshape(weight, by.affine());
  if (bias.defined()) z = z + reshape(bias, by.affine());
  return z;
}

// g: the cotangent of activate(z)
Tensor activation_gradient(const Tensor& g, const Tensor& z, Activation activation) {
  return formula::with_activation(activation,
                                  [&]<typename Formula>() { return Formula::gradient(g, z); });
}

// x + t * map in the grouping's view
Tensor values(const Grouping& by, const NormInputs& in) {
  return reshape(in.t.defined() ? in.x + in.t * in.map : in.x, by.view);
}

}  // namespace

Grouping Grouping::per_sample(const Tensor& x, int64_t groups) {
  const NormSizes s = norm_sizes(x, {});
  return {{s.samples, s.positions, groups, s.channels / groups}, {1, 3}};
}

Grouping Grouping::per_channel(const Tensor& x) {
  const NormSizes s = norm_sizes(x, {});
  return {{s.samples, s.positions, s.channels, 1}, {0, 1, 3}};
}

Shape Grouping::statistics() const {
  Shape shape = view;
  for (const int64_t axis : axes) shape[static_cast<int>(axis)] = 1;
  return shape;
}

int64_t Grouping::count() const {
  int64_t n = 1;
  for (const int64_t axis : axes) n *= view[static_cast<int>(axis)];
  return n;
}

Tensor centred_values(const Grouping& by, const NormInputs& in, const Tensor& mean) {
  return values(by, in) - mean;
}

Normalised normalise(const Grouping& by, const NormInputs& in, double epsilon,
                     Activation activation) {
  const Tensor v = values(by, in);
  const Tensor mean = slope::mean(v, by.axes, true);
  const Tensor centred = v - mean;
  const Tensor variance = slope::mean(square(centred), by.axes, true);
  const Tensor rstd = rsqrt(variance + epsilon);
  const Tensor z = affine(by, centred * rstd, in.weight, in.bias);
  return {reshape(activate(z, activation), in.x.shape()), mean, variance, rstd};
}

NormGradient normalise_gradient(const Grouping& by, const Tensor& g, const NormInputs& in,
                                const Tensor& mean, const Tensor& rstd, Activation activation) {
  const Tensor normalised = centred_values(by, in, mean) * rstd;
  const Tensor z = affine(by, normalised, in.weight, in.bias);
  const Tensor dz = activation_gradient(reshape(g, by.view), z, activation);
  NormGradient d;
  const Shape channels{in.x.shape().back()};
  d.dweight = reshape(sum(dz * normalised, {0, 1}), channels);
  d.dbias = reshape(sum(dz, {0, 1}), channels);
  const Tensor dn = affine(by, dz, in.weight, {});
  const Tensor dv = rstd * (dn - slope::mean(dn, by.axes, true) -
                            normalised * slope::mean(dn * normalised, by.axes, true));
  d.dx = reshape(dv, in.x.shape());
  if (in.map.defined()) d.dmap = sum(in.t * d.dx, {0});
  return d;
}

}  // namespace slope
