// Views: other shapes and orders of the same values. Nothing is computed; strides do it.
#include <optional>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/registry.h"

namespace slope {
namespace {

// "{2, 3}": a shape as one types it.
std::string braces(const Shape& shape) {
  std::string text = "{";
  for (int i = 0; i < shape.rank(); ++i) text += concat(i ? ", " : "", shape[i]);
  return text + "}";
}

// ---- reshape ----------------------------------------------------------------------------------

// The asked shape with the axis that is -1 filled in.
Shape resolved_shape(const Call& c) {
  const Tensor& x = c.in(0);
  const Shape& asked = c.as<Shape>();
  Shape shape = asked;
  int open = -1;
  int64_t known = 1;
  for (int i = 0; i < asked.rank(); ++i) {
    if (asked[i] == -1 && open < 0) {
      open = i;
    } else if (asked[i] == -1) {
      throw ShapeError(concat("reshape: more than one axis of ", asked, " is -1; x is ",
                              describe(x), ". Only one can be found from the others."));
    } else if (asked[i] < 0) {
      throw ShapeError(
          concat("reshape: axis ", i, " of ", asked, " is ", asked[i],
                 ". A length is 0 or more, or -1 for one that follows from the others."));
    } else {
      known *= asked[i];
    }
  }
  if (open >= 0 && known > 0 && x.size() % known == 0) {
    shape[open] = x.size() / known;
  } else if (open >= 0) {
    const std::string reason = known == 0 ? "the other axes have no values, so it could be anything"
                                          : concat(x.size(), " is no multiple of ", known);
    throw ShapeError(concat("reshape: the -1 in ", asked, " cannot be found: x ", x.shape(),
                            " has ", x.size(), " values; ", reason, ". Write the lengths out."));
  }
  if (shape.size() == x.size()) return shape;

  std::string fix = concat(" Shapes with ", x.size(), " values fit.");
  const int last = shape.rank() - 1;
  const int64_t others = last >= 0 && shape[last] != 0 ? shape.size() / shape[last] : 0;
  if (others > 0 && x.size() % others == 0) {
    Shape call = shape, result = shape;
    call[last] = -1;
    result[last] = x.size() / others;
    fix = concat(" One axis may be -1: reshape(", braces(call), ") gives ", result, ".");
  }
  throw ShapeError(concat("reshape: sizes differ: x ", x.shape(), " has ", x.size(), " values, ",
                          shape, " has ", shape.size(), ".", fix));
}

// Strides with which the values of x, in their order, have `shape`; nothing when no strides do.
// Runs of axes of x that lie like one long axis may be divided anew; two runs cannot be joined.
std::optional<Strides> reshaped_strides(const Tensor& x, const Shape& shape) {
  if (x.size() == 0) return contiguous_strides(shape);
  Strides strides = Shape::filled(shape.rank(), 1);
  int to = shape.rank() - 1;
  int64_t run = 1;  // values of the run that ends at axis `from`
  int64_t innermost = 1;
  for (int from = x.rank() - 1; from >= 0; --from) {
    if (run == 1) innermost = x.strides()[from];
    run *= x.shape()[from];
    const bool ends =
        from == 0 || (x.shape()[from - 1] != 1 && x.strides()[from - 1] != run * innermost);
    if (!ends) continue;
    int64_t placed = 1;
    while (to >= 0 && (placed < run || shape[to] == 1)) {
      strides[to] = innermost * placed;
      placed *= shape[to--];
    }
    if (placed != run) return std::nullopt;
    run = 1;
  }
  return strides;
}

// x: any -> shape, with the same values in the same order
const Op kReshape{.name = "reshape",
                  .shape =
                      [](const Call& c) {
                        return OutSpecs{{resolved_shape(c), c.in(0).dtype()}};
                      },
                  .vjp = [](const Vjp& v) { return Tensors{reshape(v.g(), v.in(0).shape())}; },
                  .samples =
                      [] {
                        return Samples{
                            {{{{2, 6}}}, Shape{3, 4}}, {{{{2, 3, 4}}}, Shape{-1, 6}},
                            {{{{5}}}, Shape{5, 1, 1}}, {{{{1, 1}}}, Shape{}},
                            {{{{0, 3}}}, Shape{3, 0}}, {{{{2, 3, 4}}}, Shape{2, 1, 3, 2, 2}}};
                      },
                  .keeps = kNothing,
                  .view = [](const Call& c) -> std::optional<ViewSpec> {
                    const Shape shape = resolved_shape(c);
                    const std::optional<Strides> strides = reshaped_strides(c.in(0), shape);
                    if (!strides) return std::nullopt;
                    return ViewSpec{shape, *strides};
                  }};

// ---- permute ----------------------------------------------------------------------------------

Shape permuted(const Shape& values, const Axes& axes) {
  Shape result;
  for (int64_t axis : axes) result.push_back(values[static_cast<int>(axis)]);
  return result;
}

Axes inverse(const Axes& axes) {
  Axes result = Shape::filled(axes.rank(), 0);
  for (int i = 0; i < axes.rank(); ++i) result[static_cast<int>(axes[i])] = i;
  return result;
}

// x: any, axes: 0..rank-1 in any order
const Op kPermute{
    .name = "permute",
    .shape =
        [](const Call& c) {
          const Tensor& x = c.in(0);
          const Axes& axes = c.as<Axes>();
          Shape seen = Shape::filled(x.rank(), 0);
          for (int64_t axis : axes) {
            if (axis < x.rank()) ++seen[static_cast<int>(axis)];
          }
          if (axes.rank() != x.rank() || seen != Shape::filled(x.rank(), 1)) {
            Axes reversed;
            for (int i = x.rank() - 1; i >= 0; --i) reversed.push_back(i);
            throw ShapeError(concat("permute: axes ", axes, " do not name every axis of x ",
                                    describe(x), " once. To reverse them, write permute(x, ",
                                    braces(reversed), ")."));
          }
          return OutSpecs{{permuted(x.shape(), axes), x.dtype()}};
        },
    .vjp = [](const Vjp& v) { return Tensors{permute(v.g(), inverse(v.as<Axes>()))}; },
    .samples =
        [] {
          return Samples{{{{{2, 3, 4}}}, Axes{2, 0, 1}},
                         {{{{3, 5}}}, Axes{1, 0}},
                         {{{{5}}}, Axes{0}},
                         {{{{}}}, Axes{}},
                         {{{{2, 0, 3}}}, Axes{1, 2, 0}},
                         {{{{2, 1, 3, 2}}}, Axes{0, 3, 1, 2}}};
        },
    .keeps = kNothing,
    .view = [](const Call& c) -> std::optional<ViewSpec> {
      const Axes& axes = c.as<Axes>();
      return ViewSpec{permuted(c.in(0).shape(), axes), permuted(c.in(0).strides(), axes)};
    }};

// ---- expand -----------------------------------------------------------------------------------

// x: any, shape: what x broadcasts to
const Op kExpand{
    .name = "expand",
    .shape =
        [](const Call& c) {
          const Tensor& x = c.in(0);
          const Shape& shape = c.as<Shape>();
          if (shape.rank() < x.rank()) {
            throw ShapeError(concat("expand: x ", describe(x), " has ", x.rank(), " axes, shape ",
                                    shape, " has ", shape.rank(),
                                    ". Axes are aligned at the right and never dropped."));
          }
          const int shift = shape.rank() - x.rank();
          for (int i = 0; i < shape.rank(); ++i) {
            const bool fits = i < shift ? shape[i] >= 0
                                        : x.shape()[i - shift] == shape[i] ||
                                              (x.shape()[i - shift] == 1 && shape[i] >= 0);
            if (fits) continue;
            if (shape[i] < 0) {
              throw ShapeError(concat("expand: axis ", i, " of shape ", shape, " is ", shape[i],
                                      ". A length is 0 or more."));
            }
            throw ShapeError(concat("expand: x ", describe(x), " does not broadcast to ", shape,
                                    "; x axis ", i - shift, " is ", x.shape()[i - shift], ", axis ",
                                    i, " of the shape is ", shape[i],
                                    ". Only axes of length 1 stretch."));
          }
          return OutSpecs{{shape, x.dtype()}};
        },
    .vjp = [](const Vjp& v) { return Tensors{v.g()}; },  // the tape sums it back to x's shape
    .samples =
        [] {
          return Samples{{{{{3, 1}}}, Shape{3, 4}}, {{{{4}}}, Shape{2, 3, 4}},
                         {{{{}}}, Shape{2, 3}},     {{{{1, 3}}}, Shape{1, 3}},
                         {{{{1, 2}}}, Shape{0, 2}}, {{{{1}}}, Shape{5}}};
        },
    .keeps = kNothing,
    .view = [](const Call& c) -> std::optional<ViewSpec> {
      const Tensor& x = c.in(0);
      const Shape& shape = c.as<Shape>();
      Strides strides = Shape::filled(shape.rank(), 0);
      const int shift = shape.rank() - x.rank();
      for (int i = 0; i < x.rank(); ++i) {
        if (x.shape()[i] == shape[i + shift]) strides[i + shift] = x.strides()[i];
      }
      return ViewSpec{shape, strides};
    }};

// ---- slice ------------------------------------------------------------------------------------

struct SliceAttributes {
  int64_t axis, begin, end, step;

  int64_t count() const { return begin == end ? 0 : (end - begin - 1) / step + 1; }
};

// The gradient of a slice lies in zeros: value i at begin + i * step.
Tensor unslice(const Tensor& g, const SliceAttributes& s, const Shape& x_shape) {
  const int axis = static_cast<int>(s.axis);
  PadAttributes pad{.before = Shape::filled(x_shape.rank(), 0),
                    .after = Shape::filled(x_shape.rank(), 0),
                    .steps = Shape::filled(x_shape.rank(), 1),
                    .value = 0};
  pad.before[axis] = s.begin;
  pad.steps[axis] = s.step;
  const int64_t covered = s.count() == 0 ? 0 : (s.count() - 1) * s.step + 1;
  pad.after[axis] = x_shape[axis] - s.begin - covered;
  return slope::pad(g, pad);
}

// x: any; values begin, begin + step, .. below end, along one axis
const Op kSlice{
    .name = "slice",
    .shape =
        [](const Call& c) {
          const Tensor& x = c.in(0);
          const auto& s = c.as<SliceAttributes>();
          const int axis = static_cast<int>(s.axis);
          const int64_t length = x.shape()[axis];
          if (s.step < 1) {
            throw ValueError(concat("slice: step is ", s.step, ". It must be 1 or more."));
          }
          if (s.begin < 0 || s.end > length || s.begin > s.end) {
            throw ShapeError(concat("slice: begin ", s.begin, ", end ", s.end,
                                    " do not lie in order within x ", describe(x), "; axis ", axis,
                                    " has ", length, " values. Use 0 <= begin <= end <= ", length,
                                    "."));
          }
          Shape shape = x.shape();
          shape[axis] = s.count();
          return OutSpecs{{shape, x.dtype()}};
        },
    .vjp =
        [](const Vjp& v) {
          return Tensors{unslice(v.g(), v.as<SliceAttributes>(), v.in(0).shape())};
        },
    .samples =
        [] {
          return Samples{{{{{5, 3}}}, SliceAttributes{0, 1, 4, 1}},
                         {{{{3, 7}}}, SliceAttributes{1, 1, 7, 2}},
                         {{{{2, 5, 3}}}, SliceAttributes{1, 0, 4, 3}},
                         {{{{2, 6}}}, SliceAttributes{1, 2, 2, 1}},
                         {{{{1}}}, SliceAttributes{0, 0, 1, 5}}};
        },
    .keeps = kNothing,
    .view = [](const Call& c) -> std::optional<ViewSpec> {
      const Tensor& x = c.in(0);
      const auto& s = c.as<SliceAttributes>();
      const int axis = static_cast<int>(s.axis);
      ViewSpec spec{x.shape(), x.strides(), s.begin * x.strides()[axis]};
      spec.shape[axis] = s.count();
      spec.strides[axis] *= s.step;
      return spec;
    }};

}  // namespace

OpList view_ops() { return {&kReshape, &kPermute, &kExpand, &kSlice}; }

Tensor reshape(const Tensor& x, const Shape& shape) { return apply(kReshape, {x}, shape); }

Tensor permute(const Tensor& x, const Axes& axes) {
  Axes normal;
  for (int64_t axis : axes) normal.push_back(normalized_axis("permute", axis, x.rank()));
  return apply(kPermute, {x}, normal);
}

Tensor transpose(const Tensor& x) {
  const int rank = x.rank();
  if (rank < 2) {
    throw ShapeError(concat("transpose: x ", describe(x), " has ", rank,
                            " axes, needs two. Use unsqueeze(x, 0) to make a row of a vector."));
  }
  Axes axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  std::swap(axes[rank - 2], axes[rank - 1]);
  return apply(kPermute, {x}, axes);
}

Tensor expand(const Tensor& x, const Shape& shape) { return apply(kExpand, {x}, shape); }

Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end, int64_t step) {
  return apply(kSlice, {x},
               SliceAttributes{normalized_axis("slice", axis, x.rank()), begin, end, step});
}

Tensor squeeze(const Tensor& x, int axis) {
  const int dropped = normalized_axis("squeeze", axis, x.rank());
  if (x.shape()[dropped] != 1) {
    throw ShapeError(concat("squeeze: x ", describe(x), "; axis ", dropped, " is ",
                            x.shape()[dropped], ", not 1. Use slice(x, ", dropped,
                            ", i, i + 1) to take one value of it first."));
  }
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != dropped) shape.push_back(x.shape()[i]);
  }
  return reshape(x, shape);
}

Tensor unsqueeze(const Tensor& x, int axis) {
  const int place = normalized_axis("unsqueeze", axis, x.rank() + 1);
  Shape shape;
  for (int i = 0; i <= x.rank(); ++i) {
    if (i == place) shape.push_back(1);
    if (i < x.rank()) shape.push_back(x.shape()[i]);
  }
  return reshape(x, shape);
}

}  // namespace slope
