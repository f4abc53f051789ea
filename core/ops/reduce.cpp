// Reductions: one value from many, along any set of axes.
#include "core/ops/reduce.h"

#include <cmath>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"

namespace slope {
namespace {

// ---- shapes -----------------------------------------------------------------------------------

bool names(const Axes& axes, int axis) {
  for (int64_t a : axes) {
    if (a == axis) return true;
  }
  return false;
}

Shape reduced_shape(const Shape& shape, const Axes& axes, bool keep_axes) {
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!names(axes, i)) {
      result.push_back(shape[i]);
    } else if (keep_axes) {
      result.push_back(1);
    }
  }
  return result;
}

// The axes as records have them: ascending and not negative. {} is all of them.
ReduceAttributes reduce_attributes(const char* where, const Tensor& x, const Axes& axes,
                                   bool keep_axes) {
  Axes normal;
  if (axes.rank() == 0) {
    for (int i = 0; i < x.rank(); ++i) normal.push_back(i);
  }
  for (int64_t axis : axes) {
    const int64_t a = normalized_axis(where, axis, x.rank());
    if (names(normal, static_cast<int>(a))) {
      throw ShapeError(
          concat(where, ": axes ", axes, " name axis ", a, " of x ", describe(x), " twice."));
    }
    normal.push_back(a);
  }
  std::sort(&normal[0], &normal[0] + normal.rank());
  return {normal, keep_axes};
}

int64_t values_in_each(const Shape& shape, const Axes& axes) {
  int64_t n = 1;
  for (int64_t axis : axes) n *= shape[static_cast<int>(axis)];
  return n;
}

OutSpecs reduced(const Call& c) {
  check_float(c, {"x"});
  const auto& a = c.as<ReduceAttributes>();
  return {{reduced_shape(c.in(0).shape(), a.axes, a.keep_axes), c.in(0).dtype()}};
}

// max and min have no value to give for no values.
void check_not_empty(const Call& c, const Axes& axes) {
  const Tensor& x = c.in(0);
  for (int64_t axis : axes) {
    if (x.shape()[static_cast<int>(axis)] == 0) {
      throw ShapeError(concat(c.op.name, ": x ", describe(x), " has no values along axis ", axis,
                              ". Only sum and mean are defined there."));
    }
  }
}

// A reduced tensor with the reduced axes back, of length 1: it broadcasts against the input of the
// call.
Tensor with_axes(const Vjp& v, const Tensor& reduced) {
  return reshape(reduced, reduced_shape(v.in(0).shape(), v.as<ReduceAttributes>().axes, true));
}

Samples reduce_samples(bool empty_axes) {
  Samples all{{{{{3, 5}}}, ReduceAttributes{{1}, 0}},
              {{{{3, 5}}}, ReduceAttributes{{0}, 0}},
              {{{{2, 3, 4}}}, ReduceAttributes{{1}, 1}},
              {{{{2, 3, 4}}}, ReduceAttributes{{0, 2}, 0}},
              {{{{2, 3, 3, 2}}}, ReduceAttributes{{1, 2}, 1}},
              {{{{3, 4}}}, ReduceAttributes{{0, 1}, 0}},
              {{{{67}}}, ReduceAttributes{{0}, 0}},
              {{{{2, 3}}}, ReduceAttributes{{}, 0}},
              {{{{3, 1}}}, ReduceAttributes{{1}, 0}},
              {{{{}}}, ReduceAttributes{{}, 0}},
              {{{{0, 3}}}, ReduceAttributes{{1}, 0}}};
  if (empty_axes) all.push_back({{{{0, 3}}}, ReduceAttributes{{0}, 0}});
  return all;
}

// ---- records ----------------------------------------------------------------------------------

// x: any -> the shape without `axes`
const Op kSum{
    .name = "sum",
    .shape = reduced,
    .vjp = [](const Vjp& v) { return Tensors{expand(with_axes(v, v.g()), v.in(0).shape())}; },
    .samples = [] { return reduce_samples(true); },
    .keeps = kNothing};

OutSpecs extremum_shape(const Call& c) {
  check_not_empty(c, c.as<ReduceAttributes>().axes);
  return reduced(c);
}

// Values equal to the result share its gradient equally.
Tensors extremum_vjp(const Vjp& v) {
  const auto& a = v.as<ReduceAttributes>();
  const Tensor winners = equal(v.in(0), with_axes(v, v.out()));
  const Tensor count = apply(kSum, {winners}, ReduceAttributes{a.axes, true});
  return {winners * (with_axes(v, v.g()) / count)};
}

// x: any float -> the shape without `axes`
const Op kMax{.name = "max",
              .shape = extremum_shape,
              .vjp = extremum_vjp,
              .samples = [] { return reduce_samples(false); },
              .keeps = input_bit(0) | kOutput};
const Op kMin{.name = "min",
              .shape = extremum_shape,
              .vjp = extremum_vjp,
              .samples = [] { return reduce_samples(false); },
              .keeps = input_bit(0) | kOutput};

// x: any float -> the shape without `axes`: the Euclidean norm
const Op kNorm{.name = "norm",
               .shape = reduced,
               .decompose =
                   [](const Call& c) {
                     const auto& a = c.as<ReduceAttributes>();
                     return Tensors{sqrt(apply(kSum, {square(c.in(0))}, a))};
                   },
               .vjp =
                   [](const Vjp& v) {
                     const Tensor y = with_axes(v, v.out());
                     // At y = 0 every x is 0 too, and so is the gradient chosen there.
                     return Tensors{v.in(0) * (with_axes(v, v.g()) / select(y > 0, y, 1))};
                   },
               .samples =
                   [] {
                     Samples all = reduce_samples(true);
                     for (Sample& sample : all) {  // away from the corner at 0
                       sample.inputs[0].low = 0.2;
                     }
                     return all;
                   },
               .keeps = input_bit(0) | kOutput};

// x: any float -> int32, the shape without `axis`
const Op kArgmax{.name = "argmax",
                 .shape =
                     [](const Call& c) {
                       check_float(c, {"x"});
                       const Axes axes{c.as<ArgmaxAttributes>().axis};
                       check_not_empty(c, axes);
                       return OutSpecs{{reduced_shape(c.in(0).shape(), axes, false), Dtype::i32}};
                     },
                 .samples =
                     [] {
                       return Samples{
                           {{{{3, 5}}}, ArgmaxAttributes{1}},    {{{{3, 5}}}, ArgmaxAttributes{0}},
                           {{{{2, 3, 4}}}, ArgmaxAttributes{1}}, {{{{67}}}, ArgmaxAttributes{0}},
                           {{{{3, 1}}}, ArgmaxAttributes{1}},    {{{{0, 3}}}, ArgmaxAttributes{1}}};
                     },
                 .keeps = kNothing,
                 .differentiable = false};

}  // namespace

OpList reduce_ops() { return {&kSum, &kMax, &kMin, &kNorm, &kArgmax}; }

Tensor sum(const Tensor& x, const Axes& axes, bool keep_axes) {
  return apply(kSum, {x}, reduce_attributes("sum", x, axes, keep_axes));
}

Tensor mean(const Tensor& x, const Axes& axes, bool keep_axes) {
  const ReduceAttributes a = reduce_attributes("mean", x, axes, keep_axes);
  return apply(kSum, {x}, a) / static_cast<double>(values_in_each(x.shape(), a.axes));
}

Tensor max(const Tensor& x, const Axes& axes, bool keep_axes) {
  return apply(kMax, {x}, reduce_attributes("max", x, axes, keep_axes));
}

Tensor min(const Tensor& x, const Axes& axes, bool keep_axes) {
  return apply(kMin, {x}, reduce_attributes("min", x, axes, keep_axes));
}

Tensor variance(const Tensor& x, const Axes& axes, bool keep_axes) {
  return mean(square(x - mean(x, axes, true)), axes, keep_axes);
}

Tensor norm(const Tensor& x, const Axes& axes, bool keep_axes) {
  return apply(kNorm, {x}, reduce_attributes("norm", x, axes, keep_axes));
}

Tensor rms(const Tensor& x) { return norm(x) * (1 / std::sqrt(static_cast<double>(x.size()))); }

Tensor logsumexp(const Tensor& x, int axis, bool keep_axis) {
  const Axes axes{axis};
  Tensor largest;
  {
    // The result does not depend on the value subtracted, so no gradient has to flow through it.
    const MuteTapes quiet;
    const Tensor m = max(x, axes, true);
    largest = select(is_finite(m), m, 0);
  }
  const Tensor y = log(sum(exp(x - largest), axes, true)) + largest;
  if (keep_axis) return y;
  return squeeze(y, axis);
}

Tensor argmax(const Tensor& x, int axis) {
  return apply(kArgmax, {x}, ArgmaxAttributes{normalized_axis("argmax", axis, x.rank())});
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int shift = x.rank() - shape.rank();
  ReduceAttributes a{{}, true};
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t wanted = i < shift ? 1 : shape[i - shift];
    if (x.shape()[i] == wanted) continue;
    if (wanted != 1) {
      throw ShapeError(concat("sum_to: x ", describe(x), " is not the broadcast of ", shape,
                              "; x axis ", i, " is ", x.shape()[i], ", axis ", i - shift,
                              " of the shape is ", wanted, "."));
    }
    a.axes.push_back(i);
  }
  if (shift < 0) {
    throw ShapeError(concat("sum_to: x ", describe(x), " has fewer axes than shape ", shape, "."));
  }
  const Tensor y = a.axes.rank() == 0 ? x : apply(kSum, {x}, a);
  return reshape(y, shape);
}

}  // namespace slope
